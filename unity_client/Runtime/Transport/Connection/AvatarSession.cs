#nullable enable
using System;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>
    /// One client's place at a server: greets, pings, notices when the server is gone or is another one, and hands what
    /// comes to the playout. Has no thread and no clock of its own: AvatarConnection steps it.
    /// </summary>
    public sealed partial class AvatarSession
    {
        /// <summary>An answer to a greeting is waited for so long before another connection is tried.</summary>
        public const double GreetEveryS = 5;

        /// <summary>A server of which nothing comes for so long, although somebody listened, is gone.</summary>
        public const double SilenceS = 2;

        private const double AwayS = 0.5; // a program that did not look for so long cannot tell

        private const double PingEveryS = 1;
        private const double FirstPingsEveryS = 0.1;
        private const int FirstPings = 6; // close together, so that the clock is known soon
        private const double RefusedEveryS = 5;

        private readonly ITransport _transport;
        private readonly SessionOptions _options;
        private readonly Action<AvatarEvent> _tell;
        private readonly MessageDecoder _decoder = new MessageDecoder();
        private readonly RequestBuffer _buffer = new RequestBuffer();
        private readonly SequenceFollower _audioSequence = new SequenceFollower();
        private readonly byte[] _topics = new byte[4 * Wire.TopicBytes];
        private long _helloId, _pingId;
        private double _nextGreetingS = double.NegativeInfinity, _nextPingS, _pingSentS, _heardS, _steppedS, _damageToldS;
        private const int GreetingsUntilTold = 1;

        private int _pings, _rejoinSession, _unanswered;
        private long _speechBegun = -1;
        private ConnectionCounts _counts;
        private volatile Playout? _playout; // read by the game's thread

        /// <summary>Requests of the game.</summary>
        public readonly Outbox Outbox = new Outbox();

        internal readonly SpeechSender Speech;

        public AvatarSession(ITransport transport, SessionOptions options, Action<AvatarEvent> tell)
        {
            _transport = transport;
            _options = options;
            _tell = tell;
            Speech = new SpeechSender(Outbox, tell);
        }

        public ConnectionState State { get; private set; } = ConnectionState.Connecting;

        /// <summary>Who is shown; null before the first welcome. Another object is another stream.</summary>
        public AvatarDescription? Avatar => _playout?.Avatar;

        /// <summary>What to show and play; null before the first welcome, another object for another stream.</summary>
        public Playout? Playout => _playout;

        public ConnectionCounts Counts
        {
            get
            {
                ConnectionCounts counts = _counts;
                counts.AudioLost = _audioSequence.Lost;
                return counts;
            }
        }

        /// <summary>Do what is due, and take what has come: at least one message if one comes in the time given.</summary>
        public void Step(int waitMs)
        {
            double nowS = SteadyClock.NowS;
            if (State != ConnectionState.Connected)
                Greet(nowS);
            else
                KeepUp(nowS);
            _steppedS = nowS;
            for (int taken = 0; taken < 64; taken++)
            {
                Channel channel = _transport.Receive(taken == 0 ? waitMs : 0, out ReadOnlySpan<byte> message);
                if (channel == Channel.None)
                    break;
                Take(channel, message);
            }
        }

        /// <summary>Say goodbye, as well as it goes.</summary>
        public void Leave()
        {
            if (State == ConnectionState.Connected)
            {
                Protocol.Leave.Write(_buffer, Outbox.NextId());
                _transport.TrySend(_buffer.Message);
            }
            State = ConnectionState.Closed;
        }

        private void Greet(double nowS)
        {
            if (nowS < _nextGreetingS)
                return;
            if (++_unanswered == GreetingsUntilTold + 1)
                _tell(new AvatarEvent(AvatarEventKind.Unreachable,
                    $"expected an avatar server to answer, none did within {GreetingsUntilTold * GreetEveryS:0} s. Start one " +
                    "with `gstalker serve BUNDLE`, or check the address and, where there are any, the keys."));
            _transport.Connect();
            _helloId = Outbox.NextId();
            Hello.Write(_buffer, _helloId, _options.ClientName, _options.AvatarName, _rejoinSession, _options.IsPrivate);
            _transport.TrySend(_buffer.Message);
            _nextGreetingS = nowS + GreetEveryS;
        }

        private void KeepUp(double nowS)
        {
            _heardS = nowS > _steppedS + AwayS ? nowS : _heardS;
            if (nowS - _heardS > SilenceS)
            {
                Lose("the server fell silent", nowS);
                return;
            }
            if (nowS >= _nextPingS)
            {
                _pingId = Outbox.NextId();
                _pingSentS = nowS;
                Ping.Write(_buffer, _pingId, nowS);
                _transport.TrySend(_buffer.Message);
                _nextPingS = nowS + (++_pings < FirstPings ? FirstPingsEveryS : PingEveryS);
            }
            Outbox.Flush(_transport);
            Speech.Step(_transport, nowS);
        }

        private void Lose(string why, double nowS)
        {
            State = ConnectionState.Connecting;
            _counts.Losses++;
            _nextGreetingS = nowS;
            _rejoinSession = _options.IsPrivate ? Avatar?.SessionId ?? 0 : 0;
            _tell(new AvatarEvent(AvatarEventKind.Lost, why));
        }

        private void Take(Channel channel, ReadOnlySpan<byte> message)
        {
            _counts.Messages++;
            _unanswered = 0;
            double nowS = _heardS = SteadyClock.NowS;
            if (!_decoder.TryDecode(message, out MessageKind kind, out WireFault fault))
            {
                _counts.DamagedMessages++;
                if (channel == Channel.Answer && State != ConnectionState.Connected)
                    Refuse(fault.Kind == WireFaultKind.Version ? RefusalCode.WireVersion : RefusalCode.Malformed,
                        fault.ToString(), 0, nowS);
                else if (nowS >= _damageToldS + 1)
                    _tell(new AvatarEvent(AvatarEventKind.Damaged, fault.ToString()));
                _damageToldS = nowS;
            }
            else if (channel == Channel.Answer)
                TakeAnswer(kind, message, nowS);
            else
                TakePublication(kind, message, nowS);
        }

        private void Refuse(string code, string reason, double retryAfterS, double nowS)
        {
            State = ConnectionState.Refused;
            _nextGreetingS = nowS + Math.Max(retryAfterS, RefusedEveryS);
            _tell(new AvatarEvent(AvatarEventKind.GreetingRefused, reason, code));
        }
    }
}
