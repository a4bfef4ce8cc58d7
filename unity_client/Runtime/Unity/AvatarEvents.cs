#nullable enable
using System;
using UnityEngine.Events;

namespace GStalker.Unity
{
    /// <summary>What a GaussianAvatar tells a game, on the game's thread.</summary>
    [Serializable]
    public sealed class AvatarEvents
    {
        [Serializable]
        public sealed class TextEvent : UnityEvent<string>
        {
        }

        [Serializable]
        public sealed class CutEvent : UnityEvent<bool>
        {
        }

        public UnityEvent Connected = new UnityEvent();

        /// <summary>Says why; the connection is tried again.</summary>
        public TextEvent Lost = new TextEvent();

        public UnityEvent SpeechStarted = new UnityEvent();

        /// <summary>Says whether it was cut.</summary>
        public CutEvent SpeechEnded = new CutEvent();

        public UnityEvent StreamEnded = new UnityEvent();
    }
}
