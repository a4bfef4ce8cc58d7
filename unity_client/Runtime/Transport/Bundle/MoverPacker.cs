#nullable enable
using System;
using System.Buffers.Binary;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>
    /// The networks' deltas onto the canonical movers, and those into the wire's 16 bytes, so that frames made on the
    /// device are drawn as received ones are. docs/conventions.md, "Gaussians", has the rule.
    /// </summary>
    public sealed class MoverPacker
    {
        private readonly AvatarBundle _bundle;
        private readonly MoverBox _box;

        public MoverPacker(AvatarBundle bundle)
        {
            _bundle = bundle;
            _box = bundle.Avatar.Box;
        }

        /// <param name="deltas">Eleven for each mover of the head.</param>
        /// <param name="torsoDeltas">Three for each mover of the torso.</param>
        /// <param name="movers">16 bytes each.</param>
        /// <returns>How many values lay outside of the box and were held at its edge; on a server that refuses a frame.</returns>
        public int Pack(float[] deltas, float[] torsoDeltas, byte[] movers)
        {
            AvatarDescription a = _bundle.Avatar;
            int outside = 0;
            for (int i = 0; i < a.MoverCount; i++)
            {
                bool head = i < _bundle.HeadMovers;
                ReadOnlySpan<float> d = head ? deltas.AsSpan(11 * i, 11) : torsoDeltas.AsSpan(3 * (i - _bundle.HeadMovers), 3);
                Span<byte> record = movers.AsSpan(Wire.BytesPerMover * i, Wire.BytesPerMover);
                outside += Code(record, 0, (a.Means[3 * i] + d[0] - _box.MinX) / _box.StepX);
                outside += Code(record, 2, (a.Means[3 * i + 1] + d[1] - _box.MinY) / _box.StepY);
                outside += Code(record, 4, (a.Means[3 * i + 2] + d[2] - _box.MinZ) / _box.StepZ);
                float opacity = a.Opacities[i];
                if (head)
                {
                    float bounded = Math.Max(1e-7f, Math.Min(1 - 1e-7f, opacity));
                    opacity = 1 / (1 + MathF.Exp(-(MathF.Log(bounded / (1 - bounded)) + d[10])));
                }
                Code(record, 6, opacity * Wire.PositionCodes);
                BinaryPrimitives.WriteUInt32LittleEndian(record.Slice(8), Rotation(a.QuatsWxyz, 4 * i, head ? d.Slice(3, 4) : default));
                uint scales = 0;
                for (int axis = 0; axis < 3; axis++)
                {
                    float log = MathF.Log(a.Scales[3 * i + axis]) + (head ? d[7 + axis] : 0);
                    float code = MathF.Round((log - _box.LogScaleMin) / _box.LogScaleStep);
                    outside += code >= 0 && code <= Wire.LogScaleCodes ? 0 : 1;
                    scales |= (uint)Math.Max(0, Math.Min(Wire.LogScaleCodes, code)) << (10 * axis);
                }
                BinaryPrimitives.WriteUInt32LittleEndian(record.Slice(12), scales);
            }
            return outside;
        }

        private static int Code(Span<byte> record, int at, float value)
        {
            float code = MathF.Round(value);
            bool fits = code >= 0 && code <= Wire.PositionCodes;
            BinaryPrimitives.WriteUInt16LittleEndian(
                record.Slice(at), (ushort)(fits ? code : code > 0 ? Wire.PositionCodes : 0));
            return fits ? 0 : 1;
        }

        private static uint Rotation(float[] quats, int at, ReadOnlySpan<float> delta)
        {
            Span<float> q = stackalloc float[4];
            float length = 0;
            for (int k = 0; k < 4; k++)
                length += quats[at + k] * quats[at + k];
            float unit = 1 / MathF.Sqrt(length);
            int largest = 0;
            length = 0;
            for (int k = 0; k < 4; k++)
            {
                q[k] = quats[at + k] * unit + (delta.IsEmpty ? 0 : delta[k]);
                length += q[k] * q[k];
                largest = MathF.Abs(q[k]) > MathF.Abs(q[largest]) ? k : largest;
            }
            float scale = MathF.Sign(q[largest]) / MathF.Sqrt(length) * Wire.RotationZeroCode * 1.41421356f;
            uint word = (uint)largest << 30;
            for (int k = 0, shift = 0; k < 4; k++)
            {
                if (k == largest)
                    continue;
                float code = MathF.Round(q[k] * scale) + Wire.RotationZeroCode;
                word |= (uint)Math.Max(0, Math.Min(2 * Wire.RotationZeroCode, code)) << shift;
                shift += 10;
            }
            return word;
        }
    }
}
