// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>Hold the head in a pose; beyond what was seen in training it is clamped softly. Answered by applied.</summary>
    public readonly ref struct SetHeadPose
    {
        public const string Topic = "set_head_pose";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.SetHeadPose, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Bool("held"),
                FieldSpec.Floats("rotation_rad", 3, -3.2, 3.2),
                FieldSpec.Floats("translation_m", 3, -1.0, 1.0),
                FieldSpec.Float("blend_s", 0.0, 10.0),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>False gives the head back to idle life.</summary>
        public readonly bool Held;
        /// <summary>Rotation vector of avatar_from_head. (rad)</summary>
        public readonly Numbers RotationRad;
        /// <summary>Its translation; 0 is the rest pose. (m)</summary>
        public readonly Numbers TranslationM;
        /// <summary>How long the change takes; 0 for at once. (s)</summary>
        public readonly double BlendS;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public SetHeadPose(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            Held = decoder.Truth(1);
            RotationRad = decoder.Numbers(2);
            TranslationM = decoder.Numbers(3);
            BlendS = decoder.Number(4);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, bool held, Numbers rotationRad, Numbers translationM, double blendS)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutBool(held);
            buffer.PutFloats(rotationRad);
            buffer.PutFloats(translationM);
            buffer.PutFloat(blendS);
            buffer.End();
        }
    }
}
