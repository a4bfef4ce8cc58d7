#nullable enable
#if GSTALKER_HDRP
using UnityEngine;
using UnityEngine.Rendering;
using UnityEngine.Rendering.HighDefinition;

namespace GStalker.Unity
{
    /// <summary>Draws avatars in HDRP: add it to a Custom Pass Volume, injected before transparents.</summary>
    public sealed class GaussianAvatarCustomPass : CustomPass
    {
        [Tooltip("Linear light of the target for white of the avatar; a portrait is lit already, so this is exposure only.")]
        public float exposure = 1;

        protected override void Execute(CustomPassContext ctx)
        {
            Camera camera = ctx.hdCamera.camera;
            if (!AvatarCompositor.HasWork(camera))
                return;
            RenderTexture color = ctx.cameraColorBuffer.rt;
            AvatarCompositor.Record(ctx.cmd, camera, new CompositeTarget
            {
                Color = ctx.cameraColorBuffer.nameID,
                Depth = ctx.cameraDepthBuffer.nameID,
                DepthTarget = ctx.cameraDepthBuffer.nameID,
                HasDepth = true,
                IsEyeArray = color.dimension == TextureDimension.Tex2DArray && color.volumeDepth == 2,
                Width = ctx.hdCamera.actualWidth,
                Height = ctx.hdCamera.actualHeight,
                Exposure = exposure,
            });
        }
    }
}
#endif
