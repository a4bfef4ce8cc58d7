// Stand-in for URP 14 and 17 and HDRP, see Mathematics.cs.
#nullable enable
using System;

namespace UnityEngine.Rendering.RenderGraphModule
{
    [Flags]
    public enum AccessFlags { Read = 1, ReadWrite = 3 }

    public struct TextureHandle { public static implicit operator RTHandle(TextureHandle handle) => null!; }

    public sealed class UnsafeGraphContext { public UnsafeCommandBuffer cmd = null!; }

    public delegate void BaseRenderFunc<T, U>(T data, U context);

    public interface IUnsafeRenderGraphBuilder : IDisposable
    {
        void UseTexture(in TextureHandle texture, AccessFlags flags);
        void AllowPassCulling(bool value);
        void SetRenderFunc<T>(BaseRenderFunc<T, UnsafeGraphContext> function) where T : class, new();
    }

    public sealed class RenderGraph
    {
        public IUnsafeRenderGraphBuilder AddUnsafePass<T>(string name, out T data) where T : class, new()
        {
            data = new T();
            return null!;
        }
    }
}

namespace UnityEngine.Rendering.Universal
{
    using UnityEngine.Rendering.RenderGraphModule;

    public enum RenderPassEvent { BeforeRenderingTransparents }

    [Flags]
    public enum ScriptableRenderPassInput { Depth = 1, Color = 4 }

    public sealed class DisallowMultipleRendererFeature : Attribute { public DisallowMultipleRendererFeature(string name) { } }

    public sealed class UniversalResourceData { public TextureHandle activeColorTexture, cameraDepthTexture, activeDepthTexture; }

    public sealed class UniversalCameraData
    {
        public Camera camera = null!;
        public RenderTextureDescriptor cameraTargetDescriptor;
    }

    public class ScriptableRenderer
    {
        public RTHandle cameraColorTargetHandle => null!;
        public RTHandle cameraDepthTargetHandle => null!;
        public void EnqueuePass(ScriptableRenderPass pass) { }
    }

    public struct CameraData
    {
        public Camera camera;
        public ScriptableRenderer renderer;
        public RenderTextureDescriptor cameraTargetDescriptor;
    }

    public struct RenderingData { public CameraData cameraData; }

    public abstract class ScriptableRenderPass
    {
        public RenderPassEvent renderPassEvent { get; set; }
        public void ConfigureInput(ScriptableRenderPassInput input) { }
        public virtual void Execute(ScriptableRenderContext context, ref RenderingData data) { }
        public virtual void RecordRenderGraph(RenderGraph graph, ContextContainer frame) { }
    }

    public abstract class ScriptableRendererFeature : ScriptableObject
    {
        public abstract void Create();
        public abstract void AddRenderPasses(ScriptableRenderer renderer, ref RenderingData data);
    }
}

namespace UnityEngine.Rendering.HighDefinition
{
    public sealed class HDCamera
    {
        public Camera camera = null!;
        public int actualWidth, actualHeight;
    }

    public struct CustomPassContext
    {
        public CommandBuffer cmd;
        public HDCamera hdCamera;
        public RTHandle cameraColorBuffer, cameraDepthBuffer;
    }

    public abstract class CustomPass { protected virtual void Execute(CustomPassContext ctx) { } }
}
