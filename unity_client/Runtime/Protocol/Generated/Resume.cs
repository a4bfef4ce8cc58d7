// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>Put a private session into the state of a snapshot: the same frames follow. Answered by done.</summary>
    public readonly ref struct Resume
    {
        public const string Topic = "resume";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.Resume, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Uint("state_bytes", 1, 200000),
            },
            new[]
            {
                new ArraySpec("state", ElementKind.Byte, ~1),
            });

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>B.</summary>
        public readonly int StateBytes;
        /// <summary>As a snapshot gave it. (StateBytes)</summary>
        public readonly ReadOnlySpan<byte> State;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public Resume(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            StateBytes = (int)decoder.Whole(1);
            State = decoder.Bytes(0, message);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, int stateBytes, ReadOnlySpan<byte> state)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutUint(stateBytes);
            buffer.PutArray(state);
            buffer.End();
        }
    }
}
