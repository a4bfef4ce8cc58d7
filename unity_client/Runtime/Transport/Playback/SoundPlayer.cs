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

        private readonly object _gate = new object();
        private readonly SoundBuffer _buffer;
        private double _positionS = double.NaN; // presentation time of the next sample to be filled
        private double _blockAtS, _blockHeardAtS, _ratio = 1; // of the last block: its presentation and local time

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
                OffS = targetS - _positionS;
                double limitS = IsSounding ? SkipS : SilentSkipS;
                if (OffS < -limitS && OffS > -AnewS)
                {
                    // A time that was heard must not come again: it is waited for.
                    (_blockAtS, _blockHeardAtS, _ratio) = (_positionS, heardAtS, 0);
                    IsSounding = false;
                    mono.Clear();
                    return;
                }
                if (!(Math.Abs(OffS) <= limitS))
                {
                    Skips += IsSounding ? 1 : 0;
                    _positionS = targetS;
                    OffS = 0;
                }
                double correction = Math.Max(-FastestCorrection, Math.Min(FastestCorrection, OffS / CorrectionTimeS));
                _ratio = 1 + correction;
                (_blockAtS, _blockHeardAtS) = (_positionS, heardAtS);
                double step = _buffer.RateHz * _ratio / rateHz;
                IsSounding = _buffer.Read(_positionS * _buffer.RateHz, step, mono);
                _positionS += mono.Length * _ratio / rateHz;
            }
        }

        /// <summary>The presentation time being heard; false where the device does not play.</summary>
        public bool TryHeardS(double localS, out double heardS)
        {
            lock (_gate)
            {
                double sinceS = localS - _blockHeardAtS;
                heardS = _blockAtS + sinceS * _ratio;
                return !double.IsNaN(_positionS) && Math.Abs(sinceS) < StaleS;
            }
        }
    }
}
