// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>The request was not carried out, and why.</summary>
    public readonly ref struct Refusal
    {
        public const string Topic = "refusal";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.Refusal, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Text("code", 32),
                FieldSpec.Text("reason", 1000),
                FieldSpec.Float("retry_after_s", 0.0, 3600.0),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>One of the refusal codes.</summary>
        public readonly Utf8Text Code;
        /// <summary>For a person: what was expected, what came.</summary>
        public readonly Utf8Text Reason;
        /// <summary>When asking again may help; 0 where it will not. (s)</summary>
        public readonly double RetryAfterS;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public Refusal(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            Code = decoder.Text(1, message);
            Reason = decoder.Text(2, message);
            RetryAfterS = decoder.Number(3);
        }
    }
}
