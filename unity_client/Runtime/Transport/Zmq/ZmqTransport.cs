#nullable enable
using System;
using System.Runtime.InteropServices;
using GStalker.Protocol;
using static GStalker.Transport.ZmqNative;

namespace GStalker.Transport
{
    /// <summary>Talks to a server over ZeroMQ: requests by a DEALER, publications by a SUB. Nothing is allocated a
    /// message: what was received is read where libzmq put it.</summary>
    public sealed unsafe class ZmqTransport : ITransport
    {
        private readonly Address _address;
        private readonly CurveKeys? _keys;
        private readonly IntPtr _message; // zmq_msg_t, at one place for as long as this lives
        private IntPtr _context;
        private ZmqSocket? _control, _publication;
        private bool _publicationsFirst;

        /// <exception cref="AvatarException">The address demands keys, or libzmq is not there.</exception>
        public ZmqTransport(Address address, CurveKeys? keys = null)
        {
            address.RequireKeysElsewhere(keys);
            _address = address;
            _keys = keys;
            try
            {
                _context = zmq_ctx_new();
            }
            catch (DllNotFoundException error)
            {
                throw new AvatarException(
                    "libzmq: expected the library in the package's Plugins folder, could not load it. It is there for " +
                    "64-bit Windows (which needs the Visual C++ 2015-2022 runtime), macOS and Linux; another platform " +
                    $"needs an ITransport of its own ({error.Message}).");
            }
            _message = Marshal.AllocHGlobal(sizeof(Message));
            zmq_msg_init((Message*)_message);
        }

        public void Connect()
        {
            CloseSockets();
            _control = new ZmqSocket(_context, Dealer, Wire.ControlQueue, Wire.RequestBufferBytes, _keys);
            _control.Connect(_address.ToString());
        }

        public void Subscribe(int publicationPort, ReadOnlySpan<byte> topics)
        {
            _publication?.Dispose();
            _publication = new ZmqSocket(_context, Sub, Wire.ReceivingQueue, Wire.ReceiveBufferBytes, _keys);
            for (int at = 0; at < topics.Length; at += Wire.TopicBytes)
                _publication.SubscribeTo(topics.Slice(at, Wire.TopicBytes));
            _publication.Connect(_address.At(publicationPort));
        }

        public bool TrySend(ReadOnlySpan<byte> request) => _control != null && _control.TrySend(request);

        public Channel Receive(int timeoutMs, out ReadOnlySpan<byte> message)
        {
            Channel channel = TryReceive(out message);
            if (channel != Channel.None || timeoutMs <= 0)
                return channel;
            Wait(timeoutMs);
            return TryReceive(out message);
        }

        // In turns, so that neither a flood of answers nor one of frames keeps the other from being heard.
        private Channel TryReceive(out ReadOnlySpan<byte> message)
        {
            var native = (Message*)_message;
            _publicationsFirst = !_publicationsFirst;
            for (int turn = 0; turn < 2; turn++)
            {
                bool publication = _publicationsFirst == (turn == 0);
                ZmqSocket? socket = publication ? _publication : _control;
                if (socket != null && socket.TryReceive(native))
                {
                    message = new ReadOnlySpan<byte>(zmq_msg_data(native), (int)zmq_msg_size(native));
                    return publication ? Channel.Publication : Channel.Answer;
                }
            }
            message = default;
            return Channel.None;
        }

        // zmq_pollitem_t is a pointer, a file descriptor as wide as the system's, and two shorts.
        private void Wait(int timeoutMs)
        {
            bool windows = RuntimeInformation.IsOSPlatform(OSPlatform.Windows);
            int events = sizeof(IntPtr) + (windows ? sizeof(IntPtr) : sizeof(int));
            int stride = windows ? 3 * sizeof(IntPtr) : events + 2 * sizeof(short);
            byte* items = stackalloc byte[2 * 3 * sizeof(IntPtr)];
            new Span<byte>(items, 2 * 3 * sizeof(IntPtr)).Clear();
            int count = 0;
            for (int i = 0; i < 2; i++)
            {
                ZmqSocket? socket = i == 0 ? _control : _publication;
                if (socket == null)
                    continue;
                *(IntPtr*)(items + count * stride) = socket.Handle;
                *(short*)(items + count * stride + events) = PollIn;
                count++;
            }
            zmq_poll(items, count, (IntPtr)timeoutMs);
        }

        public void Dispose()
        {
            if (_context == IntPtr.Zero)
                return;
            CloseSockets();
            zmq_msg_close((Message*)_message);
            Marshal.FreeHGlobal(_message);
            zmq_ctx_term(_context);
            _context = IntPtr.Zero;
        }

        private void CloseSockets()
        {
            _control?.Dispose();
            _publication?.Dispose();
            _control = _publication = null;
        }
    }
}
