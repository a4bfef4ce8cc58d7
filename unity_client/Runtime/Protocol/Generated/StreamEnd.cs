// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>The session is about to end; nothing follows.</summary>
    public readonly ref struct StreamEnd
    {
        public const string Topic = "stream_end";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.StreamEnd, Topic, true,
            new[]
            {
                FieldSpec.Uint("session_id", 0, 99999),
                FieldSpec.Uint("sequence", 0, 9007199254740991),
                FieldSpec.Uint("frame_count", 0, 9007199254740991),
                FieldSpec.Float("time_s", 0.0, double.MaxValue),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Which session.</summary>
        public readonly int SessionId;
        /// <summary>Number of the message within topic and session, from 0 without gaps: a gap is a lost one.</summary>
        public readonly long Sequence;
        /// <summary>Time steps sent.</summary>
        public readonly long FrameCount;
        /// <summary>Presentation time at which the stream ends. (s)</summary>
        public readonly double TimeS;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public StreamEnd(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            SessionId = (int)decoder.Whole(0);
            Sequence = decoder.Whole(1);
            FrameCount = decoder.Whole(2);
            TimeS = decoder.Number(3);
        }
    }
}
