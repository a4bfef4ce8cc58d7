// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>The utterance has all its sound. Answered by speech_state.</summary>
    public readonly ref struct CloseSpeech
    {
        public const string Topic = "close_speech";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.CloseSpeech, Topic, false,
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
        public CloseSpeech(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            SpeechId = decoder.Whole(1);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, long speechId)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutUint(speechId);
            buffer.End();
        }
    }
}
