#nullable enable
using System.Collections.Generic;

namespace GStalker.Transport
{
    /// <summary>Counts the messages of a topic that never came, by the numbers that they carry without gaps.</summary>
    public sealed class SequenceFollower
    {
        private const int MostMissing = 1024; // beyond it nothing late is expected any more

        private readonly HashSet<long> _missing = new HashSet<long>(MostMissing);
        private long _newest = -1;

        /// <summary>Holes so far; one that is filled late counts no longer.</summary>
        public long Lost { get; private set; }

        /// <summary>Expect any number next, as after a reconnection; the count stays.</summary>
        public void Restart()
        {
            _missing.Clear();
            _newest = -1;
        }

        /// <summary>A message came; whether it is the newest so far.</summary>
        public bool Follow(long sequence)
        {
            if (sequence <= _newest)
            {
                if (_missing.Remove(sequence))
                    Lost--;
                return false;
            }
            long hole = _newest < 0 ? 0 : sequence - _newest - 1;
            Lost += hole;
            if (_missing.Count + hole <= MostMissing)
            {
                for (long number = sequence - hole; number < sequence; number++)
                    _missing.Add(number);
            }
            _newest = sequence;
            return true;
        }
    }
}
