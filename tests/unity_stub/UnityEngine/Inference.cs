// Stand-in for Unity's Inference Engine (com.unity.ai.inference), see Mathematics.cs.
#nullable enable
using System;
using UnityEngine;

namespace Unity.InferenceEngine
{
    public enum BackendType { CPU, GPUCompute }

    public sealed class ModelAsset : ScriptableObject { }

    public sealed class Model { }

    public static class ModelLoader { public static Model Load(ModelAsset asset) => new Model(); }

    public struct TensorShape { public TensorShape(params int[] sizes) { } }

    public abstract class Tensor : IDisposable { public void Dispose() { } }

    public sealed class Tensor<T> : Tensor where T : unmanaged
    {
        public Tensor(TensorShape shape, T[] data) { }
        public void Upload(T[] data) { }
        public T[] DownloadToArray() => Array.Empty<T>();
    }

    public sealed class Worker : IDisposable
    {
        public Worker(Model model, BackendType type) { }
        public void SetInput(string name, Tensor tensor) { }
        public void Schedule() { }
        public Tensor PeekOutput(string name) => null!;
        public void Dispose() { }
    }
}
