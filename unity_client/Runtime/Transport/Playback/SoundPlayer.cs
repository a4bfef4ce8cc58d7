#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>
    /// Fills the sound device's blocks so that each sample is heard at its presentation time, and tells which one is
    /// being heard. It follows by playing up to half a percent faster or slower, which nobody hears, and skips only
    /// where it is far off. One thread fills, others ask what is heard.
    /// </summary>
    public sealed class SoundPlayer
    {
        /// <summary>In the middle of sound, further off than this is jumped over.</summary>
        public const double SkipS = 0.12;

        private const double SilentSkipS = 0.005; // where nothing sounds, nobody hears a jump
        private const double AnewS = 2; // so far back is another run of a recording, and not waited for
        private const double FastestCorrection = 0.005;
        private const double CorrectionTimeS = 2;
        private const double StaleS = 0.5; // a device that asked for nothing for so long is not playing
        private const double GapS = 0.02; // of silence at a jump: where it is heard is known to milliseconds only
        private const double FadeS = 0.005;

        private readonly object _gate = new object();
        private readonly SoundBuffer _buffer;
        private readonly HeardRuns _runs = new HeardRuns();
        private double _positionS = double.NaN; // presentation time of the next sample to be filled
        private double _leaptFromS, _filledForS; // the latter: when the last block is heard, locally
        private int _gapLeft, _risen = int.MaxValue; // samples of silence to come; samples since it was over

        public SoundPlayer(SoundBuffer buffer) => _buffer = buffer;

        /// <summary>How often playing was so far off that it skipped.</summary>
        public int Skips { get; private set; }

        /// <summary>How long it takes from filling a block to hearing it.</summary>
        public double LatencyS { get; private set; }

        /// <summary>Whether the last block held sound.</summary>
        public bool IsSounding { get; private set; }

        /// <summary>The last block's distance from where it should have been, seconds; positive: the sound was late.</summary>
        public double OffS { get; private set; }

        /// <summary>Start anew, as for another session.</summary>
        public void Reset()
        {
            lock (_gate)
            {
                _positionS = double.NaN;
                IsSounding = false;
                _gapLeft = 0;
                _runs.Clear();
            }
        }

        /// <summary>The device's next block.</summary>
        /// <param name="mono">Filled with sound in -1..1.</param>
        /// <param name="rateHz">The device's rate.</param>
        /// <param name="heardAtS">When its first sample will be heard, on the SteadyClock.</param>
        /// <param name="targetS">What presentation time should be heard then; not a number: not known yet.</param>
        public void Fill(Span<float> mono, int rateHz, double heardAtS, double targetS)
        {
            lock (_gate)
            {
                if (double.IsNaN(targetS))
                {
                    mono.Clear();
                    IsSounding = false;
                    return;
                }
                LatencyS = Math.Max(0, heardAtS - SteadyClock.NowS);
                _filledForS = heardAtS;
                OffS = targetS - _positionS;
                double limitS = IsSounding ? SkipS : SilentSkipS;
                if (OffS < -limitS && OffS > -AnewS)
                {
                    // A time that was heard must not come again: it is waited for.
                    _runs.Add(heardAtS, mono.Length / (double)rateHz, _positionS, 0);
                    IsSounding = false;
                    _gapLeft = 0;
                    mono.Clear();
                    return;
                }
                int faded = !(Math.Abs(OffS) <= limitS) ? Leap(mono, rateHz, targetS) : 0;
                double correction = Math.Max(-FastestCorrection, Math.Min(FastestCorrection, OffS / CorrectionTimeS));
                double ratio = 1 + correction;
                int silent = PassGap(mono.Length, rateHz, heardAtS, ratio);
                if (silent > faded)
                    mono.Slice(faded, silent - faded).Clear();
                if (silent == mono.Length)
                    return;
                Span<float> sounding = mono.Slice(silent);
                _runs.Add(heardAtS + silent / (double)rateHz, sounding.Length / (double)rateHz, _positionS, ratio);
                IsSounding = _buffer.Read(_positionS * _buffer.RateHz, _buffer.RateHz * ratio / rateHz, sounding);
                _positionS += sounding.Length * ratio / rateHz;
                double fade = FadeS * rateHz;
                for (int i = 0; i < sounding.Length && _risen < fade; i++)
                    sounding[i] *= (float)(++_risen / Math.Ceiling(fade));
            }
        }

        /// <summary>The presentation time being heard; false where the device does not play.</summary>
        public bool TryHeardS(double localS, out double heardS)
        {
            lock (_gate)
            {
                heardS = _runs.At(localS, LatencyS);
                return !double.IsNaN(heardS) && Math.Abs(localS - _filledForS) < StaleS;
            }
        }

        // Goes on at another time; what was sounding ends without a click. Returns how many samples that took.
        private int Leap(Span<float> mono, int rateHz, double targetS)
        {
            Skips += IsSounding ? 1 : 0;
            int faded = 0;
            if (OffS > SkipS)
            {
                (_leaptFromS, _gapLeft, _risen) = (_positionS, (int)Math.Round(GapS * rateHz), 0);
                if (IsSounding)
                {
                    faded = Math.Min((int)(FadeS * rateHz), mono.Length);
                    _buffer.Read(_positionS * _buffer.RateHz, _buffer.RateHz / (double)rateHz, mono.Slice(0, faded));
                    for (int i = 0; i < faded; i++)
                        mono[i] *= 1 - (i + 1) / (float)faded;
                }
            }
            (_positionS, OffS) = (targetS, 0);
            return faded;
        }

        // The silence of a jump: in its middle the heard time goes over. Returns how many of the samples are in it.
        private int PassGap(int count, int rateHz, double heardAtS, double ratio)
        {
            int silent = Math.Min(count, _gapLeft);
            int before = Math.Min(silent, Math.Max(0, _gapLeft - (int)Math.Round(GapS * rateHz) / 2));
            double lengthS = silent / (double)rateHz, beforeS = before / (double)rateHz;
            if (before > 0)
                _runs.Add(heardAtS, beforeS, _leaptFromS, 0);
            if (silent > before)
                _runs.Add(heardAtS + beforeS, lengthS - beforeS, _positionS + ratio * beforeS, ratio);
            _positionS += ratio * lengthS;
            _gapLeft -= silent;
            return silent;
        }
    }
}
