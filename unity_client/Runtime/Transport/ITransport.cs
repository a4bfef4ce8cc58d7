#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>Where a received message came from.</summary>
    public enum Channel
    {
        /// <summary>Nothing came in the time given.</summary>
        None,

        /// <summary>The server's answer to a request.</summary>
        Answer,

        /// <summary>A frame, a piece of sound, an event.</summary>
        Publication,
    }

    /// <summary>
    /// Carries whole messages to and from a server. Everything else (greeting, clocks, what a message means) is
    /// AvatarConnection's, so a platform without libzmq needs no more than these five methods over whatever it has,
    /// WebSocket or its own sockets, with a relay on the other side. All calls come from one thread.
    /// </summary>
    public interface ITransport : IDisposable
    {
        /// <summary>Begin to connect, afresh: what was connected, subscribed or waiting to be sent is given up.</summary>
        /// <remarks>Returns at once; a server that is not there yet is waited for in the background.</remarks>
        void Connect();

        /// <summary>Have these publications sent, and no others.</summary>
        /// <param name="publicationPort">As the welcome said; of the host that is connected.</param>
        /// <param name="topics">16 bytes each, one after the other.</param>
        void Subscribe(int publicationPort, ReadOnlySpan<byte> topics);

        /// <summary>Send a request. False where it cannot be taken now, because nobody reads them.</summary>
        bool TrySend(ReadOnlySpan<byte> request);

        /// <summary>The next message of any channel.</summary>
        /// <param name="timeoutMs">How long to wait for one.</param>
        /// <param name="message">Valid until the next call.</param>
        Channel Receive(int timeoutMs, out ReadOnlySpan<byte> message);
    }

    /// <summary>Something that a person can put right: which input, what was expected, what came, what to do.</summary>
    public sealed class AvatarException : Exception
    {
        public AvatarException(string reason) : base(reason)
        {
        }
    }
}
