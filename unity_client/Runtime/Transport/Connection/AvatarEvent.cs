#nullable enable
namespace GStalker.Transport
{
    /// <summary>Where a connection stands.</summary>
    public enum ConnectionState
    {
        /// <summary>No answer yet; it goes on trying.</summary>
        Connecting,

        /// <summary>In a session; frames come.</summary>
        Connected,

        /// <summary>The server will not have this client, or speaks another wire version; it tries again, seldom.</summary>
        Refused,

        Closed,
    }

    /// <summary>What happened, for the game's thread.</summary>
    public enum AvatarEventKind
    {
        /// <summary>In a session; Text says whose avatar.</summary>
        Connected,

        /// <summary>The server fell silent or forgot this client; it is being reached again.</summary>
        Lost,

        /// <summary>Nobody answers; told once, it goes on trying.</summary>
        Unreachable,

        /// <summary>The greeting was refused; Code and Text say why.</summary>
        GreetingRefused,

        /// <summary>Another request was refused.</summary>
        RequestRefused,

        /// <summary>A control was set, but limited to what the avatar was trained on; Text says what.</summary>
        Limited,

        /// <summary>The first sound of an utterance has come; it is heard at TimeS.</summary>
        SpeechStarted,

        /// <summary>An utterance is over, or was cut; its sound ends at TimeS.</summary>
        SpeechEnded,

        /// <summary>An utterance of this client could not be spoken; Text says why.</summary>
        SpeechDropped,

        /// <summary>The session ends; nothing follows.</summary>
        StreamEnded,

        /// <summary>A message could not be read; Text says why. Told once a second at most.</summary>
        Damaged,
    }

    /// <summary>One thing that happened.</summary>
    public readonly struct AvatarEvent
    {
        public readonly AvatarEventKind Kind;
        public readonly string Code, Text;
        public readonly long RequestId, SpeechId;

        /// <summary>Presentation time on the session's clock.</summary>
        public readonly double TimeS;

        public readonly bool IsCut;

        public AvatarEvent(
            AvatarEventKind kind, string text = "", string code = "", long requestId = 0, long speechId = -1,
            double timeS = 0, bool isCut = false)
        {
            Kind = kind;
            Text = text;
            Code = code;
            RequestId = requestId;
            SpeechId = speechId;
            TimeS = timeS;
            IsCut = isCut;
        }
    }

    /// <summary>What a connection counted.</summary>
    public struct ConnectionCounts
    {
        public long Messages, DamagedMessages, ForeignMessages, AudioMessages, AudioLost, Welcomes, Losses;
    }
}
