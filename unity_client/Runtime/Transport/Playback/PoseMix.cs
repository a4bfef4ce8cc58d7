#nullable enable
using System;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>A rigid transform between two: the turn along the shorter great arc, the translation on a line.</summary>
    public static class PoseMix
    {
        /// <param name="earlier">First three rows, row by row.</param>
        /// <param name="weight">0 the earlier, 1 the later.</param>
        public static Numbers Mix(in Numbers earlier, in Numbers later, double weight)
        {
            Span<double> a = stackalloc double[4], b = stackalloc double[4], rows = stackalloc double[12];
            QuatOf(earlier, a);
            QuatOf(later, b);
            double cosine = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
            double sign = cosine < 0 ? -1 : 1;
            cosine *= sign;
            double sine = 0;
            for (int i = 0; i < 4; i++)
                sine += Math.Pow(sign * b[i] - cosine * a[i], 2);
            double angle = Math.Atan2(Math.Sqrt(sine), cosine);
            bool same = angle < 1e-9; // the same turn, to the last bits of a double
            double shareA = same ? 1 - weight : Math.Sin((1 - weight) * angle) / Math.Sin(angle);
            double shareB = sign * (same ? weight : Math.Sin(weight * angle) / Math.Sin(angle));
            for (int i = 0; i < 4; i++)
                a[i] = shareA * a[i] + shareB * b[i];
            RowsOf(a, rows);
            for (int row = 0; row < 3; row++)
                rows[4 * row + 3] = (1 - weight) * earlier[4 * row + 3] + weight * later[4 * row + 3];
            return new Numbers(rows);
        }

        // The largest component first, so that no square root is of a small difference.
        private static void QuatOf(in Numbers m, Span<double> wxyz)
        {
            double xx = m[0], yy = m[5], zz = m[10];
            Span<double> four = stackalloc double[] { 1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz };
            int largest = 0;
            for (int i = 1; i < 4; i++)
                largest = four[i] > four[largest] ? i : largest;
            double root = Math.Sqrt(four[largest]), half = 0.5 / root;
            double zy = m[9] - m[6], xz = m[2] - m[8], yx = m[4] - m[1];
            double xy = m[1] + m[4], zx = m[2] + m[8], yz = m[6] + m[9];
            (wxyz[0], wxyz[1], wxyz[2], wxyz[3]) = largest switch
            {
                0 => (root / 2, zy * half, xz * half, yx * half),
                1 => (zy * half, root / 2, xy * half, zx * half),
                2 => (xz * half, xy * half, root / 2, yz * half),
                _ => (yx * half, zx * half, yz * half, root / 2),
            };
        }

        private static void RowsOf(Span<double> q, Span<double> rows)
        {
            double length = Math.Sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
            double w = q[0] / length, x = q[1] / length, y = q[2] / length, z = q[3] / length;
            (rows[0], rows[1], rows[2]) = (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y));
            (rows[4], rows[5], rows[6]) = (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x));
            (rows[8], rows[9], rows[10]) = (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y));
        }
    }
}
