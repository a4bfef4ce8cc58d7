#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>
    /// How much later than the session's clock a client must play so that what arrives is in time: messages leave a
    /// lead before their presentation, and a network that eats more of it than there is delays the client, no more
    /// than needed. Grows at once, shrinks slowly.
    /// </summary>
    public sealed class ArrivalSlack
    {
        /// <summary>No conversation bears more.</summary>
        public const double LongestDelayS = 0.5;

        private const double MarginS = 0.02; // a displayed picture at 50 Hz: frames must be there before they are asked for
        private const double WindowS = 5;
        private const double ShrinkPerS = 0.005; // as fast as resampling follows
        private const double GraceS = 1; // what piled up while the connection was made says nothing of the network

        private double _leastS = double.PositiveInfinity, _leastBeforeS = double.PositiveInfinity;
        private double _windowEndsS = double.NegativeInfinity, _lastS = double.NaN;

        private double _firstS = double.NaN;

        public double DelayS { get; private set; }

        public void Reset()
        {
            _leastS = _leastBeforeS = double.PositiveInfinity;
            _windowEndsS = double.NegativeInfinity;
            _lastS = _firstS = double.NaN;
            DelayS = 0;
        }

        /// <summary>A message came.</summary>
        /// <param name="localS">When.</param>
        /// <param name="slackS">How long before the session's clock showed its presentation time; negative: after.</param>
        /// <param name="frameS">How long before its own time it is needed, because it is mixed with the one before.</param>
        public void Add(double localS, double slackS, double frameS)
        {
            if (double.IsNaN(_firstS))
                _firstS = localS;
            if (localS < _firstS + GraceS)
                return;
            if (localS > _windowEndsS)
            {
                (_leastBeforeS, _leastS) = (_leastS, double.PositiveInfinity);
                _windowEndsS = localS + WindowS;
            }
            _leastS = Math.Min(_leastS, slackS - frameS);
            double wantedS = MarginS - Math.Min(_leastS, _leastBeforeS);
            double shrunkS = double.IsNaN(_lastS) ? 0 : DelayS - ShrinkPerS * (localS - _lastS);
            DelayS = Math.Max(0, Math.Min(LongestDelayS, Math.Max(wantedS, shrunkS)));
            _lastS = localS;
        }
    }
}
