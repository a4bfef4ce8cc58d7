// The draw passes, for the Built-in pipeline, URP and HDRP alike: they are drawn by command buffers with matrices of our
// own, so they include nothing of any pipeline and need no SubShader a pipeline. All that computes is in the .hlsl files.
//
// Stereo: with GS_EYE_ARRAY one instanced draw fills both slices of an array (two instances a splat); without it each
// eye is a draw of its own into a slice or texture of its own, which devices that cannot choose the slice in a vertex
// shader need. Both read the same splats and the same order.
Shader "Hidden/GaussianAvatar"
{
    Properties
    {
        // UnityEngine.Rendering.CompareFunction: 4 LessEqual, which Unity turns round where its depth is reversed;
        // 8 Always leaves the scene's depth out.
        [HideInInspector] _GsZTest ("Depth test", Int) = 4
    }

    HLSLINCLUDE
    #pragma target 4.5
    #pragma multi_compile_local _ GS_EYE_ARRAY
    ENDHLSL

    SubShader
    {
        Tags { "Queue" = "Transparent" "IgnoreProjector" = "True" }
        Cull Off

        // Far to near over each other, in display space, into a half-float target of their own that starts as (0,0,0,0).
        Pass
        {
            Name "Splats"
            ZWrite Off
            ZTest [_GsZTest]
            Blend One OneMinusSrcAlpha

            HLSLPROGRAM
            #pragma vertex Vertex
            #pragma fragment Fragment
            #include "GsSplat.hlsl"

            GsSplatVaryings Vertex(uint vertex_id : SV_VertexID, uint instance_id : SV_InstanceID)
            {
                return GsSplatVertex(vertex_id, instance_id);
            }

            float4 Fragment(GsSplatVaryings varyings) : SV_Target
            {
                float alpha = GsAlpha(varyings.in_sigmas, varyings.color_opacity.a);
                if (alpha <= 0.0)
                    discard;
                return float4(varyings.color_opacity.rgb * alpha, alpha);
            }
            ENDHLSL
        }

        // Optional: where splats are at least half opaque, their centres' depth into the camera's depth, so that what is
        // drawn later (fog, particles, depth of field) sees the avatar.
        Pass
        {
            Name "SplatDepth"
            ZWrite On
            ZTest LEqual
            ColorMask 0

            HLSLPROGRAM
            #pragma vertex Vertex
            #pragma fragment Fragment
            #include "GsSplat.hlsl"

            GsSplatVaryings Vertex(uint vertex_id : SV_VertexID, uint instance_id : SV_InstanceID)
            {
                return GsSplatVertex(vertex_id, instance_id);
            }

            float4 Fragment(GsSplatVaryings varyings) : SV_Target
            {
                if (GsAlpha(varyings.in_sigmas, varyings.color_opacity.a) < 0.5)
                    discard;
                return 0;
            }
            ENDHLSL
        }

        // The scene's depth into the splats' own depth buffer, whatever their sizes.
        Pass
        {
            Name "SceneDepth"
            ZWrite On
            ZTest Always
            ColorMask 0

            HLSLPROGRAM
            #pragma vertex Vertex
            #pragma fragment Fragment
            #include "GsComposite.hlsl"

            GsScreenVaryings Vertex(uint vertex_id : SV_VertexID, uint instance_id : SV_InstanceID)
            {
                return GsScreenVertex(vertex_id, instance_id);
            }

            float Fragment(GsScreenVaryings screen) : SV_Depth
            {
                return GsSceneDepthAt(screen);
            }
            ENDHLSL
        }

        // Projects in gamma colour space.
        Pass
        {
            Name "CompositeGamma"
            ZWrite Off
            ZTest Always
            Blend One OneMinusSrcAlpha

            HLSLPROGRAM
            #pragma vertex Vertex
            #pragma fragment Fragment
            #include "GsComposite.hlsl"

            GsScreenVaryings Vertex(uint vertex_id : SV_VertexID, uint instance_id : SV_InstanceID)
            {
                return GsScreenVertex(vertex_id, instance_id);
            }

            float4 Fragment(GsScreenVaryings screen) : SV_Target
            {
                return GsCompositeGamma(screen);
            }
            ENDHLSL
        }

        // Projects in linear colour space: exact, needs a copy of the camera's picture.
        Pass
        {
            Name "CompositeLinear"
            ZWrite Off
            ZTest Always
            Blend One Zero
            ColorMask RGB

            HLSLPROGRAM
            #pragma vertex Vertex
            #pragma fragment Fragment
            #include "GsComposite.hlsl"

            GsScreenVaryings Vertex(uint vertex_id : SV_VertexID, uint instance_id : SV_InstanceID)
            {
                return GsScreenVertex(vertex_id, instance_id);
            }

            float4 Fragment(GsScreenVaryings screen) : SV_Target
            {
                return GsCompositeLinear(screen);
            }
            ENDHLSL
        }

        // Projects in linear colour space, without the copy: differs at soft edges.
        Pass
        {
            Name "CompositeLinearNoCopy"
            ZWrite Off
            ZTest Always
            Blend One OneMinusSrcAlpha

            HLSLPROGRAM
            #pragma vertex Vertex
            #pragma fragment Fragment
            #include "GsComposite.hlsl"

            GsScreenVaryings Vertex(uint vertex_id : SV_VertexID, uint instance_id : SV_InstanceID)
            {
                return GsScreenVertex(vertex_id, instance_id);
            }

            float4 Fragment(GsScreenVaryings screen) : SV_Target
            {
                return GsCompositeLinearNoCopy(screen);
            }
            ENDHLSL
        }
    }
}
