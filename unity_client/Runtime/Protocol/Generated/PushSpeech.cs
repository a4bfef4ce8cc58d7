// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>The next piece of an utterance's sound, of any length up to the largest request. Answered by speech_state.</summary>
    public readonly ref struct PushSpeech
    {
        public const string Topic = "push_speech";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.PushSpeech, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Uint("speech_id", 0, 9007199254740991),
                FieldSpec.Uint("first_sample", 0, 9007199254740991),
                FieldSpec.Uint("sample_count", 1, 96000),
                FieldSpec.Uint("channel_count", 1, 2),
            },
            new[]
            {
                new ArraySpec("pcm", ElementKind.Short, ~3, ~4),
            });

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>Number of the utterance within the session, from 0.</summary>
        public readonly long SpeechId;
        /// <summary>How many samples (per channel) of the utterance came before: a hole is refused.</summary>
        public readonly long FirstSample;
        /// <summary>S, samples per channel.</summary>
        public readonly int SampleCount;
        /// <summary>C, as the utterance was opened with.</summary>
        public readonly int ChannelCount;
        /// <summary>PCM. (SampleCount x ChannelCount, 1/32768)</summary>
        public readonly ReadOnlySpan<short> Pcm;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public PushSpeech(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            SpeechId = decoder.Whole(1);
            FirstSample = decoder.Whole(2);
            SampleCount = (int)decoder.Whole(3);
            ChannelCount = (int)decoder.Whole(4);
            Pcm = decoder.Shorts(0, message);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, long speechId, long firstSample, int sampleCount, int channelCount, ReadOnlySpan<short> pcm)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutUint(speechId);
            buffer.PutUint(firstSample);
            buffer.PutUint(sampleCount);
            buffer.PutUint(channelCount);
            buffer.PutArray(pcm);
            buffer.End();
        }
    }
}
