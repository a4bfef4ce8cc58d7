#nullable enable
using System;

namespace GStalker.Transport
{
    // What lies in which slot, and where a slot goes that is no longer wanted. All within the lock.
    public sealed partial class FrameBuffer
    {
        private void Supersede(FrameSlot slot)
        {
            slot.IsWaiting = false;
            _counts.Superseded++;
        }

        private void LetGo(FrameSlot slot)
        {
            if (!slot.IsWaiting)
                return;
            slot.IsWaiting = false;
            if (slot.IsSeen)
                _counts.Shown++;
            else
                _counts.PassedOver++;
        }

        private FrameSlot? Waiting(long index)
        {
            foreach (FrameSlot slot in _slots)
            {
                if (slot.IsWaiting && slot.Index == index)
                    return slot;
            }
            return null;
        }

        private FrameSlot Free()
        {
            foreach (FrameSlot slot in _slots)
            {
                if (!slot.IsWaiting && slot.Holders == 0)
                    return slot;
            }
            throw new InvalidOperationException("FrameBuffer: picked frames were not given back.");
        }

        private int CountWaiting()
        {
            int count = 0;
            foreach (FrameSlot slot in _slots)
                count += slot.IsWaiting ? 1 : 0;
            return count;
        }

        private FrameSlot Latest()
        {
            FrameSlot latest = _slots[0];
            foreach (FrameSlot slot in _slots)
            {
                if (slot.IsWaiting && (!latest.IsWaiting || slot.Index > latest.Index))
                    latest = slot;
            }
            return latest;
        }
    }
}
