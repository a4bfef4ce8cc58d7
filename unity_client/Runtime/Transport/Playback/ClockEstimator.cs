#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>
    /// What a session's clock shows, told from pings: its offset and drift against this machine's steady clock. Half a
    /// round trip bounds the error for certain, so short ones count most, and a reading that no earlier bound allows
    /// means that a clock was set anew. The law is that of bridge/client/clock_estimator.py. Of one thread.
    /// </summary>
    public sealed class ClockEstimator
    {
        private const double SpanS = 180; // of readings; drift changes with temperature over minutes
        private const int Capacity = 240;
        private const double FinestS = 30e-6; // scheduling jitter of the best round trips
        private const double HighestDrift = 1e-3; // no quartz is that far off
        private const double OneWayErrorS = 0.05; // how far a publication's stamp may be off before the first pong

        private readonly ClockLine _line = new ClockLine(SpanS, Capacity);
        private readonly double[] _roundTripsS = new double[Capacity];
        private int _roundTrips;
        private bool _provisional;
        private double _boundsAtS, _lowestS = double.NegativeInfinity, _highestS = double.PositiveInfinity;

        /// <summary>How often a clock was found set anew.</summary>
        public int Jumps { get; private set; }

        /// <summary>Pongs taken in all.</summary>
        public int Readings { get; private set; }

        /// <summary>Whether anything can be said.</summary>
        public bool IsKnown => _line.Count > 0;

        /// <summary>Whether a pong came, and not only a publication.</summary>
        public bool IsMeasured => IsKnown && !_provisional;

        /// <summary>How much faster the session's clock runs: 1e-6 is a microsecond a second.</summary>
        public double Drift => _line.Drift;

        /// <summary>Forget the clock, as after a new welcome; the counts stay.</summary>
        public void Reset()
        {
            _line.Clear();
            _roundTrips = 0;
            _provisional = false;
            (_boundsAtS, _lowestS, _highestS) = (0, double.NegativeInfinity, double.PositiveInfinity);
        }

        /// <summary>One pong of a running session clock.</summary>
        /// <param name="sentS">The local clock when the ping left.</param>
        /// <param name="receivedS">And when the pong came.</param>
        /// <param name="sessionS">The session's clock that the pong holds.</param>
        /// <returns>Whether the clock was found set anew, which makes everything old void.</returns>
        public bool Add(double sentS, double receivedS, double sessionS)
        {
            double roundTripS = receivedS - sentS;
            if (!(roundTripS >= 0 && roundTripS < double.PositiveInfinity && Math.Abs(sessionS) <= double.MaxValue))
            {
                throw new ArgumentException(
                    $"ClockEstimator.Add: expected finite times with the answer after the question, got sent {sentS}, " +
                    $"received {receivedS}, session {sessionS}.");
            }
            double middleS = sentS + roundTripS / 2;
            bool jumped = Contradicts(middleS, roundTripS, sessionS);
            if (jumped)
                Jumps++;
            if (jumped || _provisional)
            {
                Reset();
                Contradicts(middleS, roundTripS, sessionS); // the first bounds
            }
            Readings++;
            _roundTripsS[_roundTrips++ % Capacity] = roundTripS;
            _line.Add(middleS, sessionS, FinestS + (roundTripS - ShortestRoundTripS) / 2);
            return jumped;
        }

        /// <summary>A publication's stamp: good enough until the first pong, and passed over after it.</summary>
        public void AddOneWay(double receivedS, double sentAtS)
        {
            if (IsKnown)
                return;
            _provisional = true;
            _line.Add(receivedS, sentAtS, OneWayErrorS);
        }

        /// <summary>The session's clock at a local time; needs a reading.</summary>
        public double SessionTimeS(double localS) => _line.At(localS);

        /// <summary>When the session's clock shows this, locally; needs a reading.</summary>
        public double LocalTimeS(double sessionS) => _line.Inverse(sessionS);

        /// <summary>How far SessionTimeS may be off; infinite before anything is known.</summary>
        public double UncertaintyS(double localS) =>
            2 * _line.ErrorS(localS) + (_roundTrips > 0 ? ShortestRoundTripS / 2 : 0);

        private double ShortestRoundTripS
        {
            get
            {
                double shortest = double.PositiveInfinity;
                for (int i = 0; i < Math.Min(_roundTrips, Capacity); i++)
                    shortest = Math.Min(shortest, _roundTripsS[i]);
                return shortest;
            }
        }

        // Whether no clock that drifts by at most HighestDrift fits all readings; narrows the bounds if one does.
        private bool Contradicts(double middleS, double roundTripS, double sessionS)
        {
            double widenedS = HighestDrift * Math.Abs(middleS - _boundsAtS);
            double offsetS = sessionS - middleS, halfS = roundTripS / 2 + FinestS;
            double lowS = Math.Max(_lowestS - widenedS, offsetS - halfS);
            double highS = Math.Min(_highestS + widenedS, offsetS + halfS);
            if (lowS > highS)
                return true;
            (_lowestS, _highestS, _boundsAtS) = (lowS, highS, middleS);
            return false;
        }
    }
}
