#nullable enable
using System;
using GStalker.Protocol;
using GStalker.Transport;
using UnityEngine;
using UnityEngine.Rendering;

namespace GStalker.Unity
{
    /// <summary>Draws one avatar: mixes its frames once a picture, projects and sorts once a camera.</summary>
    internal sealed class SplatRenderer : IDisposable
    {
        private const int Threads = 64;
        private const int Tile = 16;
        private const int WeighedPx = 256; // of the small picture that tells which splats show
        private const float WeighEveryS = 1;
        private const int MostWeighings = 60; // a minute of speech opens the mouth in every way

        private readonly SplatShaders _shaders = SplatShaders.Load();
        private readonly SplatBuffers _buffers;
        private readonly Matrix4x4[] _avatarFromPart = new Matrix4x4[2], _views = new Matrix4x4[2], _clips = new Matrix4x4[2];
        private readonly MaterialPropertyBlock _properties = new MaterialPropertyBlock();
        private GraphicsBuffer? _drawnOrder;
        private float _weighedAtS = float.NegativeInfinity;
        private int _weighings;

        internal SplatRenderer(AvatarDescription avatar)
        {
            Avatar = avatar;
            _buffers = new SplatBuffers(avatar);
        }

        internal readonly AvatarDescription Avatar;

        /// <summary>Of the frame shown last.</summary>
        internal Matrix4x4 AvatarFromHead => _avatarFromPart[0];

        /// <summary>Whether there is anything to draw yet.</summary>
        internal bool HasFrame { get; private set; }

        /// <summary>Two frames and the share of the later one: every Gaussian in its part's space.</summary>
        internal void Show(CommandBuffer commands, in PickedFrames picked)
        {
            ComputeShader avatar = _shaders.Avatar!;
            int kernel = _shaders.MixFrames;
            _buffers.Upload(picked, out GraphicsBuffer earlier, out GraphicsBuffer later);
            Numbers head = PoseMix.Mix(picked.Earlier.AvatarFromHead, picked.Later.AvatarFromHead, picked.Weight);
            Numbers torso = PoseMix.Mix(picked.Earlier.AvatarFromTorso, picked.Later.AvatarFromTorso, picked.Weight);
            (_avatarFromPart[0], _avatarFromPart[1]) = (MatrixOf(head), MatrixOf(torso));
            commands.SetComputeIntParam(avatar, ShaderIds.GaussianCount, _buffers.Count);
            commands.SetComputeIntParam(avatar, ShaderIds.MoverCount, _buffers.MoverCount);
            commands.SetComputeVectorParam(avatar, ShaderIds.BoxMinimum, _buffers.BoxMinimum);
            commands.SetComputeVectorParam(avatar, ShaderIds.BoxStep, _buffers.BoxStep);
            commands.SetComputeFloatParam(avatar, ShaderIds.FrameMix, (float)picked.Weight);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.Canonical, _buffers.Canonical);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.FrameA, earlier);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.FrameB, later);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.PosedOut, _buffers.Posed);
            commands.DispatchCompute(avatar, kernel, Groups, 1, 1);
            HasFrame = true;
        }

        /// <summary>Splats as a camera sees them, in order.</summary>
        internal void Project(CommandBuffer commands, in CameraView view, Matrix4x4 worldFromObject, in SplatQuality quality)
        {
            uint budget = uint.MaxValue;
            if (quality.SplatShare < 1)
            {
                if (_weighings < MostWeighings && Time.unscaledTime > _weighedAtS + WeighEveryS)
                    Weigh(commands, view.DepthMinimumNdc);
                budget = (uint)Mathf.Max(1, Mathf.RoundToInt(quality.SplatShare * _buffers.Count));
            }
            ProjectAs(commands, view, worldFromObject, budget);
            ComputeShader avatar = _shaders.Avatar!;
            commands.SetComputeIntParam(avatar, ShaderIds.EyesPerDraw, view.IsEyeArray ? 2 : 1);
            commands.SetComputeIntParam(avatar, ShaderIds.Corners, quality.Corners);
            commands.SetComputeBufferParam(avatar, _shaders.WriteDrawArguments, ShaderIds.VisibleCount, _buffers.VisibleCount);
            commands.SetComputeBufferParam(avatar, _shaders.WriteDrawArguments, ShaderIds.DrawArguments, _buffers.DrawArguments);
            commands.DispatchCompute(avatar, _shaders.WriteDrawArguments, 1, 1, 1);
        }

        /// <summary>After Project: the splats of one eye, or of both where the target is an array.</summary>
        internal void Draw(CommandBuffer commands, Material material, int pass, in CameraView view, int eye, int corners)
        {
            _properties.SetBuffer(ShaderIds.Splats, _buffers.Splats);
            _properties.SetBuffer(ShaderIds.Order, _drawnOrder!);
            _properties.SetInt(ShaderIds.GaussianCount, _buffers.Count);
            _properties.SetInt(ShaderIds.Eye, eye);
            _properties.SetInt(ShaderIds.Corners, corners);
            _properties.SetVector(ShaderIds.TargetSize, (Vector2)view.TargetSize);
            commands.DrawProceduralIndirect(
                Matrix4x4.identity, material, pass, MeshTopology.Triangles, _buffers.DrawArguments, 0, _properties);
        }

        private void ProjectAs(CommandBuffer commands, in CameraView view, Matrix4x4 worldFromObject, uint budget)
        {
            ComputeShader avatar = _shaders.Avatar!;
            int kernel = _shaders.ProjectSplats;
            (_views[0], _views[1]) = (view.LeftViewFromWorld, view.RightViewFromWorld);
            (_clips[0], _clips[1]) = (view.LeftClipFromView, view.RightClipFromView);
            commands.SetComputeIntParam(avatar, ShaderIds.GaussianCount, _buffers.Count);
            commands.SetComputeIntParam(avatar, ShaderIds.EyeCount, view.EyeCount);
            commands.SetComputeIntParam(avatar, ShaderIds.Budget, unchecked((int)budget));
            commands.SetComputeIntParam(avatar, ShaderIds.HarmonicsStored, _buffers.HarmonicsStored);
            commands.SetComputeIntParam(avatar, ShaderIds.HarmonicsUsed, _buffers.HarmonicsStored);
            commands.SetComputeFloatParam(avatar, ShaderIds.DepthMinimumNdc, view.DepthMinimumNdc);
            commands.SetComputeVectorParam(avatar, ShaderIds.TargetSize, (Vector2)view.TargetSize);
            commands.SetComputeMatrixParam(avatar, ShaderIds.WorldFromObject, worldFromObject);
            commands.SetComputeMatrixArrayParam(avatar, ShaderIds.AvatarFromPart, _avatarFromPart);
            commands.SetComputeMatrixArrayParam(avatar, ShaderIds.ViewFromWorld, _views);
            commands.SetComputeMatrixArrayParam(avatar, ShaderIds.ClipFromView, _clips);
            commands.SetComputeBufferParam(avatar, _shaders.SeeParts, ShaderIds.VisibleCount, _buffers.VisibleCount);
            commands.SetComputeBufferParam(avatar, _shaders.SeeParts, ShaderIds.EyesOfPartsOut, _buffers.EyesOfParts);
            commands.DispatchCompute(avatar, _shaders.SeeParts, 1, 1, 1);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.Posed, _buffers.Posed);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.EyesOfParts, _buffers.EyesOfParts);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.Ranks, _buffers.Ranks);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.Harmonics, _buffers.Harmonics);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.VisibleCount, _buffers.VisibleCount);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.SplatsOut, _buffers.Splats);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.KeysOut, _buffers.Sort.Keys);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.OrderOut, _buffers.Sort.Order);
            commands.DispatchCompute(avatar, kernel, Groups, 1, 1);
            _drawnOrder = _buffers.Sort.Run(commands, _shaders, SplatSort.DepthKeyBits);
        }

        // A small picture by the avatar's own camera tells which splats show; the greatest weight ever seen is kept.
        private void Weigh(CommandBuffer commands, float depthMinimumNdc)
        {
            ComputeShader avatar = _shaders.Avatar!;
            CameraView small = CameraView.Of(CapturedCamera.Of(Avatar), WeighedPx, depthMinimumNdc);
            if (_weighings == 0)
            {
                commands.SetComputeIntParam(avatar, ShaderIds.GaussianCount, _buffers.Count);
                commands.SetComputeBufferParam(avatar, _shaders.ClearWeights, ShaderIds.Weights, _buffers.Weights);
                commands.DispatchCompute(avatar, _shaders.ClearWeights, Groups, 1, 1);
            }
            ProjectAs(commands, small, Matrix4x4.identity, uint.MaxValue);
            int kernel = _shaders.WeighSplats;
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.SplatsIn, _buffers.Splats);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.Order, _drawnOrder!);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.VisibleCountIn, _buffers.VisibleCount);
            commands.SetComputeBufferParam(avatar, kernel, ShaderIds.Weights, _buffers.Weights);
            commands.DispatchCompute(avatar, kernel, (small.TargetSize.x + Tile - 1) / Tile, (small.TargetSize.y + Tile - 1) / Tile, 1);
            commands.SetComputeBufferParam(avatar, _shaders.RankByWeight, ShaderIds.Weights, _buffers.Weights);
            commands.SetComputeBufferParam(avatar, _shaders.RankByWeight, ShaderIds.KeysOut, _buffers.Sort.Keys);
            commands.SetComputeBufferParam(avatar, _shaders.RankByWeight, ShaderIds.OrderOut, _buffers.Sort.Order);
            commands.DispatchCompute(avatar, _shaders.RankByWeight, Groups, 1, 1);
            GraphicsBuffer order = _buffers.Sort.Run(commands, _shaders, SplatSort.AllKeyBits);
            commands.SetComputeBufferParam(avatar, _shaders.StoreRanks, ShaderIds.Order, order);
            commands.SetComputeBufferParam(avatar, _shaders.StoreRanks, ShaderIds.RanksOut, _buffers.Ranks);
            commands.DispatchCompute(avatar, _shaders.StoreRanks, Groups, 1, 1);
            (_weighedAtS, _weighings) = (Time.unscaledTime, _weighings + 1);
        }

        private int Groups => (_buffers.Count + Threads - 1) / Threads;

        private static Matrix4x4 MatrixOf(in Numbers rows)
        {
            Matrix4x4 matrix = Matrix4x4.identity;
            for (int i = 0; i < 12; i++)
                matrix[i / 4, i % 4] = (float)rows[i];
            return matrix;
        }

        public void Dispose() => _buffers.Dispose();
    }
}
