// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>How far an utterance is: a sender that keeps `waiting_s` between 0.5 and a few seconds never starves it.</summary>
    public readonly ref struct SpeechState
    {
        public const string Topic = "speech_state";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.SpeechState, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Uint("speech_id", 0, 9007199254740991),
                FieldSpec.Float("received_s", 0.0, double.MaxValue),
                FieldSpec.Float("waiting_s", 0.0, double.MaxValue),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>Number of the utterance within the session, from 0.</summary>
        public readonly long SpeechId;
        /// <summary>Sound received of this utterance. (s)</summary>
        public readonly double ReceivedS;
        /// <summary>Of that, not yet sent on. (s)</summary>
        public readonly double WaitingS;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public SpeechState(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            SpeechId = decoder.Whole(1);
            ReceivedS = decoder.Number(2);
            WaitingS = decoder.Number(3);
        }
    }
}
