#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>
    /// When a sound device plays which of its moments, on this machine's steady clock: a line through the last seconds
    /// of what it says, which is off by milliseconds each time; anew where it skipped. The law is that of
    /// bridge/client/device_clock.py. Of the device's thread.
    /// </summary>
    public sealed class DeviceClock
    {
        private const double SpanS = 20;
        private const double EveryS = 0.05; // between readings that are kept: devices ask hundreds of times a second
        private const double JitterS = 2e-3; // standard deviation of what a device says of its time
        private const double SkipS = 0.03; // a few readings in a row this far off, or
        private const double StepS = 0.005; // more in a row off by this to one side: samples were left out
        private const int StepReadings = 6;
        private const int SkipReadings = 3; // one alone came late itself

        private readonly ClockLine _line = new ClockLine(SpanS, (int)(SpanS / EveryS));
        private double _lastKeptS = double.NegativeInfinity;
        private int _stepSign, _stepRun, _skipRun;

        /// <summary>How often the device was found to have left samples out.</summary>
        public int Skips { get; private set; }

        public void Reset()
        {
            _line.Clear();
            _lastKeptS = double.NegativeInfinity;
            _stepRun = _skipRun = 0;
        }

        /// <summary>The device will play this moment of its own at this local time, it says. One that asks for it only
        /// after it was to be heard has played all it had, without a word of its driver.</summary>
        public void Add(double deviceS, double heardAtS, double askedAtS)
        {
            if (_line.Count > 0)
            {
                double dueS = _line.At(deviceS);
                double offS = heardAtS - dueS;
                bool ranDry = askedAtS > dueS && offS > SkipS;
                int sign = Math.Abs(offS) > StepS ? Math.Sign(offS) : 0;
                _stepRun = sign != 0 && sign == _stepSign ? _stepRun + 1 : 1;
                _stepSign = sign;
                _skipRun = Math.Abs(offS) > SkipS ? _skipRun + 1 : 0;
                if (ranDry || _skipRun >= SkipReadings || (sign != 0 && _stepRun >= StepReadings))
                {
                    Skips++;
                    Reset();
                }
            }
            if (deviceS < _lastKeptS + EveryS)
                return;
            _lastKeptS = deviceS;
            _line.Add(deviceS, heardAtS, JitterS);
        }

        /// <summary>When this moment of the device is heard, locally; needs a reading.</summary>
        public double HeardAtS(double deviceS) => _line.At(deviceS);
    }
}
