#nullable enable
using System;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>
    /// What to show and to play now. The sound's clock is the clock: while a sound device plays, the picture is that
    /// of the sample being heard; without one it is the session's clock, later by what the network needs. One thread
    /// puts (the connection's), one shows (the game's), one fills (the sound device's).
    /// </summary>
    public sealed class Playout : IAvatarPlayback
    {
        private const double SoundCapacityS = 4;
        private const int MostFrames = 96;

        private readonly object _gate = new object();
        private readonly ClockEstimator _clock = new ClockEstimator();
        private readonly ArrivalSlack _slack = new ArrivalSlack();
        private readonly double _frameS;
        private readonly int _soundRateHz;
        private double _shownS = double.NegativeInfinity;

        public readonly FrameBuffer Frames;
        public readonly SoundBuffer Sound;

        public Playout(AvatarDescription avatar)
        {
            Avatar = avatar;
            _frameS = 1.0 / avatar.FrameRateHz;
            _soundRateHz = avatar.SoundRateHz;
            double waitingS = avatar.LeadS + ArrivalSlack.LongestDelayS + 0.2;
            int waiting = (int)Math.Ceiling(waitingS * avatar.FrameRateHz);
            Frames = new FrameBuffer(Math.Max(8, Math.Min(waiting, MostFrames)), avatar.MoverCount);
            Sound = new SoundBuffer(avatar.SoundRateHz, SoundCapacityS + avatar.LeadS);
            Player = new SoundPlayer(Sound);
        }

        public AvatarDescription Avatar { get; }

        public SoundPlayer Player { get; }

        SoundPlayer? IAvatarPlayback.Player => Player;

        /// <summary>How far behind the session's clock is played.</summary>
        public double DelayS
        {
            get
            {
                lock (_gate)
                    return _slack.DelayS;
            }
        }

        /// <summary>How far the estimate of the session's clock may be off.</summary>
        public double ClockUncertaintyS(double localS)
        {
            lock (_gate)
                return _clock.UncertaintyS(localS);
        }

        /// <summary>Everything old is void, as after a reconnection to another server.</summary>
        public void Reset()
        {
            lock (_gate)
            {
                _clock.Reset();
                _slack.Reset();
                _shownS = double.NegativeInfinity;
            }
            Frames.Clear();
            Sound.Clear();
            Player.Reset();
        }

        /// <summary>A pong came; a stopped session clock tells nothing.</summary>
        public void PutPong(double sentS, double receivedS, double streamTimeS, bool running)
        {
            bool jumped = false;
            lock (_gate)
                jumped = running && _clock.Add(sentS, receivedS, streamTimeS);
            if (jumped)
                Player.Reset();
        }

        public void Put(in FrameQ16 frame, double receivedS)
        {
            PutArrival(receivedS, frame.SentAtS, frame.TimeS, _frameS);
            Frames.Put(frame);
        }

        public void Put(in Audio audio, double receivedS)
        {
            PutArrival(receivedS, audio.SentAtS, audio.TimeS, Player.LatencyS);
            Sound.Put(audio.SpeechId, SampleOf(audio.TimeS), audio.Pcm);
        }

        public void Put(in SpeechEnd end)
        {
            Sound.End(end.SpeechId, SampleOf(end.TimeS));
        }

        /// <summary>The presentation time that should be seen and heard at a local time; not a number before it is known.</summary>
        public double TargetS(double localS)
        {
            lock (_gate)
                return _clock.IsKnown ? _clock.SessionTimeS(localS) - _slack.DelayS : double.NaN;
        }

        /// <summary>The frames to mix for a picture that is seen at a local time; give them back after use.</summary>
        public bool TryPick(double localS, out PickedFrames picked, out double timeS)
        {
            picked = default;
            timeS = Player.TryHeardS(localS, out double heardS) ? heardS : TargetS(localS);
            lock (_gate)
            {
                if (double.IsNaN(timeS))
                    return false;
                _shownS = timeS = Math.Max(timeS, _shownS); // motion never runs backwards
            }
            return Frames.TryPick(timeS, out picked);
        }

        public void GiveBack(in PickedFrames picked) => Frames.GiveBack(picked);

        private void PutArrival(double receivedS, double sentAtS, double timeS, double frameS)
        {
            lock (_gate)
            {
                _clock.AddOneWay(receivedS, sentAtS);
                _slack.Add(receivedS, timeS - _clock.SessionTimeS(receivedS), frameS);
            }
        }

        private long SampleOf(double timeS) => (long)Math.Round(timeS * _soundRateHz);
    }
}
