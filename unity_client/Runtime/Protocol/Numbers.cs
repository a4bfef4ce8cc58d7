#nullable enable
using System;

namespace GStalker.Protocol
{
    /// <summary>Up to twelve numbers of a header field, held without an array on the heap.</summary>
    public unsafe struct Numbers
    {
        /// <summary>The first three rows of a transform are the longest list there is.</summary>
        public const int Most = 12;

        private fixed double _values[Most];

        public int Count { get; private set; }

        public Numbers(ReadOnlySpan<double> values)
        {
            if (values.Length > Most)
                throw new ArgumentException($"Numbers: expected at most {Most}, got {values.Length}.");
            Count = values.Length;
            for (int i = 0; i < values.Length; i++)
                _values[i] = values[i];
        }

        public readonly double this[int i] =>
            (uint)i < (uint)Count ? _values[i] : throw new IndexOutOfRangeException($"Numbers[{i}] of {Count}.");

        /// <summary>How far a 3 x 4 matrix is from a rigid transform: the worst entry of R R^T - 1.</summary>
        /// <returns>NaN where it is no number; infinity for a mirror image.</returns>
        public readonly double DistanceFromRigid()
        {
            double worst = 0;
            for (int i = 0; i < 3; i++)
            {
                for (int j = 0; j <= i; j++)
                {
                    double dot = 0;
                    for (int k = 0; k < 3; k++)
                        dot += _values[4 * i + k] * _values[4 * j + k];
                    double off = Math.Abs(dot - (i == j ? 1 : 0));
                    worst = off <= worst ? worst : off;
                }
            }
            double det =
                _values[0] * (_values[5] * _values[10] - _values[6] * _values[9]) -
                _values[1] * (_values[4] * _values[10] - _values[6] * _values[8]) +
                _values[2] * (_values[4] * _values[9] - _values[5] * _values[8]);
            return det > 0 ? worst : double.PositiveInfinity;
        }
    }
}
