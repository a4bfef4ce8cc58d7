#nullable enable
namespace GStalker.Transport
{
    /// <summary>What to ask of a server.</summary>
    public sealed class SessionOptions
    {
        /// <summary>For the server's log.</summary>
        public string ClientName = "unity";

        /// <summary>Which avatar; empty for the server's first.</summary>
        public string AvatarName = "";

        /// <summary>A session of this client's own, instead of the avatar's shared one.</summary>
        public bool IsPrivate;

        /// <summary>Whether to receive sound.</summary>
        public bool WantsSound = true;
    }
}
