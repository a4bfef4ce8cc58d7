// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>Hold the eyes in a direction relative to the head, where the avatar's eyes can. Answered by applied.</summary>
    public readonly ref struct SetGaze
    {
        public const string Topic = "set_gaze";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.SetGaze, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Bool("held"),
                FieldSpec.Float("yaw_rad", -1.6, 1.6),
                FieldSpec.Float("pitch_rad", -1.6, 1.6),
                FieldSpec.Float("blend_s", 0.0, 10.0),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>False gives the eyes back to idle life.</summary>
        public readonly bool Held;
        /// <summary>To the picture's right, positive. (rad)</summary>
        public readonly double YawRad;
        /// <summary>Down, positive. (rad)</summary>
        public readonly double PitchRad;
        /// <summary>How long the change takes; 0 for at once. (s)</summary>
        public readonly double BlendS;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public SetGaze(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            Held = decoder.Truth(1);
            YawRad = decoder.Number(2);
            PitchRad = decoder.Number(3);
            BlendS = decoder.Number(4);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, bool held, double yawRad, double pitchRad, double blendS)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutBool(held);
            buffer.PutFloat(yawRad);
            buffer.PutFloat(pitchRad);
            buffer.PutFloat(blendS);
            buffer.End();
        }
    }
}
