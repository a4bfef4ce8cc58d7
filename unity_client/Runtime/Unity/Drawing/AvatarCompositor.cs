#nullable enable
using System.Collections.Generic;
using UnityEngine;
using UnityEngine.Experimental.Rendering;
using UnityEngine.Rendering;

namespace GStalker.Unity
{
    /// <summary>Where a pipeline wants the avatars of a camera drawn.</summary>
    public struct CompositeTarget
    {
        public RenderTargetIdentifier Color;

        /// <summary>The scene's depth as a texture that can be read; without it avatars are drawn over everything.</summary>
        public RenderTargetIdentifier Depth;

        /// <summary>The depth that things drawn later are tested against, for avatars that write theirs into it.</summary>
        public RenderTargetIdentifier DepthTarget;

        public bool HasDepth, IsEyeArray;
        public int Width, Height;

        /// <summary>Linear light of the target per linear light of the avatar: 1 but for HDRP before exposure.</summary>
        public float Exposure;
    }

    /// <summary>Draws all avatars that a camera sees into a picture of their own, in display space, and that onto the
    /// camera's: the same for every pipeline.</summary>
    public static class AvatarCompositor
    {
        private static readonly List<GaussianAvatar> Seen = new List<GaussianAvatar>();
        private static readonly Material?[] Materials = new Material?[2]; // one for each eye by itself, one for both at once
        private static readonly System.Comparison<GaussianAvatar> FarToNear = (a, b) =>
            (b.transform.position - _eye).sqrMagnitude.CompareTo((a.transform.position - _eye).sqrMagnitude);

        private static Vector3 _eye;
        private static int _splats, _splatDepth, _sceneDepth, _gamma, _linear, _linearNoCopy;

        /// <summary>Whether a camera sees any avatar at all.</summary>
        public static bool HasWork(Camera camera)
        {
            foreach (GaussianAvatar avatar in GaussianAvatar.Enabled)
            {
                if (avatar.IsDrawable && (camera.cullingMask & (1 << avatar.gameObject.layer)) != 0)
                    return true;
            }
            return false;
        }

        /// <summary>Record everything for one camera.</summary>
        public static void Record(CommandBuffer commands, Camera camera, in CompositeTarget target)
        {
            CollectFarToNear(camera);
            if (Seen.Count == 0)
                return;
            float scale = 0;
            foreach (GaussianAvatar avatar in Seen)
                scale = Mathf.Max(scale, avatar.Quality.RenderScale);
            var size = new Vector2Int(
                Mathf.Max(1, Mathf.RoundToInt(target.Width * scale)), Mathf.Max(1, Mathf.RoundToInt(target.Height * scale)));
            CameraView view = CameraView.Of(camera, size, true, target.IsEyeArray);
            int instances = view.IsEyeArray ? 2 : 1;
            Material material = Prepare(view.IsEyeArray);
            commands.BeginSample("GStalker avatars");
            commands.GetTemporaryRT(ShaderIds.SplatPicture, Picture(size, view.IsEyeArray, GraphicsFormat.R16G16B16A16_SFloat, 32));
            var splats = new RenderTargetIdentifier(ShaderIds.SplatPicture, 0, CubemapFace.Unknown, RenderTargetIdentifier.AllDepthSlices);
            foreach (GaussianAvatar avatar in Seen)
                avatar.Project(commands, view);
            commands.SetRenderTarget(splats);
            commands.ClearRenderTarget(true, true, Color.clear);
            if (target.HasDepth)
            {
                commands.SetGlobalTexture(ShaderIds.SceneDepth, target.Depth);
                commands.SetGlobalVector(ShaderIds.ScreenSize, (Vector2)size);
                commands.DrawProcedural(Matrix4x4.identity, material, _sceneDepth, MeshTopology.Triangles, 3, instances);
            }
            foreach (GaussianAvatar avatar in Seen)
                avatar.Draw(commands, material, _splats, view);
            Composite(commands, camera, target, material, instances, view.IsEyeArray);
            commands.ReleaseTemporaryRT(ShaderIds.SplatPicture);
            commands.SetRenderTarget(target.Color, target.DepthTarget, 0, CubemapFace.Unknown, RenderTargetIdentifier.AllDepthSlices);
            foreach (GaussianAvatar avatar in Seen)
            {
                if (avatar.WritesDepth)
                    avatar.Draw(commands, material, _splatDepth, view);
            }
            commands.EndSample("GStalker avatars");
        }

        private static void Composite(
            CommandBuffer commands, Camera camera, in CompositeTarget target, Material material, int instances, bool isEyeArray)
        {
            bool linear = QualitySettings.activeColorSpace == ColorSpace.Linear;
            bool copies = linear && !GaussianAvatar.AvoidsCopies;
            commands.SetGlobalVector(ShaderIds.ScreenSize, new Vector2(target.Width, target.Height));
            commands.SetGlobalFloat(ShaderIds.Exposure, target.Exposure);
            commands.SetGlobalTexture(ShaderIds.SplatPicture, ShaderIds.SplatPicture);
            if (copies)
            {
                var size = new Vector2Int(target.Width, target.Height);
                commands.GetTemporaryRT(ShaderIds.ScenePicture, Picture(size, isEyeArray, GraphicsFormat.R16G16B16A16_SFloat, 0));
                commands.Blit(target.Color, ShaderIds.ScenePicture);
                commands.SetGlobalTexture(ShaderIds.ScenePicture, ShaderIds.ScenePicture);
            }
            commands.SetRenderTarget(new RenderTargetIdentifier(
                target.Color, 0, CubemapFace.Unknown, RenderTargetIdentifier.AllDepthSlices));
            if (!target.IsEyeArray)
                commands.SetViewport(camera.pixelRect);
            int pass = !linear ? _gamma : copies ? _linear : _linearNoCopy;
            commands.DrawProcedural(Matrix4x4.identity, material, pass, MeshTopology.Triangles, 3, instances);
            if (copies)
                commands.ReleaseTemporaryRT(ShaderIds.ScenePicture);
        }

        private static void CollectFarToNear(Camera camera)
        {
            Seen.Clear();
            foreach (GaussianAvatar avatar in GaussianAvatar.Enabled)
            {
                if (avatar.IsDrawable && (camera.cullingMask & (1 << avatar.gameObject.layer)) != 0)
                    Seen.Add(avatar);
            }
            _eye = camera.transform.position;
            Seen.Sort(FarToNear);
        }

        private static RenderTextureDescriptor Picture(Vector2Int size, bool isEyeArray, GraphicsFormat format, int depthBits)
        {
            return new RenderTextureDescriptor(size.x, size.y, format, depthBits)
            {
                dimension = isEyeArray ? TextureDimension.Tex2DArray : TextureDimension.Tex2D,
                volumeDepth = isEyeArray ? 2 : 1,
                msaaSamples = 1,
                useMipMap = false,
            };
        }

        private static Material Prepare(bool isEyeArray)
        {
            int which = isEyeArray ? 1 : 0;
            Material? material = Materials[which];
            if (material != null)
                return material;
            material = new Material(SplatShaders.Load().Draw) { hideFlags = HideFlags.HideAndDontSave };
            if (isEyeArray)
                material.EnableKeyword("GS_EYE_ARRAY");
            _splats = material.FindPass("Splats");
            _splatDepth = material.FindPass("SplatDepth");
            _sceneDepth = material.FindPass("SceneDepth");
            _gamma = material.FindPass("CompositeGamma");
            _linear = material.FindPass("CompositeLinear");
            _linearNoCopy = material.FindPass("CompositeLinearNoCopy");
            Materials[which] = material;
            return material;
        }
    }
}
