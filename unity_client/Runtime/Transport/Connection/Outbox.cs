#nullable enable
using System;
using System.Collections.Generic;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>Requests of the game's thread on their way to the connection's. They wait while nobody is connected;
    /// beyond a limit the oldest gives way, because of two wishes the newer counts.</summary>
    public sealed class Outbox
    {
        private const int Most = 256;

        private readonly object _gate = new object();
        private readonly RequestBuffer _buffer = new RequestBuffer();
        private readonly Queue<byte[]> _waiting = new Queue<byte[]>();
        private long _lastId;

        /// <summary>Writes one request with this id into the buffer.</summary>
        public delegate void Writer(RequestBuffer buffer, long requestId);

        /// <summary>A request id that no other request of this client has.</summary>
        public long NextId()
        {
            lock (_gate)
                return ++_lastId;
        }

        /// <returns>The request's id, which its answer repeats.</returns>
        /// <exception cref="WireException">A value that its field may not hold.</exception>
        public long Add(Writer write)
        {
            lock (_gate)
            {
                long id = ++_lastId;
                write(_buffer, id);
                _waiting.Enqueue(_buffer.Message.ToArray());
                if (_waiting.Count > Most)
                    _waiting.Dequeue();
                return id;
            }
        }

        /// <summary>Send what waits, as far as it is taken.</summary>
        internal void Flush(ITransport transport)
        {
            lock (_gate)
            {
                while (_waiting.Count > 0 && transport.TrySend(_waiting.Peek()))
                    _waiting.Dequeue();
            }
        }
    }
}
