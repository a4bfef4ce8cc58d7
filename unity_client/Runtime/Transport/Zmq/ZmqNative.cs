#nullable enable
using System;
using System.Runtime.InteropServices;

namespace GStalker.Transport
{
    /// <summary>The part of libzmq's C interface that is used. Plugins/ has the library, LICENSE texts beside it.</summary>
    internal static unsafe class ZmqNative
    {
        private const string Library = "libzmq";

        internal const int Dealer = 5, Sub = 2;
        internal const int DontWait = 1, PollIn = 1;
        internal const int IoThreads = 1, MaxMsgSize = 22, Linger = 17, SndHwm = 23, RcvHwm = 24, Ipv6 = 42;
        internal const int SndBuf = 11, RcvBuf = 12, ReconnectIvl = 18, ReconnectIvlMax = 21, Subscribe = 6;
        internal const int CurvePublicKey = 48, CurveSecretKey = 49, CurveServerKey = 50, HandshakeIvl = 66;
        internal const int HeartbeatIvl = 75, HeartbeatTtl = 76, HeartbeatTimeout = 77, ConnectTimeout = 79;

        /// <summary>zmq_msg_t: 64 bytes whose content is libzmq's own.</summary>
        [StructLayout(LayoutKind.Sequential, Size = 64)]
        internal struct Message
        {
            private long _aligned;
        }

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr zmq_ctx_new();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_ctx_term(IntPtr context);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr zmq_socket(IntPtr context, int type);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_close(IntPtr socket);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_setsockopt(IntPtr socket, int option, byte* value, UIntPtr length);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_connect(IntPtr socket, byte* endpoint);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_send(IntPtr socket, byte* bytes, UIntPtr length, int flags);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_msg_init(Message* message);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_msg_recv(Message* message, IntPtr socket, int flags);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_msg_more(Message* message);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern byte* zmq_msg_data(Message* message);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr zmq_msg_size(Message* message);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_msg_close(Message* message);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_poll(byte* items, int count, IntPtr timeoutMs);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_errno();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr zmq_strerror(int error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int zmq_has(byte* capability);
    }
}
