#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>
    /// Weights of the samples around a position between two of them: a sinc in a Kaiser window of beta 8, so that
    /// images of the sound above its own band are some 80 dB down. The numbers of bridge/client/sound_buffer.py.
    /// </summary>
    public sealed class SincTable
    {
        /// <summary>Samples that one output sample is a mixture of.</summary>
        public const int Taps = 24;

        private const int Phases = 256;
        private const double Beta = 8;

        private readonly float[] _weights = new float[(Phases + 1) * Taps];

        public SincTable()
        {
            var row = new double[Taps];
            for (int phase = 0; phase <= Phases; phase++)
            {
                double sum = 0;
                for (int tap = 0; tap < Taps; tap++)
                {
                    double distance = tap - Taps / 2 + 1 - phase / (double)Phases;
                    double edge = distance / (Taps / 2);
                    double window = BesselI0(Beta * Math.Sqrt(Math.Max(0, 1 - edge * edge)));
                    double angle = Math.PI * distance;
                    row[tap] = (distance == 0 ? 1 : Math.Sin(angle) / angle) * window;
                    sum += row[tap];
                }
                for (int tap = 0; tap < Taps; tap++)
                    _weights[phase * Taps + tap] = (float)(row[tap] / sum);
            }
        }

        /// <summary>The mixture of these samples at a part of a sample behind number Taps / 2 - 1 of them.</summary>
        public float Mix(ReadOnlySpan<float> around, double part)
        {
            double phase = part * Phases;
            int row = (int)phase;
            float share = (float)(phase - row);
            int at = row * Taps;
            float sum = 0;
            for (int tap = 0; tap < Taps; tap++)
            {
                float weight = _weights[at + tap] * (1 - share) + _weights[Math.Min(at + Taps, Phases * Taps) + tap] * share;
                sum += weight * around[tap];
            }
            return sum;
        }

        private static double BesselI0(double x)
        {
            double term = 1, sum = 1;
            for (int k = 1; term > 1e-14 * sum; k++)
            {
                term *= x / (2 * k) * (x / (2 * k));
                sum += term;
            }
            return sum;
        }
    }
}
