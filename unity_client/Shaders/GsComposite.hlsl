// The finished picture of the splats onto the camera's picture, and the camera's depth to where splats are drawn.
#ifndef GS_COMPOSITE_INCLUDED
#define GS_COMPOSITE_INCLUDED

#include "GsColourSpace.hlsl"

// Not named as engine textures: the client sets them, so that no pipeline's includes are needed.
#if defined(GS_EYE_ARRAY)
Texture2DArray<float4> _GsSplatPicture;  // premultiplied, display space
Texture2DArray<float4> _GsScenePicture;  // a copy of the camera's picture, linear light
Texture2DArray<float4> _GsSceneDepth;    // device depth in x
#else
Texture2D<float4> _GsSplatPicture;
Texture2D<float4> _GsScenePicture;
Texture2D<float4> _GsSceneDepth;
#endif
SamplerState sampler_linear_clamp;
float2 _GsScreenSize;  // px of what is drawn to; the splats' picture may be smaller or larger (render scale)
float _GsExposure;     // linear light of the target per linear light of the avatar: 1 but for HDRP before exposure

struct GsScreenVaryings
{
    float4 position : SV_Position;
#if defined(GS_EYE_ARRAY)
    uint eye : SV_RenderTargetArrayIndex;
#endif
};

// One triangle that covers the picture; in GS_EYE_ARRAY an instance an eye.
GsScreenVaryings GsScreenVertex(uint vertex_id, uint instance_id)
{
    GsScreenVaryings varyings;
    varyings.position = float4(vertex_id == 1 ? 3 : -1, vertex_id == 2 ? 3 : -1, 0.5, 1);
#if defined(GS_EYE_ARRAY)
    varyings.eye = instance_id;
#endif
    return varyings;
}

float4 GsSplatsAt(GsScreenVaryings screen)
{
    float2 uv = screen.position.xy / _GsScreenSize;
#if defined(GS_EYE_ARRAY)
    return _GsSplatPicture.SampleLevel(sampler_linear_clamp, float3(uv, screen.eye), 0);
#else
    return _GsSplatPicture.SampleLevel(sampler_linear_clamp, uv, 0);
#endif
}

float3 GsSceneAt(GsScreenVaryings screen)
{
#if defined(GS_EYE_ARRAY)
    return _GsScenePicture.Load(int4(screen.position.xy, screen.eye, 0)).rgb;
#else
    return _GsScenePicture.Load(int3(screen.position.xy, 0)).rgb;
#endif
}

// Depth of the scene under a pixel of the splats' picture, which is _GsScreenSize there.
float GsSceneDepthAt(GsScreenVaryings screen)
{
    uint width, height, slices;
#if defined(GS_EYE_ARRAY)
    _GsSceneDepth.GetDimensions(width, height, slices);
    return _GsSceneDepth.Load(int4(screen.position.xy * float2(width, height) / _GsScreenSize, screen.eye, 0)).r;
#else
    _GsSceneDepth.GetDimensions(width, height);
    return _GsSceneDepth.Load(int3(screen.position.xy * float2(width, height) / _GsScreenSize, 0)).r;
#endif
}

// A gamma project's picture is in display space: the blending unit does the rest.
float4 GsCompositeGamma(GsScreenVaryings screen)
{
    return GsSplatsAt(screen);
}

// A linear project's picture is linear light: taken to display space, blended there and taken back, which the blending
// unit cannot do, so it reads a copy and replaces.
float4 GsCompositeLinear(GsScreenVaryings screen)
{
    float4 splats = GsSplatsAt(screen);
    if (splats.a <= 0.0)
        discard;
    float3 scene = GsDisplayFromLinear(GsSceneAt(screen) / _GsExposure);
    return float4(GsLinearFromDisplay(splats.rgb + (1.0 - splats.a) * scene) * _GsExposure, 1);
}

// The same without a copy, for where bandwidth is short: the splats' own colour in linear light, blended there. Equal
// where the avatar is opaque or absent; soft edges come out a little lighter or darker.
float4 GsCompositeLinearNoCopy(GsScreenVaryings screen)
{
    float4 splats = GsSplatsAt(screen);
    float3 light = GsLinearFromDisplay(splats.rgb / max(splats.a, 1e-4)) * _GsExposure;
    return float4(light * splats.a, splats.a);
}

#endif
