#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>
    /// Something to say: sound that is whole already, or still being spoken into a microphone. One thread appends, the
    /// connection's takes.
    /// </summary>
    public sealed class Utterance
    {
        private readonly object _gate = new object();
        private short[] _pcm;
        private int _start, _end; // of what was not taken yet, in single samples
        private bool _isComplete;

        public readonly int RateHz, ChannelCount;

        /// <summary>Cut what is being said and speak at once, instead of after what waits.</summary>
        public readonly bool Interrupts;

        /// <summary>More than this may not wait here; a microphone whose server is gone drops the rest.</summary>
        public readonly int CapacitySamples;

        public Utterance(int rateHz, int channelCount, bool interrupts, double capacityS = 60)
        {
            if (rateHz < 8000 || rateHz > 96000 || channelCount < 1 || channelCount > 2)
            {
                throw new AvatarException(
                    $"speech: expected 8000 to 96000 Hz in one or two channels, got {rateHz} Hz in {channelCount}. " +
                    "Convert the clip, or change its import settings.");
            }
            RateHz = rateHz;
            ChannelCount = channelCount;
            Interrupts = interrupts;
            CapacitySamples = (int)(capacityS * rateHz) * channelCount;
            _pcm = new short[Math.Min(CapacitySamples, rateHz * channelCount)];
        }

        /// <summary>Single samples that were dropped because too much waited.</summary>
        public long Dropped { get; private set; }

        /// <summary>More sound, -1..1, channels in turn.</summary>
        public void Append(ReadOnlySpan<float> samples)
        {
            lock (_gate)
            {
                int count = Math.Min(samples.Length, CapacitySamples - (_end - _start));
                Dropped += samples.Length - count;
                MakeRoom(count);
                for (int i = 0; i < count; i++)
                    _pcm[_end++] = (short)Math.Round(Math.Max(-32768f, Math.Min(32767f, samples[i] * 32768f)));
            }
        }

        /// <summary>Nothing follows.</summary>
        public void Complete()
        {
            lock (_gate)
                _isComplete = true;
        }

        public bool IsComplete
        {
            get
            {
                lock (_gate)
                    return _isComplete;
            }
        }

        /// <summary>Whether nothing follows and all was taken.</summary>
        public bool IsExhausted
        {
            get
            {
                lock (_gate)
                    return _isComplete && _end - _start < ChannelCount;
            }
        }

        /// <summary>Seconds that wait here.</summary>
        public double WaitingS
        {
            get
            {
                lock (_gate)
                    return (_end - _start) / ChannelCount / (double)RateHz;
            }
        }

        /// <summary>Look at the next samples, whole ones of all channels; Skip takes them.</summary>
        internal int Peek(Span<short> target)
        {
            lock (_gate)
            {
                int count = Math.Min(target.Length, _end - _start) / ChannelCount * ChannelCount;
                new ReadOnlySpan<short>(_pcm, _start, count).CopyTo(target);
                return count;
            }
        }

        internal void Skip(int count)
        {
            lock (_gate)
                _start += count;
        }

        private void MakeRoom(int count)
        {
            if (_end + count <= _pcm.Length)
                return;
            int waiting = _end - _start;
            short[] target = waiting + count <= _pcm.Length ? _pcm : new short[Math.Max(2 * _pcm.Length, waiting + count)];
            Array.Copy(_pcm, _start, target, 0, waiting);
            (_pcm, _start, _end) = (target, 0, waiting);
        }
    }
}
