// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

namespace GStalker.Protocol
{
    /// <summary>Numbers and names that both ends of the wire agree on.</summary>
    public static class Wire
    {
        public const int WireVersion = 2;
        public const int TopicBytes = 16;
        public const int PrefixBytes = 32;
        public const int PayloadAlignment = 16;
        public const int MaxMessageBytes = 8388608;
        public const int MaxHeaderBytes = 16384;
        public const int MaxRequestBytes = 262144;
        public const int MaxSessionId = 99999;
        public const long MaxUint = 9007199254740991;
        public const int BytesPerMover = 16;
        public const int PositionCodes = 65535;
        public const int RotationZeroCode = 511;
        public const int LogScaleCodes = 1023;
        public const int HandshakeMs = 2000;
        public const int HeartbeatEveryMs = 1000;
        public const int HeartbeatTimeoutMs = 3000;
        public const int ConnectMs = 2000;
        public const int ControlQueue = 16;
        public const int ReceivingQueue = 32;
        public const int RequestBufferBytes = 524288;
        public const int ReconnectFirstMs = 100;
        public const int ReconnectLongestMs = 5000;
        public const int ReceiveBufferBytes = 1048576;
        public const string Magic = "GSTK";
    }

    /// <summary>Why a server refuses a request (Refusal.Code).</summary>
    public static class RefusalCode
    {
        /// <summary>The two ends speak different wire versions; the reason names both.</summary>
        public const string WireVersion = "wire_version";
        /// <summary>The request could not be decoded; the reason says what is wrong with it.</summary>
        public const string Malformed = "malformed";
        /// <summary>The message is sound, but nothing that a client may send here.</summary>
        public const string NotARequest = "not_a_request";
        /// <summary>The server does not know this connection (any more): send hello, then ask again.</summary>
        public const string GreetFirst = "greet_first";
        /// <summary>The server has as many clients as it takes; try again later.</summary>
        public const string TooManyClients = "too_many_clients";
        /// <summary>Another session would make the running ones late; try again after retry_after_s.</summary>
        public const string Busy = "busy";
        /// <summary>More requests, or more sound, a second than the server takes; try again after retry_after_s.</summary>
        public const string TooFast = "too_fast";
        /// <summary>No avatar of that name is served here; the reason lists those that are.</summary>
        public const string UnknownAvatar = "unknown_avatar";
        /// <summary>That session does not exist (any more).</summary>
        public const string UnknownSession = "unknown_session";
        /// <summary>`play` was asked of a server that was started without a sound file.</summary>
        public const string NoSpeech = "no_speech";
        /// <summary>That utterance is not open: it was never opened, is closed, or was cut.</summary>
        public const string UnknownSpeech = "unknown_speech";
        /// <summary>A piece of sound does not follow the one before it; the reason names both places.</summary>
        public const string SoundHole = "sound_hole";
        /// <summary>More sound waits than the server holds; try again after retry_after_s.</summary>
        public const string SpeechFull = "speech_full";
        /// <summary>A value is sound by itself but fits neither this avatar nor what was said before.</summary>
        public const string BadValue = "bad_value";
        /// <summary>This avatar cannot do that, for instance move its eyes.</summary>
        public const string NotSupported = "not_supported";
        /// <summary>The server was started so that clients may not ask for this, or only of a private session.</summary>
        public const string NotAllowed = "not_allowed";
        /// <summary>The server could not carry it out; the reason says why.</summary>
        public const string Failed = "failed";
    }
}
