#nullable enable
using System;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>
    /// A bundle whose networks run on this device, without a server: makes frames a little ahead of their time, from
    /// the speech it was given and the bundle's own idle motion. Step it often; of one thread but for the sound.
    /// </summary>
    public sealed class OnDeviceAvatar : IAvatarPlayback, IDisposable
    {
        private const double AheadS = 0.12; // three frames, so that a slow picture does not starve the next
        private const int SpeechLeadFrames = 3; // so that the mouth can anticipate
        private const double CapacityS = 60;

        private readonly AvatarBundle _bundle;
        private readonly IFieldNetworks _networks;
        private readonly MoverPacker _packer;
        private readonly FrameBuffer _frames;
        private readonly SoundBuffer _sound;
        private readonly LogMel _logMel = new LogMel();
        private readonly float[] _window, _code, _silentCode, _expression, _deltas, _torsoDeltas;
        private readonly float[] _headPose = new float[6], _rigid = new float[3], _around = new float[LogMel.Window];
        private readonly float[] _speech; // a ring of the session's samples; silence where nothing is said
        private readonly byte[] _movers;
        private readonly double _startedS;
        private long _nextFrame, _speechEnd;

        /// <param name="networks">Owned from now on.</param>
        /// <param name="startS">The steady clock at presentation time 0.</param>
        public OnDeviceAvatar(AvatarBundle bundle, IFieldNetworks networks, double startS)
        {
            _bundle = bundle;
            _networks = networks;
            _packer = new MoverPacker(bundle);
            _startedS = startS;
            _frames = new FrameBuffer(16, Avatar.MoverCount);
            _sound = new SoundBuffer(Avatar.SoundRateHz, CapacityS);
            Player = new SoundPlayer(_sound);
            _window = new float[bundle.MelWindow * LogMel.Bands];
            _code = new float[bundle.CodeSize];
            _silentCode = new float[bundle.CodeSize];
            _expression = new float[bundle.ExpressionSize];
            _deltas = new float[11 * bundle.HeadMovers];
            _torsoDeltas = new float[3 * bundle.TorsoMovers];
            _movers = new byte[Wire.BytesPerMover * Avatar.MoverCount];
            _speech = new float[(int)(CapacityS * Avatar.SoundRateHz)];
            Array.Fill(_window, LogMel.Silence);
            _networks.Hear(_window, _silentCode);
        }

        public AvatarDescription Avatar => _bundle.Avatar;

        public SoundPlayer Player { get; }

        SoundPlayer? IAvatarPlayback.Player => Player;

        /// <summary>Values that lay outside of the bundle's box in the last frame; more than a few tell of a wrong runtime.</summary>
        public int OutsideBox { get; private set; }

        /// <summary>Speak 16 kHz mono sound, -1..1, after what is being said.</summary>
        /// <returns>The presentation time at which it begins.</returns>
        /// <exception cref="AvatarException">It is longer than can wait.</exception>
        public double Say(ReadOnlySpan<float> samples)
        {
            int perFrame = Avatar.SoundRateHz / Avatar.FrameRateHz;
            long first = Math.Max(_speechEnd, (_nextFrame + SpeechLeadFrames) * perFrame);
            if (first + samples.Length - _nextFrame * perFrame > _speech.Length - 2 * Avatar.SoundRateHz)
                throw new AvatarException($"speech: expected at most {CapacityS - 2:0} s to wait, got more. Say it in pieces.");
            var pcm = new short[samples.Length];
            for (int i = 0; i < samples.Length; i++)
            {
                _speech[(first + i) % _speech.Length] = samples[i];
                pcm[i] = (short)Math.Max(-32768, Math.Min(32767, MathF.Round(samples[i] * 32768)));
            }
            _sound.Put(0, first, pcm);
            _speechEnd = first + samples.Length;
            return first / (double)Avatar.SoundRateHz;
        }

        /// <summary>Make the frames that are due; at most so many, for a game that must not wait.</summary>
        public void Step(double localS, int mostFrames = 1)
        {
            for (int made = 0; made < mostFrames && TimeOf(_nextFrame) < TargetS(localS) + AheadS; made++)
            {
                // A device that cannot keep up drops frames, as a server does.
                long due = (long)(TargetS(localS) * Avatar.FrameRateHz);
                for (; _nextFrame < due; _nextFrame++)
                    ForgetSpeechOf(_nextFrame);
                Make(_nextFrame++);
            }
        }

        private void Make(long index)
        {
            int idle = _bundle.IdleFrameOf(index);
            Array.Copy(_bundle.IdleExpression, idle * _expression.Length, _expression, 0, _expression.Length);
            Numbers head = PoseOf(_bundle.IdleHead, idle), torso = PoseOf(_bundle.IdleTorso, idle);
            bool silent = FillWindow(index);
            if (!silent)
                _networks.Hear(_window, _code);
            _networks.Deform(silent ? _silentCode : _code, _expression, _deltas);
            RotationVector.HeadPose(head, _headPose);
            _networks.MoveTorso(_headPose, _rigid, _torsoDeltas);
            OutsideBox = _packer.Pack(_deltas, _torsoDeltas, _movers);
            _frames.Put(index, index, TimeOf(index), head, torso, _movers);
            ForgetSpeechOf(index);
        }

        /// <summary>The features around a frame; whether all of it is silence.</summary>
        private bool FillWindow(long index)
        {
            long middle = index * Avatar.SoundRateHz / Avatar.FrameRateHz;
            long first = middle - _bundle.LeftMelFrames * LogMel.Hop - LogMel.Window / 2;
            if (first >= _speechEnd)
                return true;
            bool silent = true;
            for (int row = 0; row < _bundle.MelWindow; row++)
            {
                long start = first + row * LogMel.Hop;
                for (int i = 0; i < LogMel.Window; i++)
                {
                    _around[i] = start + i >= 0 && start + i < _speechEnd ? _speech[(start + i) % _speech.Length] : 0;
                    silent &= _around[i] == 0;
                }
                _logMel.Compute(_around, _window.AsSpan(row * LogMel.Bands, LogMel.Bands));
            }
            return silent;
        }

        // The ring's oldest frame of sound, which no window reaches back to any more, becomes silence.
        private void ForgetSpeechOf(long index)
        {
            int perFrame = Avatar.SoundRateHz / Avatar.FrameRateHz;
            long oldest = (index - 2 * Avatar.FrameRateHz) * perFrame;
            for (long i = Math.Max(0, oldest); i < oldest + perFrame; i++)
                _speech[i % _speech.Length] = 0;
        }

        private double TimeOf(long index) => index / (double)Avatar.FrameRateHz;

        private static Numbers PoseOf(float[] matrices, int frame)
        {
            Span<double> rows = stackalloc double[Numbers.Most];
            for (int i = 0; i < rows.Length; i++)
                rows[i] = matrices[16 * frame + i];
            return new Numbers(rows);
        }

        public double TargetS(double localS) => localS - _startedS;

        public bool TryPick(double localS, out PickedFrames picked, out double timeS)
        {
            timeS = Math.Max(0, Player.TryHeardS(localS, out double heardS) ? heardS : TargetS(localS));
            return _frames.TryPick(timeS, out picked);
        }

        public void GiveBack(in PickedFrames picked) => _frames.GiveBack(picked);

        public void Dispose() => _networks.Dispose();
    }
}
