#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>
    /// One clock as a straight line of another: a robust fit through the newest readings of both, in bounded memory.
    /// The law is that of bridge/client/clock_line.py; the tests compare the two.
    /// </summary>
    public sealed class ClockLine
    {
        private const double UsualDrift = 300e-6; // one standard deviation of two clocks' rates, before anything is measured
        private const double Huber = 2; // readings further off than this many standard deviations lose weight
        private const int Rounds = 4;

        private readonly double _spanS;
        private readonly double[] _own, _difference, _error;
        private int _first;
        private double _offsetVariance, _covariance, _driftVariance;

        public ClockLine(double spanS, int capacity)
        {
            _spanS = spanS;
            _own = new double[capacity];
            _difference = new double[capacity];
            _error = new double[capacity];
            Clear();
        }

        public int Count { get; private set; }

        public double ReferenceS { get; private set; }

        public double OffsetS { get; private set; }

        public double Drift { get; private set; }

        public void Clear()
        {
            Count = _first = 0;
            ReferenceS = OffsetS = Drift = 0;
            _offsetVariance = double.PositiveInfinity;
        }

        /// <summary>One reading of both clocks and its standard error (over 0); fits anew.</summary>
        public void Add(double ownS, double otherS, double errorS)
        {
            if (Count == _own.Length)
                Forget();
            int at = Place(Count++);
            (_own[at], _difference[at], _error[at]) = (ownS, otherS - ownS, errorS);
            while (_own[_first] < ownS - _spanS)
                Forget();
            Fit();
        }

        /// <summary>What the other clock shows when the own one shows this; needs a reading.</summary>
        public double At(double ownS) => ownS + OffsetS + Drift * (ownS - ReferenceS);

        /// <summary>What the own clock shows when the other one shows this.</summary>
        public double Inverse(double otherS) => ReferenceS + (otherS - OffsetS - ReferenceS) / (1 + Drift);

        /// <summary>One standard deviation of At; infinite without a reading.</summary>
        public double ErrorS(double ownS)
        {
            if (Count == 0)
                return double.PositiveInfinity;
            double lever = ownS - ReferenceS;
            return Math.Sqrt(_offsetVariance + 2 * lever * _covariance + lever * lever * _driftVariance);
        }

        private int Place(int i) => (_first + i) % _own.Length;

        private void Forget()
        {
            _first = (_first + 1) % _own.Length;
            Count--;
        }

        private void Fit()
        {
            int newest = Place(Count - 1);
            ReferenceS = _own[newest];
            double start = _difference[newest]; // subtracted, so that days of uptime cost no digits
            double offset = 0, drift = 0;
            for (int round = 0; round < Rounds; round++)
            {
                double a = 0, b = 0, c = 1 / (UsualDrift * UsualDrift), y = 0, z = 0;
                for (int i = 0; i < Count; i++)
                {
                    int at = Place(i);
                    double lever = _own[at] - ReferenceS, value = _difference[at] - start;
                    double residual = Math.Abs(value - offset - drift * lever) / _error[at];
                    double trust = round == 0 ? 1 : Huber / Math.Max(residual, Huber);
                    double weight = trust / (_error[at] * _error[at]);
                    a += weight;
                    b += weight * lever;
                    c += weight * lever * lever;
                    y += weight * value;
                    z += weight * value * lever;
                }
                double determinant = a * c - b * b;
                (_offsetVariance, _covariance, _driftVariance) = (c / determinant, -b / determinant, a / determinant);
                offset = (c * y - b * z) / determinant;
                drift = (a * z - b * y) / determinant;
            }
            OffsetS = start + offset;
            Drift = drift;
        }
    }
}
