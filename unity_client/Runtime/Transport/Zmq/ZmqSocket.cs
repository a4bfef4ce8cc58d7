#nullable enable
using System;
using System.Runtime.InteropServices;
using System.Text;
using GStalker.Protocol;
using static GStalker.Transport.ZmqNative;

namespace GStalker.Transport
{
    /// <summary>One ZeroMQ socket with every option that matters set; of one thread.</summary>
    internal sealed unsafe class ZmqSocket : IDisposable
    {
        // A greeting waits in the socket, so that a server which comes back is greeted within this; backing off to
        // seconds, as libzmq likes to, would be seen.
        private const int LongestReconnectMs = 400;

        internal IntPtr Handle { get; private set; }

        internal ZmqSocket(IntPtr context, int type, int queue, int bufferBytes, CurveKeys? keys)
        {
            Handle = zmq_socket(context, type);
            Require(Handle != IntPtr.Zero, "zmq_socket");
            Set(Linger, 0); // closing never waits for a peer
            Set(Ipv6, 1);
            SetLong(MaxMsgSize, Wire.MaxMessageBytes); // a larger message ends its connection
            Set(SndHwm, queue);
            Set(RcvHwm, queue);
            Set(SndBuf, bufferBytes);
            Set(RcvBuf, bufferBytes);
            Set(HandshakeIvl, Wire.HandshakeMs);
            Set(HeartbeatIvl, Wire.HeartbeatEveryMs);
            Set(HeartbeatTimeout, Wire.HeartbeatTimeoutMs);
            Set(HeartbeatTtl, Wire.HeartbeatTimeoutMs);
            Set(ConnectTimeout, Wire.ConnectMs);
            Set(ReconnectIvl, Wire.ReconnectFirstMs);
            Set(ReconnectIvlMax, LongestReconnectMs);
            if (keys == null)
                return;
            if (!HasCurve)
                throw new AvatarException("libzmq: expected a build with CURVE encryption, got one without.");
            SetText(CurveServerKey, keys.ServerPublic);
            SetText(CurvePublicKey, keys.OwnPublic);
            SetText(CurveSecretKey, keys.OwnSecret);
        }

        internal static bool HasCurve
        {
            get
            {
                fixed (byte* name = Encoding.ASCII.GetBytes("curve\0"))
                    return zmq_has(name) == 1;
            }
        }

        internal void Connect(string endpoint)
        {
            fixed (byte* text = Encoding.ASCII.GetBytes(endpoint + "\0"))
                Require(zmq_connect(Handle, text) == 0, $"zmq_connect to {endpoint}");
        }

        internal void SubscribeTo(ReadOnlySpan<byte> topic)
        {
            fixed (byte* bytes = topic)
                Require(zmq_setsockopt(Handle, ZmqNative.Subscribe, bytes, (UIntPtr)topic.Length) == 0, "subscribe");
        }

        internal bool TrySend(ReadOnlySpan<byte> message)
        {
            fixed (byte* bytes = message)
                return zmq_send(Handle, bytes, (UIntPtr)message.Length, DontWait) >= 0;
        }

        /// <summary>The next message, if one is there; what a peer sends in several parts is passed over.</summary>
        internal bool TryReceive(Message* message)
        {
            while (zmq_msg_recv(message, Handle, DontWait) >= 0)
            {
                if (zmq_msg_more(message) == 0)
                    return true;
                while (zmq_msg_more(message) != 0 && zmq_msg_recv(message, Handle, 0) >= 0)
                {
                }
            }
            return false;
        }

        public void Dispose()
        {
            if (Handle == IntPtr.Zero)
                return;
            zmq_close(Handle);
            Handle = IntPtr.Zero;
        }

        internal static void Require(bool holds, string what)
        {
            if (!holds)
            {
                string reason = Marshal.PtrToStringAnsi(zmq_strerror(zmq_errno())) ?? "unknown";
                throw new AvatarException($"{what}: refused by libzmq ({reason}).");
            }
        }

        private void Set(int option, int value) =>
            Require(zmq_setsockopt(Handle, option, (byte*)&value, (UIntPtr)sizeof(int)) == 0, $"option {option}");

        private void SetLong(int option, long value) =>
            Require(zmq_setsockopt(Handle, option, (byte*)&value, (UIntPtr)sizeof(long)) == 0, $"option {option}");

        private void SetText(int option, string value)
        {
            fixed (byte* bytes = Encoding.ASCII.GetBytes(value + "\0"))
                Require(zmq_setsockopt(Handle, option, bytes, (UIntPtr)(value.Length + 1)) == 0, $"option {option}");
        }
    }
}
