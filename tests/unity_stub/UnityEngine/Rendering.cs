// Stand-in, see Mathematics.cs.
#nullable enable
using System;

namespace UnityEngine.Rendering
{
    public enum GraphicsDeviceType { OpenGLCore, OpenGLES3, Vulkan }

    public enum TextureDimension { Tex2D, Tex2DArray }

    public enum CameraEvent { BeforeForwardAlpha }

    public enum BuiltinRenderTextureType { CameraTarget, ResolvedDepth }

    public class RenderPipelineAsset : Object { }

    public static class GraphicsSettings { public static RenderPipelineAsset? currentRenderPipeline => null; }

    public struct RenderTargetIdentifier
    {
        public const int AllDepthSlices = -1;
        public RenderTargetIdentifier(int nameId, int mip, CubemapFace face, int slice) { }
        public RenderTargetIdentifier(RenderTargetIdentifier id, int mip, CubemapFace face, int slice) { }
        public static implicit operator RenderTargetIdentifier(int nameId) => default;
        public static implicit operator RenderTargetIdentifier(BuiltinRenderTextureType type) => default;
    }

    public sealed class CommandBuffer : IDisposable
    {
        public string name = "";
        public void Clear() { }
        public void Dispose() { }
        public void BeginSample(string sample) { }
        public void EndSample(string sample) { }
        public void SetComputeIntParam(ComputeShader shader, int id, int value) { }
        public void SetComputeFloatParam(ComputeShader shader, int id, float value) { }
        public void SetComputeVectorParam(ComputeShader shader, int id, Vector4 value) { }
        public void SetComputeMatrixParam(ComputeShader shader, int id, Matrix4x4 value) { }
        public void SetComputeMatrixArrayParam(ComputeShader shader, int id, Matrix4x4[] values) { }
        public void SetComputeBufferParam(ComputeShader shader, int kernel, int id, GraphicsBuffer buffer) { }
        public void DispatchCompute(ComputeShader shader, int kernel, int x, int y, int z) { }
        public void DrawProcedural(Matrix4x4 m, Material material, int pass, MeshTopology topology, int vertices, int instances) { }
        public void DrawProceduralIndirect(
            Matrix4x4 m, Material material, int pass, MeshTopology topology, GraphicsBuffer arguments, int offset, MaterialPropertyBlock p) { }
        public void GetTemporaryRT(int id, RenderTextureDescriptor descriptor) { }
        public void ReleaseTemporaryRT(int id) { }
        public void SetRenderTarget(RenderTargetIdentifier target) { }
        public void SetRenderTarget(RenderTargetIdentifier color, RenderTargetIdentifier depth, int mip, CubemapFace face, int slice) { }
        public void ClearRenderTarget(bool depth, bool color, Color background) { }
        public void SetGlobalTexture(int id, RenderTargetIdentifier texture) { }
        public void SetGlobalVector(int id, Vector4 value) { }
        public void SetGlobalFloat(int id, float value) { }
        public void SetViewport(Rect rect) { }
        public void Blit(RenderTargetIdentifier from, RenderTargetIdentifier to) { }
    }

    public sealed class RTHandle
    {
        public RenderTexture rt => null!;
        public RenderTargetIdentifier nameID => default;
        public static implicit operator RenderTargetIdentifier(RTHandle handle) => default;
    }

    public struct ScriptableRenderContext { public void ExecuteCommandBuffer(CommandBuffer commands) { } }

    public static class CommandBufferPool
    {
        public static CommandBuffer Get(string name) => new CommandBuffer();
        public static void Release(CommandBuffer commands) { }
    }

    public sealed class ContextContainer { public T Get<T>() => default!; }

    public static class CommandBufferHelpers
    {
        public static CommandBuffer GetNativeCommandBuffer(UnsafeCommandBuffer commands) => null!;
    }

    public sealed class UnsafeCommandBuffer { }
}
