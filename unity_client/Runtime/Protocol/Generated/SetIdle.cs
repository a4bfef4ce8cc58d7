// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>Switch idle life (blinks, breathing, small motion of the head) on or off. Answered by done.</summary>
    public readonly ref struct SetIdle
    {
        public const string Topic = "set_idle";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.SetIdle, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Bool("enabled"),
                FieldSpec.Uint("seed", 0, 4294967295),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>False holds the rest pose between utterances and during them.</summary>
        public readonly bool Enabled;
        /// <summary>Of the idle motion: the same seed gives the same motion.</summary>
        public readonly long Seed;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public SetIdle(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            Enabled = decoder.Truth(1);
            Seed = decoder.Whole(2);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, bool enabled, long seed)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutBool(enabled);
            buffer.PutUint(seed);
            buffer.End();
        }
    }
}
