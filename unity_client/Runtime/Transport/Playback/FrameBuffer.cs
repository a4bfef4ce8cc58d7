#nullable enable
using System;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>
    /// The jitter buffer of the picture: frames by index, of which a time picks the two to mix. A frame sent again
    /// supersedes the one before, and with it what was sent earlier for later times. Every frame that comes ends in
    /// exactly one count, or still waits. The law is that of bridge/client/frame_buffer.py. One thread puts, one picks.
    /// </summary>
    public sealed partial class FrameBuffer
    {
        private const double LongestMixS = 0.25;
        private const double ComeOverS = 0.04;

        private readonly object _gate = new object();
        private readonly FrameSlot[] _slots;
        private readonly int _capacity, _frameBytes;
        private readonly SequenceFollower _sequences = new SequenceFollower();
        private long _rewoundSequence, _newestIndex, _rewoundIndex;
        private double _floorS; // frames before this are of no use any more
        private long _version;
        private FrameCounts _counts;

        /// <param name="capacity">Beyond it the frame for the latest time gives way, and counts as passed over.</param>
        /// <param name="moverCount">M of the welcome.</param>
        public FrameBuffer(int capacity, int moverCount)
        {
            _capacity = capacity;
            _frameBytes = moverCount * Wire.BytesPerMover;
            _slots = new FrameSlot[capacity + 3]; // two may be held after they have left, one is being filled
            for (int i = 0; i < _slots.Length; i++)
                _slots[i] = new FrameSlot();
            Clear();
        }

        public FrameCounts Counts
        {
            get
            {
                lock (_gate)
                {
                    FrameCounts counts = _counts;
                    counts.Lost = _sequences.Lost;
                    counts.Waiting = CountWaiting();
                    return counts;
                }
            }
        }

        /// <summary>Frames that wait.</summary>
        public int Count
        {
            get
            {
                lock (_gate)
                    return CountWaiting();
            }
        }

        /// <summary>Forget all frames, as for another session; the counts stay.</summary>
        public void Clear()
        {
            lock (_gate)
            {
                foreach (FrameSlot slot in _slots)
                    LetGo(slot);
                _sequences.Restart();
                _rewoundSequence = _newestIndex = _rewoundIndex = -1;
                _floorS = double.NegativeInfinity;
            }
        }

        /// <summary>Take a frame; false where it was dropped as late, superseded or repeated.</summary>
        public bool Put(in FrameQ16 frame) => Put(
            frame.Sequence, frame.Index, frame.TimeS, frame.AvatarFromHead, frame.AvatarFromTorso, frame.Movers);

        public bool Put(
            long sequence, long index, double timeS, in Numbers head, in Numbers torso, ReadOnlySpan<byte> movers)
        {
            if (movers.Length != _frameBytes)
                throw new WireException($"frame: expected {_frameBytes} bytes of movers, got {movers.Length}.");
            lock (_gate)
            {
                if (!IsWanted(sequence, index, timeS))
                    return false;
                FrameSlot slot = Free();
                (slot.Sequence, slot.Index, slot.TimeS) = (sequence, index, timeS);
                (slot.AvatarFromHead, slot.AvatarFromTorso) = (head, torso);
                slot.MakeRoom(_frameBytes);
                movers.CopyTo(slot.Movers);
                slot.Version = ++_version;
                slot.IsWaiting = true;
                slot.IsSeen = false;
                if (CountWaiting() > _capacity)
                    LetGo(Latest());
                return slot.IsWaiting;
            }
        }

        /// <summary>The frames around a time, which count as seen; false before the first. Times must not go back.</summary>
        public bool TryPick(double timeS, out PickedFrames picked)
        {
            picked = default;
            lock (_gate)
            {
                FrameSlot? earlier = null, later = null;
                foreach (FrameSlot slot in _slots)
                {
                    if (!slot.IsWaiting)
                        continue;
                    if (slot.TimeS <= timeS)
                        earlier = earlier == null || slot.TimeS > earlier.TimeS ? slot : earlier;
                    else
                        later = later == null || slot.TimeS < later.TimeS ? slot : later;
                }
                if (earlier == null)
                    return false;
                _floorS = earlier.TimeS;
                foreach (FrameSlot slot in _slots)
                {
                    if (slot.IsWaiting && slot.TimeS < earlier.TimeS)
                        LetGo(slot);
                }
                earlier.IsSeen = true;
                earlier.Holders++;
                picked.Earlier = picked.Later = earlier;
                if (later != null)
                {
                    picked.Weight = WeightOf(timeS, earlier.TimeS, later.TimeS);
                    later.IsSeen |= picked.Weight > 0;
                    picked.Later = later;
                }
                picked.Later.Holders++;
                return true;
            }
        }

        /// <summary>Picked frames are no longer needed.</summary>
        public void GiveBack(in PickedFrames picked)
        {
            lock (_gate)
            {
                picked.Earlier.Holders--;
                picked.Later.Holders--;
            }
        }

        // Across more than a few missing frames the earlier is held, and the later come to at the end.
        private static double WeightOf(double timeS, double earlierS, double laterS)
        {
            double startS = laterS - earlierS > LongestMixS ? laterS - ComeOverS : earlierS;
            return Math.Max(0, (timeS - startS) / (laterS - startS));
        }

        private bool IsWanted(long sequence, long index, double timeS)
        {
            _counts.Received++;
            bool newer = _sequences.Follow(sequence);
            FrameSlot? held = Waiting(index);
            if (held != null && held.Sequence == sequence)
            {
                _counts.Repeated++;
                return false;
            }
            bool stale = sequence < _rewoundSequence && index >= _rewoundIndex;
            if (stale || (held != null && held.Sequence > sequence))
            {
                _counts.Superseded++;
                return false;
            }
            if (newer && index <= _newestIndex)
                Rewind(sequence, index);
            else if (newer)
                _newestIndex = index;
            if (timeS < _floorS)
            {
                _counts.Late++;
                return false;
            }
            if (held != null && held.IsWaiting)
                Supersede(held);
            return true;
        }

        // The server went back to this frame: what it sent for later times before is void.
        private void Rewind(long sequence, long index)
        {
            (_rewoundSequence, _rewoundIndex, _newestIndex) = (sequence, index, index);
            foreach (FrameSlot slot in _slots)
            {
                if (slot.IsWaiting && slot.Index >= index)
                    Supersede(slot);
            }
        }
    }
}
