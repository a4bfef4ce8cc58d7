// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>One time step: the M movers in 16 bytes each, and the pose of each part.</summary>
    public readonly ref struct FrameQ16
    {
        public const string Topic = "frame/q16";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.FrameQ16, Topic, true,
            new[]
            {
                FieldSpec.Uint("session_id", 0, 99999),
                FieldSpec.Uint("sequence", 0, 9007199254740991),
                FieldSpec.Uint("index", 0, 9007199254740991),
                FieldSpec.Float("time_s", 0.0, double.MaxValue),
                FieldSpec.Float("sent_at_s", double.MinValue, double.MaxValue),
                FieldSpec.Rigid("avatar_from_head"),
                FieldSpec.Rigid("avatar_from_torso"),
                FieldSpec.Uint("mover_count", 0, 1000000),
            },
            new[]
            {
                new ArraySpec("movers", ElementKind.Byte, ~7, 16),
            });

        /// <summary>Which session.</summary>
        public readonly int SessionId;
        /// <summary>Number of the message within topic and session, from 0 without gaps: a gap is a lost one.</summary>
        public readonly long Sequence;
        /// <summary>Frame number on the session's clock, from 0: presentation time times fps. Sent again, it supersedes.</summary>
        public readonly long Index;
        /// <summary>Presentation time on the session's clock. (s)</summary>
        public readonly double TimeS;
        /// <summary>The session's clock when the message was handed to the transport. (s)</summary>
        public readonly double SentAtS;
        /// <summary>Pose of the head. (m, avatar &lt;- head)</summary>
        public readonly Numbers AvatarFromHead;
        /// <summary>Pose of the torso. (m, avatar &lt;- torso)</summary>
        public readonly Numbers AvatarFromTorso;
        /// <summary>M, the movers.</summary>
        public readonly int MoverCount;
        /// <summary>Packed movers, layout below. (MoverCount x 16, part)</summary>
        public readonly ReadOnlySpan<byte> Movers;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public FrameQ16(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            SessionId = (int)decoder.Whole(0);
            Sequence = decoder.Whole(1);
            Index = decoder.Whole(2);
            TimeS = decoder.Number(3);
            SentAtS = decoder.Number(4);
            AvatarFromHead = decoder.Numbers(5);
            AvatarFromTorso = decoder.Numbers(6);
            MoverCount = (int)decoder.Whole(7);
            Movers = decoder.Bytes(0, message);
        }
    }
}
