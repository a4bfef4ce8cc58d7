// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>Have only every n-th frame sent; of the wishes in a session the fastest counts. Answered by done.</summary>
    public readonly ref struct SetRate
    {
        public const string Topic = "set_rate";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.SetRate, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Uint("frame_divisor", 1, 25),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>n.</summary>
        public readonly int FrameDivisor;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public SetRate(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            FrameDivisor = (int)decoder.Whole(1);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, int frameDivisor)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutUint(frameDivisor);
            buffer.End();
        }
    }
}
