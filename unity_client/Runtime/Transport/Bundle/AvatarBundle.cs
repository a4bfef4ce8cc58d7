#nullable enable
using System;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>A bundle as the networks on this device need it: the avatar, and the constants of its graphs.</summary>
    public sealed class AvatarBundle
    {
        public readonly AvatarDescription Avatar;
        public readonly int HeadMovers, TorsoMovers, CodeSize, HiddenSize, TorsoHiddenSize, ExpressionSize;
        public readonly int LeftMelFrames, RightMelFrames;
        public readonly double[] TorsoOriginM;
        public readonly float[] FirstLayer, Gates, TorsoFirstLayer;

        /// <summary>A few seconds of natural motion, to be played to and fro: 4 x 4 poses, and weights a frame.</summary>
        public readonly float[] IdleHead, IdleTorso, IdleExpression;

        public readonly int IdleFrames;

        /// <exception cref="AvatarException">Its parts do not fit together.</exception>
        public AvatarBundle(BundleFile bundle)
        {
            Json manifest = bundle.Manifest, counts = manifest["counts"], sizes = manifest["sizes"], audio = manifest["audio"];
            HeadMovers = (int)counts["head_movers"].Whole;
            TorsoMovers = (int)counts["torso_movers"].Whole;
            CodeSize = (int)sizes["audio_code"].Whole;
            HiddenSize = (int)sizes["hidden"].Whole;
            TorsoHiddenSize = (int)sizes["torso_hidden"].Whole;
            ExpressionSize = (int)sizes["expression"].Whole;
            LeftMelFrames = (int)audio["left_mel_frames"].Whole;
            RightMelFrames = (int)audio["right_mel_frames"].Whole;
            TorsoOriginM = manifest["torso_origin_avatar_m"].Numbers();
            var baked = new SafeTensors(bundle.Read("baked.safetensors"), "baked.safetensors");
            int gaussians = (int)counts["gaussians"].Whole;
            FirstLayer = baked.Floats("first_layer", HeadMovers, HiddenSize);
            Gates = baked.Floats("gates", HeadMovers, 2);
            TorsoFirstLayer = baked.Floats("torso_first_layer", TorsoMovers, TorsoHiddenSize);
            IdleFrames = baked.Shape("idle_expression")[0];
            IdleExpression = baked.Floats("idle_expression", IdleFrames, ExpressionSize);
            IdleHead = baked.Floats("idle_avatar_from_head", IdleFrames, 4, 4);
            IdleTorso = baked.Floats("idle_avatar_from_torso", IdleFrames, 4, 4);
            Avatar = Describe(manifest, gaussians, baked.Bytes("part_ids", gaussians));
            CanonicalPly.Read(bundle.Read("canonical.ply"), Avatar, TorsoOriginM);
            Avatar.Check("avatar.json");
        }

        public int MelWindow => LeftMelFrames + RightMelFrames;

        /// <summary>Which idle frame a frame number shows: to and fro for ever.</summary>
        public int IdleFrameOf(long index)
        {
            int period = Math.Max(1, 2 * (IdleFrames - 1));
            int place = (int)(index % period);
            return Math.Min(place, period - place);
        }

        private AvatarDescription Describe(Json manifest, int gaussians, byte[] partIds)
        {
            Json camera = manifest["camera"], box = manifest["quantisation"], likeness = manifest["likeness"];
            double focal = camera["focal_px"].Number;
            int size = (int)camera["size_px"].Whole, controls = manifest["controls"].Count;
            var avatar = new AvatarDescription
            {
                Name = manifest["name"].Text,
                Subject = likeness["subject"].Text,
                Consent = likeness["consent"].Text,
                Licence = likeness["licence"].Text,
                Notice = likeness["notice"].Text,
                FrameRateHz = (int)manifest["frame_rate_hz"].Whole,
                SoundRateHz = (int)manifest["audio"]["log_mel"]["sample_rate_hz"].Whole,
                GaussianCount = gaussians,
                MoverCount = HeadMovers + TorsoMovers,
                WidthPx = size,
                HeightPx = size,
                CameraFromAvatar = new Numbers(camera["camera_from_avatar"].Numbers().AsSpan(0, Numbers.Most)),
                K = new Numbers(new[] { focal, 0, size / 2.0, 0, focal, size / 2.0, 0, 0, 1 }),
                BoxMinM = new Numbers(box["position_min_m"].Numbers()),
                BoxMaxM = new Numbers(box["position_max_m"].Numbers()),
                BoxLogScaleMin = box["log_scale_min"].Number,
                BoxLogScaleMax = box["log_scale_max"].Number,
                PartIds = partIds,
                ControlNames = new string[controls],
                ControlRanges = new float[2 * controls],
            };
            for (int i = 0; i < controls; i++)
            {
                Json control = manifest["controls"][i];
                avatar.ControlNames[i] = control["name"].Text;
                avatar.ControlRanges[2 * i] = (float)control["low"].Number;
                avatar.ControlRanges[2 * i + 1] = (float)control["high"].Number;
            }
            return avatar;
        }
    }
}
