// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>The utterance is over, or was cut; frames go on, idling. Sound after `time_s` that came before is void.</summary>
    public readonly ref struct SpeechEnd
    {
        public const string Topic = "speech_end";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.SpeechEnd, Topic, true,
            new[]
            {
                FieldSpec.Uint("session_id", 0, 99999),
                FieldSpec.Uint("sequence", 0, 9007199254740991),
                FieldSpec.Uint("speech_id", 0, 9007199254740991),
                FieldSpec.Float("time_s", 0.0, double.MaxValue),
                FieldSpec.Bool("cut"),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Which session.</summary>
        public readonly int SessionId;
        /// <summary>Number of the message within topic and session, from 0 without gaps: a gap is a lost one.</summary>
        public readonly long Sequence;
        /// <summary>Number of the utterance within the session, from 0.</summary>
        public readonly long SpeechId;
        /// <summary>Presentation time at which its sound ends. (s)</summary>
        public readonly double TimeS;
        /// <summary>Whether it was stopped before its own end.</summary>
        public readonly bool Cut;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public SpeechEnd(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            SessionId = (int)decoder.Whole(0);
            Sequence = decoder.Whole(1);
            SpeechId = decoder.Whole(2);
            TimeS = decoder.Number(3);
            Cut = decoder.Truth(4);
        }
    }
}
