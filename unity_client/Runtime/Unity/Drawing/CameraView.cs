#nullable enable
using GStalker.Transport;
using UnityEngine;
using UnityEngine.Rendering;

namespace GStalker.Unity
{
    /// <summary>How a camera sees, one eye or two, as the kernels want it.</summary>
    public struct CameraView
    {
        public Matrix4x4 LeftViewFromWorld, RightViewFromWorld, LeftClipFromView, RightClipFromView;
        public int EyeCount;

        /// <summary>Whether one instanced draw fills both slices of a texture array.</summary>
        public bool IsEyeArray;

        public Vector2Int TargetSize;

        /// <summary>-1 where clip depth runs from -1 to 1.</summary>
        public float DepthMinimumNdc;

        /// <param name="intoTexture">Whether the splats are drawn into a texture, which may turn the picture.</param>
        /// <param name="isEyeArray">Whether that texture has a slice for each eye, drawn at once.</param>
        public static CameraView Of(Camera camera, Vector2Int targetSize, bool intoTexture, bool isEyeArray)
        {
            bool both = camera.stereoEnabled && isEyeArray;
            bool right = camera.stereoEnabled && camera.stereoActiveEye == Camera.MonoOrStereoscopicEye.Right;
            Camera.StereoscopicEye first = right ? Camera.StereoscopicEye.Right : Camera.StereoscopicEye.Left;
            var view = new CameraView
            {
                TargetSize = targetSize,
                IsEyeArray = both,
                EyeCount = both ? 2 : 1,
                DepthMinimumNdc = IsOpenGl ? -1 : 0,
                LeftViewFromWorld = camera.stereoEnabled ? camera.GetStereoViewMatrix(first) : camera.worldToCameraMatrix,
                LeftClipFromView = Clip(camera, first, intoTexture),
            };
            view.RightViewFromWorld = both
                ? camera.GetStereoViewMatrix(Camera.StereoscopicEye.Right) : view.LeftViewFromWorld;
            view.RightClipFromView = both
                ? Clip(camera, Camera.StereoscopicEye.Right, intoTexture) : view.LeftClipFromView;
            return view;
        }

        /// <summary>A square picture by an avatar's own camera, the avatar's object at the world's origin.</summary>
        internal static CameraView Of(CapturedCamera camera, int sizePx, float depthMinimumNdc)
        {
            const float nearM = 0.01f, farM = 100;
            Matrix4x4 view = MatrixOf(camera.UnityViewFromWorld());
            Matrix4x4 clip = GL.GetGPUProjectionMatrix(MatrixOf(camera.UnityProjection(nearM, farM)), true);
            return new CameraView
            {
                EyeCount = 1,
                DepthMinimumNdc = depthMinimumNdc,
                TargetSize = new Vector2Int(sizePx, sizePx),
                LeftViewFromWorld = view,
                RightViewFromWorld = view,
                LeftClipFromView = clip,
                RightClipFromView = clip,
            };
        }

        /// <summary>Of sixteen numbers, row by row.</summary>
        public static Matrix4x4 MatrixOf(double[] rows)
        {
            Matrix4x4 matrix = Matrix4x4.identity;
            for (int i = 0; i < rows.Length; i++)
                matrix[i / 4, i % 4] = (float)rows[i];
            return matrix;
        }

        private static Matrix4x4 Clip(Camera camera, Camera.StereoscopicEye eye, bool intoTexture) =>
            GL.GetGPUProjectionMatrix(
                camera.stereoEnabled ? camera.GetStereoProjectionMatrix(eye) : camera.projectionMatrix, intoTexture);

        private static bool IsOpenGl =>
            SystemInfo.graphicsDeviceType == GraphicsDeviceType.OpenGLCore ||
            SystemInfo.graphicsDeviceType == GraphicsDeviceType.OpenGLES3;
    }
}
