// Stand-in, see Mathematics.cs.
#nullable enable
using System;
using UnityEngine.Experimental.Rendering;
using UnityEngine.Rendering;

namespace UnityEngine
{
    public sealed class Shader : Object { public static int PropertyToID(string name) => 0; }

    public sealed class ComputeShader : Object { public int FindKernel(string name) => 0; }

    public sealed class Material : Object
    {
        public Material(Shader? shader) { }
        public int FindPass(string name) => 0;
        public void EnableKeyword(string keyword) { }
    }

    public sealed class MaterialPropertyBlock
    {
        public void SetBuffer(int id, GraphicsBuffer buffer) { }
        public void SetInt(int id, int value) { }
        public void SetVector(int id, Vector4 value) { }
    }

    public sealed class GraphicsBuffer : IDisposable
    {
        [Flags]
        public enum Target { Structured = 16, Raw = 32, IndirectArguments = 256 }
        public GraphicsBuffer(Target target, int count, int stride) { }
        public void SetData(Array data) { }
        public void Dispose() { }
    }

    public class Texture : Object
    {
        public TextureDimension dimension;
    }

    public sealed class RenderTexture : Texture
    {
        public static RenderTexture? active;
        public int volumeDepth;
        public static RenderTexture GetTemporary(int w, int h, int depth, RenderTextureFormat f, RenderTextureReadWrite rw) => new RenderTexture();
        public static void ReleaseTemporary(RenderTexture texture) { }
    }

    public sealed class Texture2D : Texture
    {
        public Texture2D(int width, int height, TextureFormat format, bool mipChain) { }
        public void ReadPixels(Rect source, int x, int y) { }
        public void Apply() { }
    }

    public static class ImageConversion
    {
        public static byte[] EncodeToPNG(this Texture2D texture) => Array.Empty<byte>();
        public static bool LoadImage(this Texture2D texture, byte[] data) => false;
    }

    public enum TextureFormat { RGB24 }

    public enum RenderTextureFormat { ARGB32 }

    public enum RenderTextureReadWrite { sRGB }

    public enum MeshTopology { Triangles }

    public enum CubemapFace { Unknown = -1 }

    public enum ColorSpace { Gamma, Linear }

    public enum CameraClearFlags { SolidColor }

    [Flags]
    public enum DepthTextureMode { None, Depth }

    public static class QualitySettings { public static ColorSpace activeColorSpace => ColorSpace.Linear; }

    public static class Graphics { public static void ExecuteCommandBuffer(CommandBuffer commands) { } }

    public static class GL { public static Matrix4x4 GetGPUProjectionMatrix(Matrix4x4 m, bool intoTexture) => m; }

    public static class SystemInfo
    {
        public static bool supportsComputeShaders => true;
        public static GraphicsDeviceType graphicsDeviceType => default;
    }

    public struct RenderTextureDescriptor
    {
        public int width, height, volumeDepth, msaaSamples;
        public bool useMipMap { get; set; }
        public TextureDimension dimension;
        public RenderTextureDescriptor(int w, int h, GraphicsFormat format, int depthBits) : this() => (width, height) = (w, h);
    }

    public sealed class Camera : Behaviour
    {
        public delegate void CameraCallback(Camera camera);
        public enum StereoscopicEye { Left, Right }
        public enum MonoOrStereoscopicEye { Left, Right, Mono }
        public static CameraCallback? onPreCull;
        public static Camera main => null!;
        public int cullingMask, pixelWidth, pixelHeight;
        public bool stereoEnabled, allowMSAA, allowHDR, forceIntoRenderTexture;
        public float nearClipPlane, farClipPlane;
        public Color backgroundColor;
        public CameraClearFlags clearFlags;
        public DepthTextureMode depthTextureMode;
        public MonoOrStereoscopicEye stereoActiveEye;
        public Matrix4x4 worldToCameraMatrix, projectionMatrix;
        public Rect pixelRect;
        public RenderTexture? targetTexture;
        public Matrix4x4 GetStereoViewMatrix(StereoscopicEye eye) => default;
        public Matrix4x4 GetStereoProjectionMatrix(StereoscopicEye eye) => default;
        public void AddCommandBuffer(CameraEvent when, CommandBuffer commands) { }
        public void Render() { }
    }
}

namespace UnityEngine.Experimental.Rendering
{
    public enum GraphicsFormat { R16G16B16A16_SFloat }
}

namespace UnityEngine.XR
{
    public static class XRSettings
    {
        public enum StereoRenderingMode { MultiPass, SinglePass, SinglePassInstanced }
        public static StereoRenderingMode stereoRenderingMode => default;
    }
}
