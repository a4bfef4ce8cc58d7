#nullable enable
using System;
using UnityEngine;
using UnityEngine.Rendering;

namespace GStalker.Unity
{
    /// <summary>Keys with their payload, sorted on the GPU by GaussianSort.compute.</summary>
    internal sealed class SplatSort : IDisposable
    {
        internal const int DepthKeyBits = 28;
        internal const int AllKeyBits = 32;

        private const int Block = 1024;
        private const int Digits = 16;

        private readonly GraphicsBuffer[] _keys = new GraphicsBuffer[2], _order = new GraphicsBuffer[2];
        private readonly GraphicsBuffer _counts;
        private readonly int _count, _blocks;

        internal SplatSort(int count)
        {
            _count = count;
            _blocks = (count + Block - 1) / Block;
            for (int i = 0; i < 2; i++)
            {
                _keys[i] = new GraphicsBuffer(GraphicsBuffer.Target.Structured, count, sizeof(uint));
                _order[i] = new GraphicsBuffer(GraphicsBuffer.Target.Structured, count, sizeof(uint));
            }
            _counts = new GraphicsBuffer(GraphicsBuffer.Target.Structured, Digits * _blocks, sizeof(uint));
        }

        /// <summary>Where keys and payload are to be written before sorting.</summary>
        internal GraphicsBuffer Keys => _keys[0];

        internal GraphicsBuffer Order => _order[0];

        /// <returns>The payload in ascending order of the keys' lowest bits.</returns>
        internal GraphicsBuffer Run(CommandBuffer commands, SplatShaders shaders, int bits)
        {
            ComputeShader sort = shaders.Sort!;
            int source = 0;
            commands.SetComputeIntParam(sort, ShaderIds.KeyCount, _count);
            commands.SetComputeIntParam(sort, ShaderIds.BlockCount, _blocks);
            for (int shift = 0; shift < bits; shift += 4)
            {
                int target = 1 - source;
                commands.SetComputeIntParam(sort, ShaderIds.Shift, shift);
                commands.SetComputeBufferParam(sort, shaders.CountDigits, ShaderIds.SourceKeys, _keys[source]);
                commands.SetComputeBufferParam(sort, shaders.CountDigits, ShaderIds.DigitCounts, _counts);
                commands.DispatchCompute(sort, shaders.CountDigits, _blocks, 1, 1);
                commands.SetComputeBufferParam(sort, shaders.ScanCounts, ShaderIds.DigitCounts, _counts);
                commands.DispatchCompute(sort, shaders.ScanCounts, 1, 1, 1);
                commands.SetComputeBufferParam(sort, shaders.ScatterKeys, ShaderIds.SourceKeys, _keys[source]);
                commands.SetComputeBufferParam(sort, shaders.ScatterKeys, ShaderIds.SourceOrder, _order[source]);
                commands.SetComputeBufferParam(sort, shaders.ScatterKeys, ShaderIds.SortedKeys, _keys[target]);
                commands.SetComputeBufferParam(sort, shaders.ScatterKeys, ShaderIds.SortedOrder, _order[target]);
                commands.SetComputeBufferParam(sort, shaders.ScatterKeys, ShaderIds.DigitCounts, _counts);
                commands.DispatchCompute(sort, shaders.ScatterKeys, _blocks, 1, 1);
                source = target;
            }
            return _order[source];
        }

        public void Dispose()
        {
            for (int i = 0; i < 2; i++)
            {
                _keys[i].Dispose();
                _order[i].Dispose();
            }
            _counts.Dispose();
        }
    }
}
