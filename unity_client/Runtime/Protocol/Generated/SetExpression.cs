// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>Hold some expression weights at given values; the others stay as they are moved. Answered by applied.</summary>
    public readonly ref struct SetExpression
    {
        public const string Topic = "set_expression";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.SetExpression, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Float("blend_s", 0.0, 10.0),
                FieldSpec.Uint("control_count", 0, 256),
            },
            new[]
            {
                new ArraySpec("weights", ElementKind.Float, ~2),
                new ArraySpec("held", ElementKind.Byte, ~2),
            });

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>How long the change takes; 0 for at once. (s)</summary>
        public readonly double BlendS;
        /// <summary>E, the weights of the welcome.</summary>
        public readonly int ControlCount;
        /// <summary>In the order of control_names. (ControlCount)</summary>
        public readonly ReadOnlySpan<float> Weights;
        /// <summary>1 holds the weight, 0 gives it back to idle life. (ControlCount)</summary>
        public readonly ReadOnlySpan<byte> Held;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public SetExpression(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            BlendS = decoder.Number(1);
            ControlCount = (int)decoder.Whole(2);
            Weights = decoder.Floats(0, message);
            Held = decoder.Bytes(1, message);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, double blendS, int controlCount, ReadOnlySpan<float> weights, ReadOnlySpan<byte> held)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutFloat(blendS);
            buffer.PutUint(controlCount);
            buffer.PutArray(weights);
            buffer.PutArray(held);
            buffer.End();
        }
    }
}
