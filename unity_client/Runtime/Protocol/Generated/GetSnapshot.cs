// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>Ask for the session's state, from which another process can go on. Answered by snapshot.</summary>
    public readonly ref struct GetSnapshot
    {
        public const string Topic = "get_snapshot";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.GetSnapshot, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public GetSnapshot(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.End();
        }
    }
}
