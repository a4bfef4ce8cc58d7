#nullable enable
using System;
using System.Collections.Concurrent;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>
    /// Pushes utterances to the server, one after the other, no faster than it wants them: about a second and a half
    /// waits there, so that it never starves and can still be stopped. Of the connection's thread, but for Add and Cut.
    /// </summary>
    internal sealed class SpeechSender
    {
        private const double WantedS = 1.5; // waiting at the server
        private const double PieceS = 0.25;
        private const double LeastPieceS = 0.02; // of a microphone that still speaks
        private const double PatienceS = 3; // for an answer

        private readonly Outbox _ids;
        private readonly Action<AvatarEvent> _tell;
        private readonly RequestBuffer _buffer = new RequestBuffer();
        private readonly ConcurrentQueue<Utterance> _queue = new ConcurrentQueue<Utterance>();
        private readonly short[] _piece = new short[48000];
        private Utterance? _current;
        private long _speechId = -1, _awaitedId, _sentSamples;
        private int _pieceLength;
        private double _askedS, _notBeforeS, _waitingS, _waitingAtS;
        private volatile bool _cut;

        internal SpeechSender(Outbox ids, Action<AvatarEvent> tell)
        {
            _ids = ids;
            _tell = tell;
        }

        internal void Add(Utterance utterance)
        {
            if (utterance.Interrupts)
                Cut();
            _queue.Enqueue(utterance);
        }

        /// <summary>Drop everything that is not sent; the server is told separately.</summary>
        internal void Cut()
        {
            while (_queue.TryDequeue(out _))
            {
            }
            _cut = true;
        }

        /// <summary>A new session knows nothing of what was being pushed.</summary>
        internal void Restart()
        {
            if (_current != null && _speechId >= 0)
                Drop("the connection was lost in the middle of it");
            (_awaitedId, _notBeforeS) = (0, 0);
        }

        internal void Step(ITransport transport, double nowS)
        {
            if (_cut)
            {
                _cut = false;
                (_current, _speechId, _awaitedId) = (null, -1, 0);
            }
            if (_awaitedId != 0 && nowS < _askedS + PatienceS)
                return;
            if (_awaitedId != 0 && _speechId >= 0)
                Drop("the server did not answer");
            if (nowS < _notBeforeS || (_current == null && !_queue.TryDequeue(out _current)))
                return;
            if (_speechId < 0)
                Ask(transport, nowS, id => OpenSpeech.Write(
                    _buffer, id, _current.RateHz, _current.ChannelCount, _current.Interrupts));
            else if (_current.IsExhausted)
                Ask(transport, nowS, id => CloseSpeech.Write(_buffer, id, _speechId));
            else if (_waitingS - (nowS - _waitingAtS) < WantedS && _current.WaitingS >= LeastPieceOf(_current))
                Push(transport, nowS, _current);
        }

        // What is complete goes out to its last sample, however short.
        private static double LeastPieceOf(Utterance utterance) =>
            utterance.IsComplete ? 1.0 / utterance.RateHz : LeastPieceS;

        private void Push(ITransport transport, double nowS, Utterance current)
        {
            int most = Math.Min(_piece.Length, (int)(PieceS * current.RateHz) * current.ChannelCount);
            _pieceLength = current.Peek(_piece.AsSpan(0, most));
            Ask(transport, nowS, id => PushSpeech.Write(
                _buffer, id, _speechId, _sentSamples, _pieceLength / current.ChannelCount, current.ChannelCount,
                _piece.AsSpan(0, _pieceLength)));
        }

        private void Ask(ITransport transport, double nowS, Action<long> write)
        {
            long id = _ids.NextId();
            write(id);
            if (!transport.TrySend(_buffer.Message))
                return;
            (_awaitedId, _askedS) = (id, nowS);
        }

        internal void Opened(in SpeechOpened answer)
        {
            if (answer.RequestId != _awaitedId)
                return;
            (_speechId, _awaitedId, _sentSamples, _waitingS) = (answer.SpeechId, 0, 0, 0);
        }

        internal void State(in SpeechState answer, double nowS)
        {
            if (answer.RequestId != _awaitedId || _current == null)
                return;
            _awaitedId = 0;
            (_waitingS, _waitingAtS) = (answer.WaitingS, nowS);
            if (_pieceLength == 0)
            {
                (_current, _speechId) = (null, -1);
                return;
            }
            _current.Skip(_pieceLength);
            _sentSamples += _pieceLength / _current.ChannelCount;
            _pieceLength = 0;
        }

        /// <summary>Whether the refusal was of one of these requests.</summary>
        internal bool Refused(in Refusal refusal, double nowS)
        {
            if (refusal.RequestId == 0 || refusal.RequestId != _awaitedId)
                return false;
            _awaitedId = 0;
            _pieceLength = 0;
            if (refusal.RetryAfterS > 0)
                _notBeforeS = nowS + refusal.RetryAfterS;
            else
                Drop(refusal.Reason.ToString());
            return true;
        }

        private void Drop(string reason)
        {
            _tell(new AvatarEvent(AvatarEventKind.SpeechDropped, reason, speechId: _speechId));
            (_current, _speechId, _awaitedId, _pieceLength) = (null, -1, 0, 0);
        }
    }
}
