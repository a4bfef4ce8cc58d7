#nullable enable
using System;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>One received frame. The bytes are used again once it is neither waiting nor held.</summary>
    public sealed class FrameSlot
    {
        public long Sequence { get; internal set; }
        public long Index { get; internal set; }
        public double TimeS { get; internal set; }
        public Numbers AvatarFromHead { get; internal set; }
        public Numbers AvatarFromTorso { get; internal set; }

        /// <summary>16 bytes a mover, as sent.</summary>
        public byte[] Movers { get; private set; } = Array.Empty<byte>();

        /// <summary>Differs for every content: whoever copied these bytes elsewhere can tell whether it must again.</summary>
        public long Version { get; internal set; }

        internal bool IsWaiting, IsSeen;
        internal int Holders;

        // The bytes are made when a frame first lies here: most slots are for bad days of the network.
        internal void MakeRoom(int bytes)
        {
            if (Movers.Length != bytes)
                Movers = new byte[bytes];
        }
    }

    /// <summary>What became of the frames that came:
    /// received = shown + passed over + late + superseded + repeated + waiting.</summary>
    public struct FrameCounts
    {
        public long Received;

        /// <summary>Seen, alone or mixed with a neighbour, and over.</summary>
        public long Shown;

        /// <summary>In time, but no picture fell near them: a slow display, or sound that skipped.</summary>
        public long PassedOver;

        /// <summary>Their time was over when they came.</summary>
        public long Late;

        /// <summary>Replaced by a newer frame, before or after they were seen.</summary>
        public long Superseded;

        /// <summary>Came twice.</summary>
        public long Repeated;

        /// <summary>Never came: holes in `sequence`; not part of received.</summary>
        public long Lost;

        /// <summary>Still to be shown.</summary>
        public long Waiting;

        public readonly long Accounted => Shown + PassedOver + Late + Superseded + Repeated + Waiting;
    }

    /// <summary>The two frames around a time and the share of the later one; held until given back.</summary>
    public struct PickedFrames
    {
        public FrameSlot Earlier;
        public FrameSlot Later;

        /// <summary>0 the earlier, 1 the later.</summary>
        public double Weight;
    }
}
