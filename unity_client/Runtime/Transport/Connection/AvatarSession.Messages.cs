#nullable enable
using System;
using GStalker.Protocol;

namespace GStalker.Transport
{
    // What each message does.
    public sealed partial class AvatarSession
    {
        private void TakeAnswer(MessageKind kind, ReadOnlySpan<byte> message, double nowS)
        {
            switch (kind)
            {
                case MessageKind.Welcome:
                    TakeWelcome(new Welcome(_decoder, message), nowS);
                    break;
                case MessageKind.Pong:
                    var pong = new Pong(_decoder, message);
                    if (pong.RequestId != _pingId || State != ConnectionState.Connected)
                        break;
                    Playout!.PutPong(_pingSentS, nowS, pong.StreamTimeS, pong.Running);
                    break;
                case MessageKind.SpeechOpened:
                    Speech.Opened(new SpeechOpened(_decoder, message));
                    break;
                case MessageKind.SpeechState:
                    Speech.State(new SpeechState(_decoder, message), nowS);
                    break;
                case MessageKind.Applied:
                    var applied = new Applied(_decoder, message);
                    if (applied.Limited)
                        _tell(new AvatarEvent(
                            AvatarEventKind.Limited, applied.Detail.ToString(), requestId: applied.RequestId));
                    break;
                case MessageKind.Refusal:
                    TakeRefusal(new Refusal(_decoder, message), nowS);
                    break;
            }
        }

        private void TakeWelcome(in Welcome welcome, double nowS)
        {
            if (welcome.RequestId != _helloId)
                return;
            _counts.Welcomes++;
            AvatarDescription avatar;
            try
            {
                avatar = AvatarDescription.Of(welcome);
            }
            catch (WireException error)
            {
                Refuse(RefusalCode.Malformed, error.Message, 0, nowS);
                return;
            }
            if (_rejoinSession != 0 && Avatar != null && avatar.ServerId != Avatar.ServerId)
            {
                // Somebody else's session of the same number, at a server that started anew.
                (_rejoinSession, _nextGreetingS) = (0, nowS);
                return;
            }
            if (Avatar == null || Playout == null || !avatar.IsSameStreamAs(Avatar))
            {
                _playout = new Playout(avatar);
                _audioSequence.Restart();
                _speechBegun = -1;
            }
            Speech.Restart();
            Subscribe(avatar);
            State = ConnectionState.Connected;
            (_heardS, _nextPingS, _pings) = (nowS, nowS, 0);
            _tell(new AvatarEvent(AvatarEventKind.Connected, avatar.Name));
        }

        private void Subscribe(AvatarDescription avatar)
        {
            Span<byte> topics = _topics;
            int count = 0;
            FrameQ16.Spec.WriteTopic(topics.Slice(Wire.TopicBytes * count++), avatar.SessionId);
            SpeechEnd.Spec.WriteTopic(topics.Slice(Wire.TopicBytes * count++), avatar.SessionId);
            StreamEnd.Spec.WriteTopic(topics.Slice(Wire.TopicBytes * count++), avatar.SessionId);
            if (_options.WantsSound)
                Audio.Spec.WriteTopic(topics.Slice(Wire.TopicBytes * count++), avatar.SessionId);
            _transport.Subscribe(avatar.PublicationPort, topics.Slice(0, Wire.TopicBytes * count));
        }

        private void TakeRefusal(in Refusal refusal, double nowS)
        {
            if (refusal.RequestId == _helloId && State != ConnectionState.Connected)
            {
                if (refusal.Code.Is(RefusalCode.UnknownSession))
                    (_rejoinSession, _nextGreetingS) = (0, nowS);
                else
                    Refuse(refusal.Code.ToString(), refusal.Reason.ToString(), refusal.RetryAfterS, nowS);
            }
            else if (State != ConnectionState.Connected)
                return;
            else if (refusal.Code.Is(RefusalCode.GreetFirst))
                Lose("the server does not know this client any more", nowS);
            else if (!Speech.Refused(refusal, nowS))
                _tell(new AvatarEvent(
                    AvatarEventKind.RequestRefused, refusal.Reason.ToString(), refusal.Code.ToString(),
                    refusal.RequestId));
        }

        private void TakePublication(MessageKind kind, ReadOnlySpan<byte> message, double nowS)
        {
            if (Playout == null || Avatar == null)
                return;
            switch (kind)
            {
                case MessageKind.FrameQ16:
                    var frame = new FrameQ16(_decoder, message);
                    if (frame.SessionId == Avatar.SessionId && frame.MoverCount == Avatar.MoverCount)
                        Playout.Put(frame, nowS);
                    else
                        _counts.ForeignMessages++;
                    break;
                case MessageKind.Audio:
                    var audio = new Audio(_decoder, message);
                    if (audio.SessionId != Avatar.SessionId)
                        break;
                    _counts.AudioMessages++;
                    _audioSequence.Follow(audio.Sequence);
                    Playout.Put(audio, nowS);
                    if (audio.SpeechId > _speechBegun)
                    {
                        _speechBegun = audio.SpeechId;
                        _tell(new AvatarEvent(
                            AvatarEventKind.SpeechStarted, speechId: audio.SpeechId, timeS: audio.TimeS));
                    }
                    break;
                case MessageKind.SpeechEnd:
                    var end = new SpeechEnd(_decoder, message);
                    if (end.SessionId != Avatar.SessionId)
                        break;
                    Playout.Put(end);
                    _tell(new AvatarEvent(
                        AvatarEventKind.SpeechEnded, speechId: end.SpeechId, timeS: end.TimeS, isCut: end.Cut));
                    break;
                case MessageKind.StreamEnd:
                    var stream = new StreamEnd(_decoder, message);
                    if (stream.SessionId == Avatar.SessionId)
                        _tell(new AvatarEvent(AvatarEventKind.StreamEnded, timeS: stream.TimeS));
                    break;
            }
        }
    }
}
