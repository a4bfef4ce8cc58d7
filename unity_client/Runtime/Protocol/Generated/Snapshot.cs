// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>A session's state: seeds, controls, place in the speech and the sound that still waits.</summary>
    public readonly ref struct Snapshot
    {
        public const string Topic = "snapshot";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.Snapshot, Topic, false,
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
        /// <summary>msgpack, for `resume`. (StateBytes)</summary>
        public readonly ReadOnlySpan<byte> State;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public Snapshot(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            StateBytes = (int)decoder.Whole(1);
            State = decoder.Bytes(0, message);
        }
    }
}
