// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>Blend in one of the emotions of the welcome; an empty name ends it. Answered by applied.</summary>
    public readonly ref struct SetEmotion
    {
        public const string Topic = "set_emotion";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.SetEmotion, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Text("emotion_name", 64),
                FieldSpec.Float("strength", 0.0, 1.0),
                FieldSpec.Float("blend_s", 0.0, 10.0),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>One of emotion_names, or empty.</summary>
        public readonly Utf8Text EmotionName;
        /// <summary>0 none, 1 as strong as the person was seen.</summary>
        public readonly double Strength;
        /// <summary>How long the change takes; 0 for at once. (s)</summary>
        public readonly double BlendS;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public SetEmotion(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            EmotionName = decoder.Text(1, message);
            Strength = decoder.Number(2);
            BlendS = decoder.Number(3);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, string emotionName, double strength, double blendS)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutText(emotionName);
            buffer.PutFloat(strength);
            buffer.PutFloat(blendS);
            buffer.End();
        }
    }
}
