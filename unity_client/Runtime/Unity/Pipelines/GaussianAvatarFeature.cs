#nullable enable
#if GSTALKER_URP
using UnityEngine;
using UnityEngine.Rendering;
using UnityEngine.Rendering.Universal;
#if GSTALKER_URP_17
using UnityEngine.Rendering.RenderGraphModule;
#endif

namespace GStalker.Unity
{
    /// <summary>Draws avatars in URP: add it to the renderer that the pipeline asset uses.</summary>
    [DisallowMultipleRendererFeature("Gaussian Avatars")]
    public sealed class GaussianAvatarFeature : ScriptableRendererFeature
    {
        private AvatarPass? _pass;

        public override void Create() =>
            _pass = new AvatarPass { renderPassEvent = RenderPassEvent.BeforeRenderingTransparents };

        public override void AddRenderPasses(ScriptableRenderer renderer, ref RenderingData renderingData)
        {
            if (_pass == null || !AvatarCompositor.HasWork(renderingData.cameraData.camera))
                return;
            _pass.ConfigureInput(ScriptableRenderPassInput.Depth | ScriptableRenderPassInput.Color);
            renderer.EnqueuePass(_pass);
        }

        private static CompositeTarget TargetOf(
            RenderTargetIdentifier color, RenderTargetIdentifier depth, RenderTargetIdentifier depthTarget,
            RenderTextureDescriptor picture) => new CompositeTarget
            {
                Color = color,
                Depth = depth,
                DepthTarget = depthTarget,
                HasDepth = true,
                IsEyeArray = picture.dimension == TextureDimension.Tex2DArray && picture.volumeDepth == 2,
                Width = picture.width,
                Height = picture.height,
                Exposure = 1,
            };

        private sealed class AvatarPass : ScriptableRenderPass
        {
#if GSTALKER_URP_17
            private sealed class PassData
            {
                internal TextureHandle Color, Depth, DepthTarget;
                internal Camera? Camera;
                internal RenderTextureDescriptor Picture;
            }

            public override void RecordRenderGraph(RenderGraph renderGraph, ContextContainer frameData)
            {
                var resources = frameData.Get<UniversalResourceData>();
                var camera = frameData.Get<UniversalCameraData>();
                using var builder = renderGraph.AddUnsafePass("GStalker avatars", out PassData data);
                (data.Color, data.Depth) = (resources.activeColorTexture, resources.cameraDepthTexture);
                data.DepthTarget = resources.activeDepthTexture;
                (data.Camera, data.Picture) = (camera.camera, camera.cameraTargetDescriptor);
                builder.UseTexture(data.Color, AccessFlags.ReadWrite);
                builder.UseTexture(data.Depth, AccessFlags.Read);
                builder.UseTexture(data.DepthTarget, AccessFlags.ReadWrite);
                builder.AllowPassCulling(false);
                builder.SetRenderFunc((PassData pass, UnsafeGraphContext context) => AvatarCompositor.Record(
                    CommandBufferHelpers.GetNativeCommandBuffer(context.cmd), pass.Camera!,
                    TargetOf((RTHandle)pass.Color, (RTHandle)pass.Depth, (RTHandle)pass.DepthTarget, pass.Picture)));
            }
#else
            public override void Execute(ScriptableRenderContext context, ref RenderingData renderingData)
            {
                ref CameraData camera = ref renderingData.cameraData;
                CommandBuffer commands = CommandBufferPool.Get("GStalker avatars");
                AvatarCompositor.Record(commands, camera.camera, TargetOf(
                    camera.renderer.cameraColorTargetHandle.nameID, Shader.PropertyToID("_CameraDepthTexture"),
                    camera.renderer.cameraDepthTargetHandle.nameID, camera.cameraTargetDescriptor));
                context.ExecuteCommandBuffer(commands);
                CommandBufferPool.Release(commands);
            }
#endif
        }
    }
}
#endif
