using System;
using System.Collections.Generic;
using System.Text;
using GStalker.Protocol;
using GStalker.Transport;

namespace GStalker.Tests
{
    /// <summary>A server for tests that answers what it is told to, in the same thread.</summary>
    internal sealed class ScriptedTransport : ITransport
    {
        private readonly Queue<(Channel channel, byte[] message)> _waiting = new Queue<(Channel, byte[])>();
        private readonly MessageDecoder _decoder = new MessageDecoder();
        private readonly RequestBuffer _buffer = new RequestBuffer();
        private byte[] _received = Array.Empty<byte>();

        public readonly List<string> Asked = new List<string>();
        public readonly List<short> Pushed = new List<short>();
        public string ServerId = "0123456789abcdef";
        public string RefuseWith = ""; // a code, for every request but pings
        public int Connections, Topics;
        public int SessionAsked = -1;
        public double StreamTimeS = 1, WaitingS;
        public byte[] Answer; // in place of the welcome

        public void Connect()
        {
            Connections++;
            _waiting.Clear();
        }

        public void Subscribe(int publicationPort, ReadOnlySpan<byte> topics) => Topics = topics.Length / Wire.TopicBytes;

        public bool TrySend(ReadOnlySpan<byte> request)
        {
            if (!_decoder.TryDecode(request, out MessageKind kind, out WireFault fault))
                throw new InvalidOperationException(fault.ToString());
            Asked.Add(kind.ToString());
            long id = _decoder.Whole(0);
            if (kind == MessageKind.Hello)
                SessionAsked = new Hello(_decoder, request).SessionId;
            if (RefuseWith.Length > 0 && kind != MessageKind.Ping)
                Refuse(id, RefuseWith, 0);
            else if (kind == MessageKind.Hello)
                Send(Channel.Answer, Answer ?? Welcome(id));
            else if (kind == MessageKind.Ping)
                Pong(id, new Ping(_decoder, request).ClientTimeS);
            else if (kind == MessageKind.OpenSpeech)
                Whole(SpeechOpened.Spec, id, 5);
            else if (kind == MessageKind.PushSpeech)
            {
                var push = new PushSpeech(_decoder, request);
                if (push.FirstSample != Pushed.Count)
                    throw new InvalidOperationException($"a hole: sample {push.FirstSample} after {Pushed.Count}");
                Pushed.AddRange(push.Pcm.ToArray());
                State(id);
            }
            else if (kind == MessageKind.CloseSpeech)
                State(id);
            else
                Whole(Done.Spec, id);
            return true;
        }

        public Channel Receive(int timeoutMs, out ReadOnlySpan<byte> message)
        {
            message = default;
            if (_waiting.Count == 0)
                return Channel.None;
            (Channel channel, byte[] bytes) = _waiting.Dequeue();
            message = _received = bytes;
            return channel;
        }

        public void Send(Channel channel, byte[] message) => _waiting.Enqueue((channel, message));

        public void Refuse(long id, string code, double retryAfterS)
        {
            _buffer.Begin(Refusal.Spec);
            _buffer.PutUint(id);
            _buffer.PutText(code);
            _buffer.PutText("because");
            _buffer.PutFloat(retryAfterS);
            _buffer.End();
            Send(Channel.Answer, _buffer.Message.ToArray());
        }

        public void SendFrame(long sequence, long index)
        {
            byte[] frame = GoldenFiles.Bytes($"frame_q16_v{Wire.WireVersion}");
            Put(frame, "sequence", (byte)sequence);
            Put(frame, "index", (byte)index);
            Send(Channel.Publication, frame);
        }

        private byte[] Welcome(long id)
        {
            byte[] welcome = GoldenFiles.Bytes($"welcome_v{Wire.WireVersion}");
            Put(welcome, "request_id", (byte)id);
            Encoding.ASCII.GetBytes(ServerId).CopyTo(welcome, IndexOf(welcome, "0123456789abcdef"));
            return welcome;
        }

        private static void Put(byte[] message, string field, byte smallNumber) =>
            message[IndexOf(message, field) + field.Length] = smallNumber;

        private static int IndexOf(byte[] message, string ascii) =>
            new ReadOnlySpan<byte>(message).IndexOf(Encoding.ASCII.GetBytes(ascii));

        private void Pong(long id, double clientTimeS)
        {
            _buffer.Begin(Protocol.Pong.Spec);
            _buffer.PutUint(id);
            _buffer.PutFloat(clientTimeS);
            _buffer.PutFloat(StreamTimeS);
            _buffer.PutBool(true);
            _buffer.End();
            Send(Channel.Answer, _buffer.Message.ToArray());
        }

        private void State(long id)
        {
            _buffer.Begin(SpeechState.Spec);
            _buffer.PutUint(id);
            _buffer.PutUint(5);
            _buffer.PutFloat(Pushed.Count / 16000.0);
            _buffer.PutFloat(WaitingS);
            _buffer.End();
            Send(Channel.Answer, _buffer.Message.ToArray());
        }

        private void Whole(MessageSpec spec, params long[] values)
        {
            _buffer.Begin(spec);
            foreach (long value in values)
                _buffer.PutUint(value);
            _buffer.End();
            Send(Channel.Answer, _buffer.Message.ToArray());
        }

        public void Dispose()
        {
        }
    }
}
