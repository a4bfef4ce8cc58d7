// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>The request was carried out.</summary>
    public readonly ref struct Done
    {
        public const string Topic = "done";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.Done, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public Done(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
        }
    }
}
