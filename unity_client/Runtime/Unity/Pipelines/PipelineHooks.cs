#nullable enable
using System.Collections.Generic;
using UnityEngine;
using UnityEngine.Rendering;

namespace GStalker.Unity
{
    /// <summary>Draws avatars in the Built-in pipeline, by a command buffer on each camera; URP and HDRP have passes of
    /// their own and this stays out of their way.</summary>
    internal static class PipelineHooks
    {
        private const CameraEvent When = CameraEvent.BeforeForwardAlpha;

        private static readonly Dictionary<Camera, CommandBuffer> Buffers = new Dictionary<Camera, CommandBuffer>();
        private static bool _installed;

        internal static void Install()
        {
            if (_installed)
                return;
            _installed = true;
            Camera.onPreCull += OnPreCull;
            if (GraphicsSettings.currentRenderPipeline == null)
                return;
            string pipeline = GraphicsSettings.currentRenderPipeline.GetType().Name;
#if GSTALKER_URP
            bool known = pipeline.Contains("Universal");
#elif GSTALKER_HDRP
            bool known = pipeline.Contains("HD");
#else
            bool known = false;
#endif
            if (!known)
                Debug.LogWarning($"GStalker: expected the Built-in pipeline, URP or HDRP, got {pipeline}: avatars will not be drawn.");
        }

        private static void OnPreCull(Camera camera)
        {
            if (GraphicsSettings.currentRenderPipeline != null)
                return;
            bool hasWork = AvatarCompositor.HasWork(camera);
            if (!Buffers.TryGetValue(camera, out CommandBuffer commands))
            {
                if (!hasWork)
                    return;
                commands = new CommandBuffer { name = "GStalker avatars" };
                Buffers.Add(camera, commands);
                camera.AddCommandBuffer(When, commands);
            }
            commands.Clear();
            if (!hasWork)
                return;
            camera.depthTextureMode |= DepthTextureMode.Depth;
            camera.forceIntoRenderTexture = true; // so that it is known which side of the target is up
            AvatarCompositor.Record(commands, camera, new CompositeTarget
            {
                Color = BuiltinRenderTextureType.CameraTarget,
                Depth = BuiltinRenderTextureType.ResolvedDepth,
                DepthTarget = BuiltinRenderTextureType.CameraTarget,
                HasDepth = true,
                IsEyeArray = camera.stereoEnabled && UnityEngine.XR.XRSettings.stereoRenderingMode ==
                    UnityEngine.XR.XRSettings.StereoRenderingMode.SinglePassInstanced,
                Width = camera.pixelWidth,
                Height = camera.pixelHeight,
                Exposure = 1,
            });
        }
    }
}
