#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>Plays a recorded session, once or over and over, from when it is first asked.</summary>
    public sealed class RecordedPlayback : IAvatarPlayback, IDisposable
    {
        private readonly RecordedSession _session;
        private readonly FrameSlot[] _slots = new FrameSlot[2];
        private readonly int[] _places = { -1, -1 };
        private readonly bool _loops;
        private double _startedS = double.NaN;

        /// <param name="session">Owned from now on.</param>
        public RecordedPlayback(RecordedSession session, bool loops)
        {
            _session = session;
            _loops = loops;
            for (int i = 0; i < 2; i++)
            {
                _slots[i] = new FrameSlot();
                _slots[i].MakeRoom(session.Avatar.MoverCount * Protocol.Wire.BytesPerMover);
            }
            if (session.Sound.Length == 0)
                return;
            int rate = session.Avatar.SoundRateHz;
            long first = (long)Math.Round(session.SoundStartS * rate);
            var sound = new SoundBuffer(rate, (first + session.Sound.Length) / (double)rate + 1);
            sound.Put(0, first, session.Sound);
            Player = new SoundPlayer(sound);
        }

        public AvatarDescription Avatar => _session.Avatar;

        public SoundPlayer? Player { get; }

        public double TargetS(double localS)
        {
            if (double.IsNaN(_startedS))
                _startedS = localS;
            double sinceS = localS - _startedS, lengthS = _session.EndS - _session.StartS;
            double inS = _loops && lengthS > 0 ? sinceS % lengthS : Math.Min(sinceS, lengthS);
            return _session.StartS + inS;
        }

        public bool TryPick(double localS, out PickedFrames picked, out double timeS)
        {
            timeS = TargetS(localS);
            PickAt(timeS, out picked);
            return true;
        }

        /// <summary>The frames around a presentation time.</summary>
        public void PickAt(double timeS, out PickedFrames picked)
        {
            int place = _session.PlaceAt(timeS), next = Math.Min(place + 1, _session.Count - 1);
            picked = new PickedFrames { Earlier = Slot(place, next), Later = Slot(next, place) };
            double spanS = picked.Later.TimeS - picked.Earlier.TimeS;
            picked.Weight = spanS > 0 ? Math.Max(0, (timeS - picked.Earlier.TimeS) / spanS) : 0;
        }

        public void GiveBack(in PickedFrames picked)
        {
        }

        public void Dispose() => _session.Dispose();

        // Two frames are kept: the wanted one is read into the slot that the other does not need.
        private FrameSlot Slot(int wanted, int other)
        {
            int at = Array.IndexOf(_places, wanted);
            if (at < 0)
            {
                at = _places[0] == other ? 1 : 0;
                _session.Read(wanted, _slots[at]);
                _places[at] = wanted;
            }
            return _slots[at];
        }
    }
}
