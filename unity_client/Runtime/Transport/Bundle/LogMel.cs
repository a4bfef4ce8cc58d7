#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>
    /// Speech features as runtime/audio.py computes them: 25 ms of 16 kHz sound around every 10 ms, a periodic Hann
    /// window, 512 frequencies, 80 triangles on Slaney's mel scale, logarithm, fixed mean and deviation.
    /// </summary>
    public sealed class LogMel
    {
        public const int Bands = 80;
        public const int Hop = 160;
        public const int Window = 400;

        private const int Size = 512;
        private const int SampleRateHz = 16000;
        private const double PowerFloor = 1e-6, LogMean = -6, LogStd = 4;

        private readonly double[] _hann = new double[Window], _real = new double[Size], _imaginary = new double[Size];
        private readonly double[] _cosine = new double[Size / 2], _sine = new double[Size / 2];
        private readonly double[,] _filters = new double[Bands, Size / 2 + 1];

        public LogMel()
        {
            for (int i = 0; i < Window; i++)
                _hann[i] = 0.5 - 0.5 * Math.Cos(2 * Math.PI * i / Window);
            for (int i = 0; i < Size / 2; i++)
                (_cosine[i], _sine[i]) = (Math.Cos(2 * Math.PI * i / Size), -Math.Sin(2 * Math.PI * i / Size));
            double top = MelFromHz(SampleRateHz / 2.0);
            for (int band = 0; band < Bands; band++)
            {
                double low = HzFromMel(top * band / (Bands + 1)), peak = HzFromMel(top * (band + 1) / (Bands + 1));
                double high = HzFromMel(top * (band + 2) / (Bands + 1));
                for (int bin = 0; bin <= Size / 2; bin++)
                {
                    double hz = bin * (SampleRateHz / (double)Size);
                    _filters[band, bin] = Math.Max(0, Math.Min((hz - low) / (peak - low), (high - hz) / (high - peak)));
                }
            }
        }

        /// <summary>The feature of digital silence.</summary>
        public static float Silence => (float)((Math.Log(PowerFloor) - LogMean) / LogStd);

        /// <summary>One row of features.</summary>
        /// <param name="samples">Window samples, the middle one first after half of them.</param>
        public void Compute(ReadOnlySpan<float> samples, Span<float> bands)
        {
            Array.Clear(_imaginary, 0, Size);
            for (int i = 0; i < Size; i++)
                _real[i] = i < Window ? samples[i] * _hann[i] : 0;
            Transform();
            for (int band = 0; band < Bands; band++)
            {
                double power = 0;
                for (int bin = 0; bin <= Size / 2; bin++)
                {
                    if (_filters[band, bin] > 0)
                        power += (_real[bin] * _real[bin] + _imaginary[bin] * _imaginary[bin]) * _filters[band, bin];
                }
                bands[band] = (float)((Math.Log(Math.Max(power, PowerFloor)) - LogMean) / LogStd);
            }
        }

        // Radix 2, in place: Cooley and Tukey 1965.
        private void Transform()
        {
            for (int i = 1, j = 0; i < Size; i++)
            {
                int bit = Size >> 1;
                for (; (j & bit) != 0; bit >>= 1)
                    j ^= bit;
                j ^= bit;
                if (i < j)
                    (_real[i], _real[j], _imaginary[i], _imaginary[j]) = (_real[j], _real[i], _imaginary[j], _imaginary[i]);
            }
            for (int length = 2; length <= Size; length <<= 1)
            {
                for (int start = 0; start < Size; start += length)
                {
                    for (int k = 0; k < length / 2; k++)
                    {
                        int a = start + k, b = a + length / 2, turn = k * (Size / length);
                        double re = _real[b] * _cosine[turn] - _imaginary[b] * _sine[turn];
                        double im = _real[b] * _sine[turn] + _imaginary[b] * _cosine[turn];
                        (_real[b], _imaginary[b]) = (_real[a] - re, _imaginary[a] - im);
                        (_real[a], _imaginary[a]) = (_real[a] + re, _imaginary[a] + im);
                    }
                }
            }
        }

        private static double MelFromHz(double hz) => hz < 1000 ? hz * 3 / 200 : 15 + 27 * Math.Log(hz / 1000) / Math.Log(6.4);

        private static double HzFromMel(double mel) => mel < 15 ? mel * 200 / 3 : 1000 * Math.Exp((mel - 15) * Math.Log(6.4) / 27);
    }
}
