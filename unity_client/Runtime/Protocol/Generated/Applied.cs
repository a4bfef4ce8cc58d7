// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>A control was set, and whether it had to be limited to what the avatar was trained on.</summary>
    public readonly ref struct Applied
    {
        public const string Topic = "applied";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.Applied, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Bool("limited"),
                FieldSpec.Text("detail", 1000),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>Something was clamped; `detail` says what.</summary>
        public readonly bool Limited;
        /// <summary>For a person.</summary>
        public readonly Utf8Text Detail;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public Applied(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            Limited = decoder.Truth(1);
            Detail = decoder.Text(2, message);
        }
    }
}
