#nullable enable
using System;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>Who is shown and how its frames are read: what a welcome, or a recorded session, says once.</summary>
    public sealed class AvatarDescription
    {
        public string Name = "", Subject = "", Consent = "", Licence = "", Notice = "";
        public string ServerVersion = "", ServerId = "", BundleSha256 = "";
        public string[] ControlNames = Array.Empty<string>(), EmotionNames = Array.Empty<string>();
        public string[] AvatarNames = Array.Empty<string>();
        public int SessionId, PublicationPort, FrameRateHz, SoundRateHz, GaussianCount, MoverCount, WidthPx, HeightPx;
        public double LeadS, ClientLeaseS, SpeechCapacityS;
        public bool CanPlay, HasGaze;

        /// <summary>Six numbers each: rotation vector (rad) and translation (m) of the head seen in training.</summary>
        public Numbers HeadPoseLow, HeadPoseHigh;

        /// <summary>Smallest and largest of each control, pair after pair.</summary>
        public float[] ControlRanges = Array.Empty<float>();

        /// <summary>The bundle's own camera: rows of camera_from_avatar (OpenCV axes), and K in px.</summary>
        public Numbers CameraFromAvatar, K;

        public Numbers BoxMinM, BoxMaxM;
        public double BoxLogScaleMin, BoxLogScaleMax;

        /// <summary>Canonical Gaussians in the space of their part: 3, 4 (w first), 3, 1 and 3 numbers each.</summary>
        public float[] Means = Array.Empty<float>(), QuatsWxyz = Array.Empty<float>(), Scales = Array.Empty<float>();
        public float[] Opacities = Array.Empty<float>(), ShCoeffs = Array.Empty<float>();

        /// <summary>0 head, 1 torso.</summary>
        public byte[] PartIds = Array.Empty<byte>();

        /// <summary>Backdrop, RGB, rows from the top.</summary>
        public byte[] Plate = Array.Empty<byte>();

        public MoverBox Box => new MoverBox(BoxMinM, BoxMaxM, BoxLogScaleMin, BoxLogScaleMax);

        /// <exception cref="WireException">Parts of the message contradict each other.</exception>
        public static AvatarDescription Of(in Welcome welcome)
        {
            var avatar = new AvatarDescription
            {
                Name = welcome.AvatarName.ToString(),
                Subject = welcome.Subject.ToString(),
                Consent = welcome.Consent.ToString(),
                Licence = welcome.Licence.ToString(),
                Notice = welcome.Notice.ToString(),
                ServerVersion = welcome.ServerVersion.ToString(),
                ServerId = welcome.ServerId.ToString(),
                BundleSha256 = welcome.BundleSha256.ToString(),
                AvatarNames = welcome.AvatarNames.ToArray(),
                ControlNames = welcome.ControlNames.ToArray(),
                EmotionNames = welcome.EmotionNames.ToArray(),
                ControlRanges = welcome.ControlRanges.ToArray(),
                SessionId = welcome.SessionId,
                PublicationPort = welcome.PublicationPort,
                FrameRateHz = welcome.Fps,
                SoundRateHz = welcome.AudioRateHz,
                LeadS = welcome.LeadS,
                ClientLeaseS = welcome.ClientLeaseS,
                SpeechCapacityS = welcome.SpeechCapacityS,
                CanPlay = welcome.CanPlay,
                HasGaze = welcome.HasGaze,
                HeadPoseLow = welcome.HeadPoseLow,
                HeadPoseHigh = welcome.HeadPoseHigh,
                GaussianCount = welcome.GaussianCount,
                MoverCount = welcome.MoverCount,
                CameraFromAvatar = welcome.CameraFromAvatar,
                K = welcome.K,
                WidthPx = welcome.WidthPx,
                HeightPx = welcome.HeightPx,
                BoxMinM = welcome.BoxPositionMinM,
                BoxMaxM = welcome.BoxPositionMaxM,
                BoxLogScaleMin = welcome.BoxLogScaleMin,
                BoxLogScaleMax = welcome.BoxLogScaleMax,
                Means = welcome.Means.ToArray(),
                QuatsWxyz = welcome.QuatsWxyz.ToArray(),
                Scales = welcome.Scales.ToArray(),
                Opacities = welcome.Opacities.ToArray(),
                ShCoeffs = welcome.ShCoeffs.ToArray(),
                PartIds = welcome.PartIds.ToArray(),
                Plate = welcome.Plate.ToArray(),
            };
            avatar.Check("welcome");
            return avatar;
        }

        /// <exception cref="WireException">Parts contradict each other.</exception>
        public void Check(string where)
        {
            if (MoverCount > GaussianCount)
                throw new WireException($"{where}: expected at most {GaussianCount} movers, got {MoverCount}.");
            if (ControlNames.Length * 2 != ControlRanges.Length)
            {
                throw new WireException(
                    $"{where}: expected a range for each of {ControlNames.Length} controls, got {ControlRanges.Length / 2}.");
            }
            bool boxIsSound = BoxLogScaleMin < BoxLogScaleMax;
            for (int axis = 0; axis < 3; axis++)
                boxIsSound &= BoxMinM[axis] < BoxMaxM[axis];
            if (!boxIsSound)
                throw new WireException($"{where}: expected a box with minima below its maxima, got another.");
            foreach (byte part in PartIds)
            {
                if (part > 1)
                    throw new WireException($"{where}: expected part ids of 0 or 1, got {part}.");
            }
        }

        /// <summary>Whether frames of one are frames of the other, so that buffers need not be made anew.</summary>
        public bool IsSameStreamAs(AvatarDescription other) =>
            ServerId == other.ServerId && SessionId == other.SessionId && BundleSha256 == other.BundleSha256;
    }
}
