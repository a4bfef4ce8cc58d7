// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>The answer to ping: what a client needs to know its offset to the session's clock.</summary>
    public readonly ref struct Pong
    {
        public const string Topic = "pong";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.Pong, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Float("client_time_s", double.MinValue, double.MaxValue),
                FieldSpec.Float("stream_time_s", double.MinValue, double.MaxValue),
                FieldSpec.Bool("running"),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>As in the ping. (s)</summary>
        public readonly double ClientTimeS;
        /// <summary>The session's clock when the answer left; negative before the first presentation. (s)</summary>
        public readonly double StreamTimeS;
        /// <summary>Whether that clock runs: before the stream begins it stands.</summary>
        public readonly bool Running;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public Pong(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            ClientTimeS = decoder.Number(1);
            StreamTimeS = decoder.Number(2);
            Running = decoder.Truth(3);
        }
    }
}
