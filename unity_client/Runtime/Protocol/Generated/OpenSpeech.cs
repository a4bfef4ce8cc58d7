// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>Begin an utterance whose sound the client pushes. Answered by speech_opened.</summary>
    public readonly ref struct OpenSpeech
    {
        public const string Topic = "open_speech";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.OpenSpeech, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Uint("rate_hz", 8000, 96000),
                FieldSpec.Uint("channel_count", 1, 2),
                FieldSpec.Bool("interrupt"),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>Sample rate of what will be pushed. (Hz)</summary>
        public readonly int RateHz;
        /// <summary>1 mono, 2 stereo; the channels are averaged.</summary>
        public readonly int ChannelCount;
        /// <summary>Cut what is being said and speak at once, instead of after what waits.</summary>
        public readonly bool Interrupt;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public OpenSpeech(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            RateHz = (int)decoder.Whole(1);
            ChannelCount = (int)decoder.Whole(2);
            Interrupt = decoder.Truth(3);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, int rateHz, int channelCount, bool interrupt)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutUint(rateHz);
            buffer.PutUint(channelCount);
            buffer.PutBool(interrupt);
            buffer.End();
        }
    }
}
