#nullable enable
using System.Collections.Generic;
using System.IO;
using GStalker.Transport;
using GStalker.Unity;
using UnityEngine;

namespace GStalker.Editor
{
    /// <summary>The fixed cameras of a capture, and their pictures.</summary>
    internal static class CaptureCamera
    {
        private const float NearM = 0.01f, FarM = 10;
        private static readonly Color Background = new Color(64 / 255f, 64 / 255f, 64 / 255f); // a whole number of 8 bits

        internal readonly struct View
        {
            internal readonly string Name;
            internal readonly CapturedCamera Camera;

            internal View(string name, CapturedCamera camera)
            {
                Name = name;
                Camera = camera;
            }
        }

        internal static Camera Create(GameObject root)
        {
            Camera camera = root.AddComponent<Camera>();
            camera.clearFlags = CameraClearFlags.SolidColor;
            camera.backgroundColor = Background;
            camera.nearClipPlane = NearM;
            camera.farClipPlane = FarM;
            camera.allowMSAA = false;
            camera.allowHDR = false;
            camera.enabled = false;
            return camera;
        }

        /// <summary>The bundle's own camera, and three about it: nearer, from the side, off-axis.</summary>
        internal static IEnumerable<View> Views(AvatarDescription avatar)
        {
            CapturedCamera own = CapturedCamera.Of(avatar);
            yield return new View("own", own);
            yield return new View("near", own.Moved(0, 0, -0.4));
            yield return new View("side", own.Turned(0.5));
            yield return new View("offaxis", own.Shifted(0.2, 0.1));
        }

        internal static void Write(Camera camera, View view, long frameIndex, string pathWithoutEnding)
        {
            CapturedCamera captured = view.Camera;
            int width = captured.WidthPx, height = captured.HeightPx;
            camera.worldToCameraMatrix = CameraView.MatrixOf(captured.UnityViewFromWorld());
            camera.projectionMatrix = CameraView.MatrixOf(captured.UnityProjection(NearM, FarM));
            RenderTexture target = RenderTexture.GetTemporary(width, height, 32, RenderTextureFormat.ARGB32, RenderTextureReadWrite.sRGB);
            var picture = new Texture2D(width, height, TextureFormat.RGB24, false);
            RenderTexture? before = RenderTexture.active;
            camera.targetTexture = target;
            camera.Render();
            RenderTexture.active = target;
            picture.ReadPixels(new Rect(0, 0, width, height), 0, 0);
            picture.Apply();
            RenderTexture.active = before;
            camera.targetTexture = null;
            RenderTexture.ReleaseTemporary(target);
            File.WriteAllBytes(pathWithoutEnding + ".png", picture.EncodeToPNG());
            string drawnBy = $"Unity {Application.unityVersion}, {SystemInfo.graphicsDeviceType}, {QualitySettings.activeColorSpace}";
            var background = new double[] { Background.r, Background.g, Background.b };
            File.WriteAllText(pathWithoutEnding + ".json", captured.ToJson(frameIndex, drawnBy, background));
            Object.DestroyImmediate(picture);
        }
    }
}
