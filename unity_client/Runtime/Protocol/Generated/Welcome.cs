// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>The answer to hello: the session, who the avatar is, its canonical Gaussians, camera, controls and backdrop.</summary>
    public readonly ref struct Welcome
    {
        public const string Topic = "welcome";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.Welcome, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Text("server_version", 64),
                FieldSpec.Text("server_id", 32),
                FieldSpec.Uint("session_id", 0, 99999),
                FieldSpec.Uint("publication_port", 1, 65535),
                FieldSpec.Text("avatar_name", 200),
                FieldSpec.Texts("avatar_names", 64, 200),
                FieldSpec.Text("bundle_sha256", 64),
                FieldSpec.Text("subject", 1000),
                FieldSpec.Text("consent", 1000),
                FieldSpec.Text("licence", 1000),
                FieldSpec.Text("notice", 1000),
                FieldSpec.Uint("fps", 1, 240),
                FieldSpec.Uint("audio_rate_hz", 8000, 48000),
                FieldSpec.Float("lead_s", 0.0, 10.0),
                FieldSpec.Float("client_lease_s", 0.5, 60.0),
                FieldSpec.Bool("can_play"),
                FieldSpec.Float("speech_capacity_s", 0.0, 3600.0),
                FieldSpec.Texts("control_names", 256, 64),
                FieldSpec.Texts("emotion_names", 64, 64),
                FieldSpec.Bool("has_gaze"),
                FieldSpec.Floats("head_pose_low", 6, double.MinValue, double.MaxValue),
                FieldSpec.Floats("head_pose_high", 6, double.MinValue, double.MaxValue),
                FieldSpec.Uint("control_count", 0, 256),
                FieldSpec.Uint("gaussian_count", 1, 1000000),
                FieldSpec.Uint("mover_count", 0, 1000000),
                FieldSpec.Rigid("camera_from_avatar"),
                FieldSpec.Floats("K", 9, double.MinValue, double.MaxValue),
                FieldSpec.Uint("width_px", 1, 8192),
                FieldSpec.Uint("height_px", 1, 8192),
                FieldSpec.Floats("box_position_min_m", 3, double.MinValue, double.MaxValue),
                FieldSpec.Floats("box_position_max_m", 3, double.MinValue, double.MaxValue),
                FieldSpec.Float("box_log_scale_min", double.MinValue, double.MaxValue),
                FieldSpec.Float("box_log_scale_max", double.MinValue, double.MaxValue),
            },
            new[]
            {
                new ArraySpec("control_ranges", ElementKind.Float, ~23, 2),
                new ArraySpec("means", ElementKind.Float, ~24, 3),
                new ArraySpec("quats_wxyz", ElementKind.Float, ~24, 4),
                new ArraySpec("scales", ElementKind.Float, ~24, 3),
                new ArraySpec("opacities", ElementKind.Float, ~24),
                new ArraySpec("sh_coeffs", ElementKind.Float, ~24, 1, 3),
                new ArraySpec("part_ids", ElementKind.Byte, ~24),
                new ArraySpec("plate", ElementKind.Byte, ~29, ~28, 3),
            });

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>Version of the gstalker package that serves.</summary>
        public readonly Utf8Text ServerVersion;
        /// <summary>Random for every start of a server: another one means that nothing old is valid.</summary>
        public readonly Utf8Text ServerId;
        /// <summary>Which session.</summary>
        public readonly int SessionId;
        /// <summary>TCP port of the publication, at the host that was greeted.</summary>
        public readonly int PublicationPort;
        /// <summary>Name of the bundle.</summary>
        public readonly Utf8Text AvatarName;
        /// <summary>All avatars of this server.</summary>
        public readonly TextList AvatarNames;
        /// <summary>SHA-256 of the bundle's avatar.json, hexadecimal; it holds the hash of every file.</summary>
        public readonly Utf8Text BundleSha256;
        /// <summary>Whose likeness it is.</summary>
        public readonly Utf8Text Subject;
        /// <summary>How the person shown agreed.</summary>
        public readonly Utf8Text Consent;
        /// <summary>Terms of use of the avatar.</summary>
        public readonly Utf8Text Licence;
        /// <summary>What viewers must be told: the pictures are synthetic.</summary>
        public readonly Utf8Text Notice;
        /// <summary>Frames a second. (Hz)</summary>
        public readonly int Fps;
        /// <summary>Sample rate of the sound. (Hz)</summary>
        public readonly int AudioRateHz;
        /// <summary>How long before its presentation time a message is sent. (s)</summary>
        public readonly double LeadS;
        /// <summary>A client that asks for nothing for this long is forgotten. (s)</summary>
        public readonly double ClientLeaseS;
        /// <summary>Whether the server has a sound of its own for `play`.</summary>
        public readonly bool CanPlay;
        /// <summary>How much pushed sound the server lets wait. (s)</summary>
        public readonly double SpeechCapacityS;
        /// <summary>The expression weights, by their ARKit names, in order.</summary>
        public readonly TextList ControlNames;
        /// <summary>What set_emotion knows.</summary>
        public readonly TextList EmotionNames;
        /// <summary>Whether set_gaze can move the eyes.</summary>
        public readonly bool HasGaze;
        /// <summary>Lowest rotation vector (rad) and translation (m) seen in training.</summary>
        public readonly Numbers HeadPoseLow;
        /// <summary>Highest.</summary>
        public readonly Numbers HeadPoseHigh;
        /// <summary>E, the expression weights.</summary>
        public readonly int ControlCount;
        /// <summary>N, all Gaussians.</summary>
        public readonly int GaussianCount;
        /// <summary>M, those that can move: the first M of the N.</summary>
        public readonly int MoverCount;
        /// <summary>Pose of the bundle's own camera. (m, camera &lt;- avatar)</summary>
        public readonly Numbers CameraFromAvatar;
        /// <summary>Intrinsics of that camera, row by row. (px)</summary>
        public readonly Numbers K;
        /// <summary>Width of its picture, and of the plate. (px)</summary>
        public readonly int WidthPx;
        /// <summary>Height of its picture, and of the plate. (px)</summary>
        public readonly int HeightPx;
        /// <summary>Lowest corner of what the movers cover. (m, part)</summary>
        public readonly Numbers BoxPositionMinM;
        /// <summary>Highest corner. (m, part)</summary>
        public readonly Numbers BoxPositionMaxM;
        /// <summary>Smallest natural logarithm of a mover's scale in metres.</summary>
        public readonly double BoxLogScaleMin;
        /// <summary>Largest.</summary>
        public readonly double BoxLogScaleMax;
        /// <summary>Smallest and largest weight seen in training. (ControlCount x 2)</summary>
        public readonly ReadOnlySpan<float> ControlRanges;
        /// <summary>Canonical centres. (GaussianCount x 3, m, part)</summary>
        public readonly ReadOnlySpan<float> Means;
        /// <summary>Rotations from local axes, w first. (GaussianCount x 4, part)</summary>
        public readonly ReadOnlySpan<float> QuatsWxyz;
        /// <summary>Standard deviations, linear. (GaussianCount x 3, m, local axes)</summary>
        public readonly ReadOnlySpan<float> Scales;
        /// <summary>0 to 1. (GaussianCount)</summary>
        public readonly ReadOnlySpan<float> Opacities;
        /// <summary>Colour: 0.5 + 0.28209479 times this. (GaussianCount x 1 x 3, display RGB)</summary>
        public readonly ReadOnlySpan<float> ShCoeffs;
        /// <summary>0 head, 1 torso: which pose and which part space. (GaussianCount)</summary>
        public readonly ReadOnlySpan<byte> PartIds;
        /// <summary>Backdrop, rows from the top. (HeightPx x WidthPx x 3, display RGB)</summary>
        public readonly ReadOnlySpan<byte> Plate;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public Welcome(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            ServerVersion = decoder.Text(1, message);
            ServerId = decoder.Text(2, message);
            SessionId = (int)decoder.Whole(3);
            PublicationPort = (int)decoder.Whole(4);
            AvatarName = decoder.Text(5, message);
            AvatarNames = decoder.Texts(6, message);
            BundleSha256 = decoder.Text(7, message);
            Subject = decoder.Text(8, message);
            Consent = decoder.Text(9, message);
            Licence = decoder.Text(10, message);
            Notice = decoder.Text(11, message);
            Fps = (int)decoder.Whole(12);
            AudioRateHz = (int)decoder.Whole(13);
            LeadS = decoder.Number(14);
            ClientLeaseS = decoder.Number(15);
            CanPlay = decoder.Truth(16);
            SpeechCapacityS = decoder.Number(17);
            ControlNames = decoder.Texts(18, message);
            EmotionNames = decoder.Texts(19, message);
            HasGaze = decoder.Truth(20);
            HeadPoseLow = decoder.Numbers(21);
            HeadPoseHigh = decoder.Numbers(22);
            ControlCount = (int)decoder.Whole(23);
            GaussianCount = (int)decoder.Whole(24);
            MoverCount = (int)decoder.Whole(25);
            CameraFromAvatar = decoder.Numbers(26);
            K = decoder.Numbers(27);
            WidthPx = (int)decoder.Whole(28);
            HeightPx = (int)decoder.Whole(29);
            BoxPositionMinM = decoder.Numbers(30);
            BoxPositionMaxM = decoder.Numbers(31);
            BoxLogScaleMin = decoder.Number(32);
            BoxLogScaleMax = decoder.Number(33);
            ControlRanges = decoder.Floats(0, message);
            Means = decoder.Floats(1, message);
            QuatsWxyz = decoder.Floats(2, message);
            Scales = decoder.Floats(3, message);
            Opacities = decoder.Floats(4, message);
            ShCoeffs = decoder.Floats(5, message);
            PartIds = decoder.Bytes(6, message);
            Plate = decoder.Bytes(7, message);
        }
    }
}
