#nullable enable
using System;
using System.Runtime.InteropServices;
using GStalker.Protocol;
using GStalker.Transport;
using UnityEngine;
using UnityEngine.Rendering;

namespace GStalker.Unity
{
    /// <summary>What of one avatar lies on the GPU; strides and meanings are in Documentation~/drawing.md.</summary>
    internal sealed class SplatBuffers : IDisposable
    {
        private const int GaussianBytes = 48;
        private const int SplatBytes = 32;
        private const int EyeOfPartBytes = 64;
        private const int Eyes = 2, Parts = 2;

        /// <summary>GsGaussian of GsTypes.hlsl.</summary>
        [StructLayout(LayoutKind.Sequential)]
        private struct Gaussian
        {
            internal float MeanX, MeanY, MeanZ, Opacity, QuatW, QuatX, QuatY, QuatZ, ScaleX, ScaleY, ScaleZ;
            internal uint Part;
        }

        internal readonly int Count, MoverCount, HarmonicsStored;
        internal readonly GraphicsBuffer Canonical, Harmonics, Posed, EyesOfParts, Splats, VisibleCount, DrawArguments;
        internal readonly GraphicsBuffer Weights, Ranks;
        internal readonly GraphicsBuffer[] Frames = new GraphicsBuffer[2];
        internal readonly SplatSort Sort;
        internal readonly Vector4 BoxMinimum, BoxStep;

        private readonly long[] _uploaded = { -1, -1 };
        private readonly FrameSlot?[] _uploadedSlot = new FrameSlot?[2];

        internal SplatBuffers(AvatarDescription avatar)
        {
            Count = avatar.GaussianCount;
            MoverCount = avatar.MoverCount;
            HarmonicsStored = avatar.ShCoeffs.Length / (3 * Count);
            Canonical = Structured(Count, GaussianBytes);
            Canonical.SetData(Records(avatar));
            Harmonics = Structured(avatar.ShCoeffs.Length, sizeof(float));
            Harmonics.SetData(avatar.ShCoeffs);
            Posed = Structured(Count, GaussianBytes);
            EyesOfParts = Structured(Eyes * Parts, EyeOfPartBytes);
            Splats = Structured(Eyes * Count, SplatBytes);
            VisibleCount = Structured(1, sizeof(uint));
            Weights = Structured(Count, sizeof(uint));
            Ranks = Structured(Count, sizeof(uint));
            Ranks.SetData(new uint[Count]); // all equal: nobody has been weighed yet
            DrawArguments = new GraphicsBuffer(
                GraphicsBuffer.Target.IndirectArguments | GraphicsBuffer.Target.Raw, 4, sizeof(uint));
            for (int i = 0; i < 2; i++)
                Frames[i] = new GraphicsBuffer(GraphicsBuffer.Target.Raw, Math.Max(4, 4 * MoverCount), sizeof(uint));
            Sort = new SplatSort(Count);
            MoverBox box = avatar.Box;
            BoxMinimum = new Vector4(box.MinX, box.MinY, box.MinZ, box.LogScaleMin);
            BoxStep = new Vector4(box.StepX, box.StepY, box.StepZ, box.LogScaleStep);
        }

        /// <summary>Bring two frames to the GPU, unless they are there; says which buffer holds which.</summary>
        internal void Upload(in PickedFrames picked, out GraphicsBuffer earlier, out GraphicsBuffer later)
        {
            int first = IsAt(1, picked.Earlier) ? 1 : IsAt(0, picked.Earlier) ? 0 : IsAt(0, picked.Later) ? 1 : 0;
            earlier = Place(first, picked.Earlier);
            later = ReferenceEquals(picked.Earlier, picked.Later) ? earlier : Place(1 - first, picked.Later);
        }

        private bool IsAt(int place, FrameSlot slot) =>
            ReferenceEquals(_uploadedSlot[place], slot) && _uploaded[place] == slot.Version;

        private GraphicsBuffer Place(int place, FrameSlot slot)
        {
            if (!IsAt(place, slot))
            {
                if (slot.Movers.Length > 0)
                    Frames[place].SetData(slot.Movers);
                (_uploaded[place], _uploadedSlot[place]) = (slot.Version, slot);
            }
            return Frames[place];
        }

        private static GraphicsBuffer Structured(int count, int bytes) =>
            new GraphicsBuffer(GraphicsBuffer.Target.Structured, Math.Max(1, count), bytes);

        private static Gaussian[] Records(AvatarDescription avatar)
        {
            var records = new Gaussian[avatar.GaussianCount];
            float[] mean = avatar.Means, quat = avatar.QuatsWxyz, scale = avatar.Scales;
            for (int i = 0; i < records.Length; i++)
            {
                records[i] = new Gaussian
                {
                    MeanX = mean[3 * i], MeanY = mean[3 * i + 1], MeanZ = mean[3 * i + 2],
                    Opacity = avatar.Opacities[i],
                    QuatW = quat[4 * i], QuatX = quat[4 * i + 1], QuatY = quat[4 * i + 2], QuatZ = quat[4 * i + 3],
                    ScaleX = scale[3 * i], ScaleY = scale[3 * i + 1], ScaleZ = scale[3 * i + 2],
                    Part = avatar.PartIds[i],
                };
            }
            return records;
        }

        public void Dispose()
        {
            foreach (GraphicsBuffer buffer in new[]
            {
                Canonical, Harmonics, Posed, EyesOfParts, Splats, VisibleCount, DrawArguments, Weights, Ranks,
                Frames[0], Frames[1],
            })
                buffer.Dispose();
            Sort.Dispose();
        }
    }
}
