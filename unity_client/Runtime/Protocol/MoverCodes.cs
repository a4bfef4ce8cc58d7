#nullable enable
using System;
using System.Buffers.Binary;

namespace GStalker.Protocol
{
    /// <summary>The box that the movers' codes divide (docs/protocol.md, "The 16 bytes of a mover").</summary>
    public readonly struct MoverBox
    {
        public readonly float MinX, MinY, MinZ, StepX, StepY, StepZ, LogScaleMin, LogScaleStep;

        public MoverBox(Numbers minM, Numbers maxM, double logScaleMin, double logScaleMax)
        {
            MinX = (float)minM[0];
            MinY = (float)minM[1];
            MinZ = (float)minM[2];
            StepX = (float)((maxM[0] - minM[0]) / Wire.PositionCodes);
            StepY = (float)((maxM[1] - minM[1]) / Wire.PositionCodes);
            StepZ = (float)((maxM[2] - minM[2]) / Wire.PositionCodes);
            LogScaleMin = (float)logScaleMin;
            LogScaleStep = (float)((logScaleMax - logScaleMin) / Wire.LogScaleCodes);
        }
    }

    /// <summary>One mover in the space of its part, metres.</summary>
    public struct Mover
    {
        public float X, Y, Z, Opacity, QuatW, QuatX, QuatY, QuatZ, ScaleX, ScaleY, ScaleZ;
    }

    /// <summary>Reads movers on the CPU, for tests and tools; for drawing the GPU does it (GsQuantised.hlsl).</summary>
    public static class MoverCodes
    {
        public static Mover Decode(ReadOnlySpan<byte> movers, int index, in MoverBox box)
        {
            ReadOnlySpan<byte> record = movers.Slice(index * Wire.BytesPerMover, Wire.BytesPerMover);
            uint scales = BinaryPrimitives.ReadUInt32LittleEndian(record.Slice(12));
            var mover = new Mover
            {
                X = box.MinX + U16(record, 0) * box.StepX,
                Y = box.MinY + U16(record, 2) * box.StepY,
                Z = box.MinZ + U16(record, 4) * box.StepZ,
                Opacity = U16(record, 6) / (float)Wire.PositionCodes,
                ScaleX = Scale(scales, box),
                ScaleY = Scale(scales >> 10, box),
                ScaleZ = Scale(scales >> 20, box),
            };
            DecodeRotation(BinaryPrimitives.ReadUInt32LittleEndian(record.Slice(8)), ref mover);
            return mover;
        }

        private static void DecodeRotation(uint word, ref Mover mover)
        {
            float a = Component(word), b = Component(word >> 10), c = Component(word >> 20);
            float largest = MathF.Sqrt(MathF.Max(1 - a * a - b * b - c * c, 0));
            (mover.QuatW, mover.QuatX, mover.QuatY, mover.QuatZ) = (word >> 30) switch
            {
                0 => (largest, a, b, c),
                1 => (a, largest, b, c),
                2 => (a, b, largest, c),
                _ => (a, b, c, largest),
            };
        }

        private static int U16(ReadOnlySpan<byte> record, int at) =>
            BinaryPrimitives.ReadUInt16LittleEndian(record.Slice(at));

        private static float Component(uint word) =>
            ((int)(word & 1023) - Wire.RotationZeroCode) / (Wire.RotationZeroCode * 1.41421356f);

        private static float Scale(uint word, in MoverBox box) =>
            MathF.Exp(box.LogScaleMin + (word & 1023) * box.LogScaleStep);
    }
}
