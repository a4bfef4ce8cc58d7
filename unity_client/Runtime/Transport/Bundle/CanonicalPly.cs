#nullable enable
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;

namespace GStalker.Transport
{
    /// <summary>The canonical Gaussians from a standard 3DGS PLY: float32 columns, scales as logarithms, opacities as
    /// logits.</summary>
    public static class CanonicalPly
    {
        private const string EndOfHeader = "end_header\n";

        /// <summary>Fill in the avatar's Gaussians, torso ones taken back to torso space.</summary>
        /// <exception cref="AvatarException">No such file.</exception>
        public static void Read(byte[] ply, AvatarDescription avatar, double[] torsoOriginM)
        {
            string start = Encoding.ASCII.GetString(ply, 0, Math.Min(ply.Length, 8192));
            int end = start.IndexOf(EndOfHeader, StringComparison.Ordinal);
            if (end < 0 || !start.StartsWith("ply\nformat binary_little_endian 1.0\n", StringComparison.Ordinal))
                throw new AvatarException("canonical.ply: expected a binary little-endian PLY, got something else.");
            var columns = new List<string>();
            int count = 0;
            foreach (string line in start.Substring(0, end).Split('\n'))
            {
                string[] words = line.Split(' ');
                if (words[0] == "element")
                    count = int.Parse(words[2]);
                else if (words[0] == "property" && words[1] == "float")
                    columns.Add(words[2]);
                else if (words[0] == "property")
                    throw new AvatarException($"canonical.ply: expected float columns, got {line}.");
            }
            int data = end + EndOfHeader.Length, width = columns.Count;
            if (count != avatar.GaussianCount || ply.Length - data != 4L * count * width)
                throw new AvatarException($"canonical.ply: expected {avatar.GaussianCount} Gaussians, got {count}, or a part of them.");
            ReadOnlySpan<float> values = MemoryMarshal.Cast<byte, float>(new ReadOnlySpan<byte>(ply, data, 4 * count * width));
            avatar.Means = Columns(values, columns, count, "x", "y", "z");
            avatar.QuatsWxyz = Columns(values, columns, count, "rot_0", "rot_1", "rot_2", "rot_3");
            avatar.Scales = Array.ConvertAll(Columns(values, columns, count, "scale_0", "scale_1", "scale_2"), MathF.Exp);
            avatar.Opacities = Array.ConvertAll(Columns(values, columns, count, "opacity"), logit => 1 / (1 + MathF.Exp(-logit)));
            avatar.ShCoeffs = Columns(values, columns, count, "f_dc_0", "f_dc_1", "f_dc_2");
            for (int i = 0; i < count; i++)
            {
                for (int axis = 0; axis < 3 && avatar.PartIds[i] == 1; axis++)
                    avatar.Means[3 * i + axis] = (float)(avatar.Means[3 * i + axis] - torsoOriginM[axis]);
            }
        }

        private static float[] Columns(ReadOnlySpan<float> values, List<string> columns, int count, params string[] names)
        {
            var read = new float[count * names.Length];
            for (int n = 0; n < names.Length; n++)
            {
                int column = columns.IndexOf(names[n]);
                if (column < 0)
                    throw new AvatarException($"canonical.ply: expected the column {names[n]}, it is missing.");
                for (int i = 0; i < count; i++)
                    read[i * names.Length + n] = values[i * columns.Count + column];
            }
            return read;
        }
    }
}
