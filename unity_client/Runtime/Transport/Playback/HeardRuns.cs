#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>
    /// What a sound device was handed: which presentation times are heard when. Beyond it the device is taken to go on
    /// as long as it asks in its rhythm; once it is overdue nothing more can be heard than what it has. The law is that
    /// of bridge/client/heard.py.
    /// </summary>
    internal sealed class HeardRuns
    {
        private const int Most = 256; // two seconds of the shortest blocks
        private const double OverdueS = 0.08; // later than usual by so much: the device stands

        private readonly Run[] _runs = new Run[Most];
        private int _count, _newest = -1;

        public void Clear() => (_count, _newest) = (0, -1);

        /// <summary>From this local time on, and for so long, times from this one on are heard, at so many times speed.</summary>
        public void Add(double heardAtS, double lengthS, double timeS, double ratio)
        {
            _newest = (_newest + 1) % Most;
            _count = Math.Min(_count + 1, Most);
            _runs[_newest] = new Run { HeardAtS = heardAtS, LengthS = lengthS, TimeS = timeS, Ratio = ratio };
        }

        /// <summary>The time heard at a local time; not a number before the first run.</summary>
        /// <param name="latencyS">How long before it is heard the device asks.</param>
        public double At(double localS, double latencyS)
        {
            if (_count == 0)
                return double.NaN;
            int back = 0;
            while (back < _count - 1 && _runs[Place(back)].HeardAtS > localS)
                back++;
            Run run = _runs[Place(back)];
            double longestS = back > 0 ? run.LengthS : Math.Max(run.LengthS, run.LengthS + OverdueS - latencyS);
            return run.TimeS + run.Ratio * Math.Min(Math.Max(0, localS - run.HeardAtS), longestS);
        }

        private int Place(int back) => (_newest - back + Most) % Most;

        private struct Run
        {
            public double HeardAtS, LengthS, TimeS, Ratio;
        }
    }
}
