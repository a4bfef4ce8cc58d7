// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>Measures the clocks and keeps the client's place; sent every second. Answered by pong.</summary>
    public readonly ref struct Ping
    {
        public const string Topic = "ping";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.Ping, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Float("client_time_s", double.MinValue, double.MaxValue),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>The client's steady clock; comes back untouched. (s)</summary>
        public readonly double ClientTimeS;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public Ping(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            ClientTimeS = decoder.Number(1);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, double clientTimeS)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutFloat(clientTimeS);
            buffer.End();
        }
    }
}
