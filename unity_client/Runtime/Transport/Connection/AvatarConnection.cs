#nullable enable
using System;
using System.Collections.Concurrent;
using System.Threading;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>
    /// A connection to a served avatar that lives on a thread of its own until it is disposed: it connects, connects
    /// again after losses, and never throws at the game for what a server does. All methods are for the game's thread.
    /// </summary>
    public sealed class AvatarConnection : IDisposable
    {
        private const int WaitMs = 4; // requests wait at most so long for their turn
        private const int MostEvents = 1024;

        private readonly ITransport _transport;
        private readonly AvatarSession _session;
        private readonly ConcurrentQueue<AvatarEvent> _events = new ConcurrentQueue<AvatarEvent>();
        private readonly Thread _thread;
        private volatile bool _closing;
        private volatile string _trouble = "";

        /// <param name="transport">Owned from now on.</param>
        public AvatarConnection(ITransport transport, SessionOptions options)
        {
            _transport = transport;
            _session = new AvatarSession(transport, options, Tell);
            _thread = new Thread(Run) { Name = "GStalker", IsBackground = true };
            _thread.Start();
        }

        /// <summary>Connect to a server over ZeroMQ.</summary>
        /// <exception cref="AvatarException">The address is none, or demands keys.</exception>
        public static AvatarConnection Open(string address, SessionOptions options, CurveKeys? keys = null) =>
            new AvatarConnection(new ZmqTransport(Address.Parse(address), keys), options);

        public ConnectionState State => _closing ? ConnectionState.Closed : _session.State;

        /// <summary>What is wrong, for people; empty where nothing is known to be.</summary>
        public string Trouble => _trouble;

        public AvatarDescription? Avatar => _session.Avatar;

        public Playout? Playout => _session.Playout;

        public ConnectionCounts Counts => _session.Counts;

        /// <summary>The next thing that happened, if any.</summary>
        public bool TryTakeEvent(out AvatarEvent happened) => _events.TryDequeue(out happened);

        /// <summary>Say this; it may still be growing.</summary>
        public void Say(Utterance utterance) => _session.Speech.Add(utterance);

        /// <summary>Have the server speak its own sound.</summary>
        public long Play() => _session.Outbox.Add((buffer, id) => Protocol.Play.Write(buffer, id));

        /// <summary>Fall silent at once.</summary>
        public long Stop()
        {
            _session.Speech.Cut();
            return _session.Outbox.Add((buffer, id) => Protocol.Stop.Write(buffer, id));
        }

        /// <summary>Hold some expression weights.</summary>
        /// <param name="weights">In the order of ControlNames.</param>
        /// <param name="held">1 holds the weight, 0 gives it back to idle life.</param>
        public long SetExpression(float[] weights, byte[] held, double blendS) => _session.Outbox.Add(
            (buffer, id) => Protocol.SetExpression.Write(buffer, id, blendS, weights.Length, weights, held));

        /// <summary>Blend in an emotion; an empty name ends it.</summary>
        public long SetEmotion(string name, double strength, double blendS) => _session.Outbox.Add(
            (buffer, id) => Protocol.SetEmotion.Write(buffer, id, name, strength, blendS));

        /// <summary>Hold the eyes in a direction: yaw to the picture's right, pitch down.</summary>
        public long SetGaze(bool held, double yawRad, double pitchRad, double blendS) => _session.Outbox.Add(
            (buffer, id) => Protocol.SetGaze.Write(buffer, id, held, yawRad, pitchRad, blendS));

        /// <summary>Hold the head in a pose (docs/conventions.md, avatar space).</summary>
        public long SetHeadPose(bool held, Numbers rotationRad, Numbers translationM, double blendS) => _session.Outbox.Add(
            (buffer, id) => Protocol.SetHeadPose.Write(buffer, id, held, rotationRad, translationM, blendS));

        /// <summary>Idle life on or off; the same seed gives the same motion.</summary>
        public long SetIdle(bool enabled, long seed) => _session.Outbox.Add(
            (buffer, id) => Protocol.SetIdle.Write(buffer, id, enabled, seed));

        /// <summary>Have only every n-th frame sent, 1 to 25.</summary>
        public long SetRate(int frameDivisor) => _session.Outbox.Add(
            (buffer, id) => Protocol.SetRate.Write(buffer, id, frameDivisor));

        public void Dispose()
        {
            if (_closing)
                return;
            _closing = true;
            _thread.Join();
        }

        private void Run()
        {
            try
            {
                while (!_closing)
                    _session.Step(WaitMs);
                _session.Leave();
            }
            catch (Exception error) when (error is AvatarException || error is WireException)
            {
                _trouble = error.Message;
                Tell(new AvatarEvent(AvatarEventKind.Lost, error.Message));
            }
            finally
            {
                _transport.Dispose();
            }
        }

        // A game that does not read its events loses the oldest.
        private void Tell(AvatarEvent happened)
        {
            if (happened.Kind == AvatarEventKind.GreetingRefused || happened.Kind == AvatarEventKind.Lost ||
                happened.Kind == AvatarEventKind.Unreachable)
                _trouble = happened.Text;
            else if (happened.Kind == AvatarEventKind.Connected)
                _trouble = "";
            _events.Enqueue(happened);
            if (_events.Count > MostEvents)
                _events.TryDequeue(out _);
        }
    }
}
