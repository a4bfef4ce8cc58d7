// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>An utterance may now be pushed.</summary>
    public readonly ref struct SpeechOpened
    {
        public const string Topic = "speech_opened";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.SpeechOpened, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Uint("speech_id", 0, 9007199254740991),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>Number of the utterance within the session, from 0.</summary>
        public readonly long SpeechId;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public SpeechOpened(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            SpeechId = decoder.Whole(1);
        }
    }
}
