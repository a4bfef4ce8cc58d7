// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>The same time step unquantised, for validation: computed only while somebody subscribes to it.</summary>
    public readonly ref struct FrameF32
    {
        public const string Topic = "frame/f32";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.FrameF32, Topic, true,
            new[]
            {
                FieldSpec.Uint("session_id", 0, 99999),
                FieldSpec.Uint("sequence", 0, 9007199254740991),
                FieldSpec.Uint("index", 0, 9007199254740991),
                FieldSpec.Float("time_s", 0.0, double.MaxValue),
                FieldSpec.Float("sent_at_s", double.MinValue, double.MaxValue),
                FieldSpec.Rigid("avatar_from_head"),
                FieldSpec.Rigid("avatar_from_torso"),
                FieldSpec.Uint("mover_count", 0, 1000000),
            },
            new[]
            {
                new ArraySpec("means", ElementKind.Float, ~7, 3),
                new ArraySpec("quats_wxyz", ElementKind.Float, ~7, 4),
                new ArraySpec("scales", ElementKind.Float, ~7, 3),
                new ArraySpec("opacities", ElementKind.Float, ~7),
            });

        /// <summary>Which session.</summary>
        public readonly int SessionId;
        /// <summary>Number of the message within topic and session, from 0 without gaps: a gap is a lost one.</summary>
        public readonly long Sequence;
        /// <summary>Frame number on the session's clock, from 0: presentation time times fps. Sent again, it supersedes.</summary>
        public readonly long Index;
        /// <summary>Presentation time on the session's clock. (s)</summary>
        public readonly double TimeS;
        /// <summary>The session's clock when the message was handed to the transport. (s)</summary>
        public readonly double SentAtS;
        /// <summary>Pose of the head. (m, avatar &lt;- head)</summary>
        public readonly Numbers AvatarFromHead;
        /// <summary>Pose of the torso. (m, avatar &lt;- torso)</summary>
        public readonly Numbers AvatarFromTorso;
        /// <summary>M, the movers.</summary>
        public readonly int MoverCount;
        /// <summary>Centres. (MoverCount x 3, m, part)</summary>
        public readonly ReadOnlySpan<float> Means;
        /// <summary>Rotations, w first, unit length. (MoverCount x 4, part)</summary>
        public readonly ReadOnlySpan<float> QuatsWxyz;
        /// <summary>Standard deviations, linear. (MoverCount x 3, m, local axes)</summary>
        public readonly ReadOnlySpan<float> Scales;
        /// <summary>0 to 1. (MoverCount)</summary>
        public readonly ReadOnlySpan<float> Opacities;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public FrameF32(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            SessionId = (int)decoder.Whole(0);
            Sequence = decoder.Whole(1);
            Index = decoder.Whole(2);
            TimeS = decoder.Number(3);
            SentAtS = decoder.Number(4);
            AvatarFromHead = decoder.Numbers(5);
            AvatarFromTorso = decoder.Numbers(6);
            MoverCount = (int)decoder.Whole(7);
            Means = decoder.Floats(0, message);
            QuatsWxyz = decoder.Floats(1, message);
            Scales = decoder.Floats(2, message);
            Opacities = decoder.Floats(3, message);
        }
    }
}
