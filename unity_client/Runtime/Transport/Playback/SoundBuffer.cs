#nullable enable
using System;
using System.Collections.Generic;

namespace GStalker.Transport
{
    /// <summary>
    /// The jitter buffer of the sound: samples by presentation time, read at any rate, holes faded and not clicked.
    /// Sample i is the one at presentation time i / rate. Pieces may come in any order, twice or never; what a
    /// speech_end with cut voided is gone, also when it comes after it. The law is that of
    /// bridge/client/sound_buffer.py. One thread puts, another reads.
    /// </summary>
    public sealed class SoundBuffer
    {
        private const double FadeS = 0.005; // into and out of every hole
        private const int RememberedEnds = 64;
        private const long None = -1;

        private readonly object _gate = new object();
        private readonly int _fade, _size;
        private readonly float[] _samples;
        private readonly long[] _number, _speech;
        private readonly Dictionary<long, long> _ends = new Dictionary<long, long>(RememberedEnds);
        private readonly Queue<long> _endOrder = new Queue<long>(RememberedEnds + 1);
        private readonly SincTable _sinc = new SincTable();
        private readonly float[] _around = new float[SincTable.Taps];

        public readonly int RateHz;

        public SoundBuffer(int rateHz, double capacityS)
        {
            RateHz = rateHz;
            _fade = Math.Max(1, (int)Math.Round(FadeS * rateHz));
            _size = (int)Math.Round(capacityS * rateHz);
            _samples = new float[_size];
            _number = new long[_size];
            _speech = new long[_size];
            Clear();
        }

        /// <summary>The first sample that has not been played yet; what lies before it comes too late.</summary>
        public long Played { get; private set; }

        /// <summary>Samples that came after they should have been heard.</summary>
        public long LateSamples { get; private set; }

        /// <summary>Forget all sound and all ends.</summary>
        public void Clear()
        {
            lock (_gate)
            {
                Array.Fill(_number, None);
                _ends.Clear();
                _endOrder.Clear();
                Played = 0;
            }
        }

        /// <summary>Take a piece of sound; returns how many of its samples were taken.</summary>
        public int Put(long speechId, long first, ReadOnlySpan<short> pcm)
        {
            lock (_gate)
            {
                long end = Math.Min(first + pcm.Length, Played + _size - _fade);
                if (_ends.TryGetValue(speechId, out long voidFrom))
                    end = Math.Min(end, voidFrom);
                long start = Math.Max(first, Played);
                LateSamples += Math.Min(Math.Max(0, Played - first), pcm.Length);
                for (long number = start; number < end; number++)
                {
                    int place = (int)(number % _size);
                    _samples[place] = pcm[(int)(number - first)] / 32768f;
                    _number[place] = number;
                    _speech[place] = speechId;
                }
                return (int)Math.Max(0, end - start);
            }
        }

        /// <summary>The utterance ends here: its sound from this sample on is void. A cut of what is being played
        /// takes effect a fade later, so that it does not click.</summary>
        public void End(long speechId, long firstVoid)
        {
            lock (_gate)
            {
                if (!_ends.ContainsKey(speechId))
                    _endOrder.Enqueue(speechId);
                _ends[speechId] = firstVoid;
                if (_endOrder.Count > RememberedEnds)
                    _ends.Remove(_endOrder.Dequeue());
                long from = Math.Max(firstVoid, Played + _fade);
                for (int place = 0; place < _size; place++)
                {
                    if (_speech[place] == speechId && _number[place] >= from)
                        _number[place] = None;
                }
            }
        }

        /// <summary>The sound at evenly spaced positions.</summary>
        /// <param name="position">Sample number of the first, whole or not.</param>
        /// <param name="step">Samples from one to the next.</param>
        /// <returns>Whether any of it was sound, and not silence.</returns>
        public bool Read(double position, double step, Span<float> output)
        {
            bool any = false;
            lock (_gate)
            {
                for (int i = 0; i < output.Length; i++)
                {
                    double at = position + i * step;
                    long whole = (long)Math.Floor(at);
                    float gain = Gain(whole);
                    any |= gain > 0;
                    output[i] = gain > 0 ? gain * Mix(whole, at - whole) : 0;
                }
                Played = Math.Max(Played, (long)Math.Floor(position + output.Length * step));
            }
            return any;
        }

        private float Mix(long whole, double part)
        {
            for (int tap = 0; tap < _around.Length; tap++)
            {
                long number = whole + tap - SincTable.Taps / 2 + 1;
                _around[tap] = IsThere(number) ? _samples[(int)(number % _size)] : 0;
            }
            return _sinc.Mix(_around, part);
        }

        // 1 inside of sound, falling to 0 towards each hole over the fade.
        private float Gain(long number)
        {
            if (!IsThere(number))
                return 0;
            int room = 1;
            while (room < _fade && IsThere(number + room) && IsThere(number - room))
                room++;
            return Math.Min(room, _fade) / (float)_fade;
        }

        private bool IsThere(long number) => number >= 0 && _number[(int)(number % _size)] == number;
    }
}
