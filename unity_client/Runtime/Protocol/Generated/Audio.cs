// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>A piece of the sound that belongs to the frames of the same presentation times.</summary>
    public readonly ref struct Audio
    {
        public const string Topic = "audio";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.Audio, Topic, true,
            new[]
            {
                FieldSpec.Uint("session_id", 0, 99999),
                FieldSpec.Uint("sequence", 0, 9007199254740991),
                FieldSpec.Uint("speech_id", 0, 9007199254740991),
                FieldSpec.Float("time_s", 0.0, double.MaxValue),
                FieldSpec.Float("sent_at_s", double.MinValue, double.MaxValue),
                FieldSpec.Uint("sample_count", 1, 48000),
            },
            new[]
            {
                new ArraySpec("pcm", ElementKind.Short, ~5),
            });

        /// <summary>Which session.</summary>
        public readonly int SessionId;
        /// <summary>Number of the message within topic and session, from 0 without gaps: a gap is a lost one.</summary>
        public readonly long Sequence;
        /// <summary>Number of the utterance within the session, from 0.</summary>
        public readonly long SpeechId;
        /// <summary>Presentation time of the first sample on the session's clock. (s)</summary>
        public readonly double TimeS;
        /// <summary>The session's clock when the message was handed to the transport. (s)</summary>
        public readonly double SentAtS;
        /// <summary>S; at most one second.</summary>
        public readonly int SampleCount;
        /// <summary>Mono PCM, audio_rate_hz of the welcome. (SampleCount, 1/32768)</summary>
        public readonly ReadOnlySpan<short> Pcm;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public Audio(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            SessionId = (int)decoder.Whole(0);
            Sequence = decoder.Whole(1);
            SpeechId = decoder.Whole(2);
            TimeS = decoder.Number(3);
            SentAtS = decoder.Number(4);
            SampleCount = (int)decoder.Whole(5);
            Pcm = decoder.Shorts(0, message);
        }
    }
}
