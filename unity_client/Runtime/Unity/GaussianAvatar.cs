#nullable enable
using System;
using System.Collections.Generic;
using GStalker.Transport;
using UnityEngine;
using UnityEngine.Rendering;

namespace GStalker.Unity
{
    /// <summary>Where a GaussianAvatar's frames come from.</summary>
    public enum AvatarSource
    {
        /// <summary>A server: `gstalker serve`.</summary>
        Server,

        /// <summary>A folder that `gstalker record` wrote.</summary>
        RecordedSession,

        /// <summary>Something that a script gives with Show(playback): another transport, or on-device networks.</summary>
        Script,
    }

    /// <summary>
    /// Shows a talking avatar where this object is: the head's rest position is the object's origin, it looks along the
    /// object's -z, one unit is a metre. Scale, turn and move the object as any other.
    /// </summary>
    [ExecuteAlways]
    [DisallowMultipleComponent]
    [AddComponentMenu("GStalker/Gaussian Avatar")]
    public sealed partial class GaussianAvatar : MonoBehaviour
    {
        internal static readonly List<GaussianAvatar> Enabled = new List<GaussianAvatar>();

        /// <summary>In linear projects, blend without a copy of the camera's picture: faster, soft edges differ a little.</summary>
        public static bool AvoidsCopies;

        [SerializeField] private AvatarSource source = AvatarSource.Server;
        [SerializeField] private string address = GStalker.Transport.Address.Default;
        [SerializeField, Tooltip("Which of the server's avatars; empty for its first.")] private string avatarName = "";
        [SerializeField, Tooltip("A session of this object's own, instead of the avatar's shared one.")] private bool privateSession = true;
        [SerializeField, Tooltip("Needed for servers on other machines.")] private AvatarKeys? keys;
        [SerializeField, Tooltip("What `gstalker record` wrote.")] private string sessionFolder = "";
        [SerializeField] private bool loops = true;
        [SerializeField] private SplatQuality quality = SplatQuality.Full;
        [SerializeField, Tooltip("Let fog, particles and depth of field see the avatar.")] private bool writesDepth;
        [SerializeField] private AvatarEvents events = new AvatarEvents();

        private AvatarConnection? _connection;
        private IAvatarPlayback? _playback;
        private SplatRenderer? _renderer;
        private CommandBuffer? _commands;

        /// <summary>What is shown; null before the first frame can be.</summary>
        public AvatarDescription? Avatar => Playback?.Avatar;

        public SplatQuality Quality
        {
            get => quality;
            set => quality = value;
        }

        public bool WritesDepth => writesDepth;

        public AvatarEvents Events => events;

        /// <summary>Where the connection stands; Closed where there is none.</summary>
        public ConnectionState State => _connection?.State ?? ConnectionState.Closed;

        /// <summary>What is wrong and what to do, for people; empty while nothing is.</summary>
        public string Trouble { get; private set; } = "";

        /// <summary>The presentation time of the picture shown last.</summary>
        public double ShownTimeS { get; private set; }

        public ConnectionCounts Counts => _connection?.Counts ?? default;

        internal IAvatarPlayback? Playback => _playback ?? _connection?.Playout;

        internal bool IsDrawable => _renderer != null && _renderer.HasFrame;

        /// <summary>Show what a script gives: a playback of another transport, a recording, networks of its own.</summary>
        public void Show(IAvatarPlayback playback)
        {
            Close();
            source = AvatarSource.Script;
            _playback = playback;
        }

        /// <summary>Connect to a server, now or after it comes up.</summary>
        public void Connect(string serverAddress, CurveKeys? curveKeys = null)
        {
            Close();
            (source, address) = (AvatarSource.Server, serverAddress);
            Guarded(() => _connection = AvatarConnection.Open(serverAddress, Options, curveKeys ?? (keys != null ? keys.Load() : null)));
        }

        /// <summary>Play a recorded session.</summary>
        public void PlaySession(string folder, bool overAndOver)
        {
            Close();
            (source, sessionFolder, loops) = (AvatarSource.RecordedSession, folder, overAndOver);
            Guarded(() => _playback = new RecordedPlayback(new RecordedSession(folder), overAndOver));
        }

        private SessionOptions Options => new SessionOptions
        {
            ClientName = $"unity {Application.productName}",
            AvatarName = avatarName,
            IsPrivate = privateSession,
        };

        private void OnEnable()
        {
            Enabled.Add(this);
            PipelineHooks.Install();
            if (!Application.isPlaying && source == AvatarSource.Server)
                return; // scenes being edited talk to nobody
            if (source == AvatarSource.Server)
                Connect(address);
            else if (source == AvatarSource.RecordedSession && sessionFolder.Length > 0)
                PlaySession(sessionFolder, loops);
        }

        private void OnDisable()
        {
            Enabled.Remove(this);
            Close();
            _commands?.Dispose();
            _commands = null;
        }

        private void Update()
        {
            TakeEvents();
            IAvatarPlayback? playback = Playback;
            if (playback == null)
                return;
            try
            {
                ShowAt(playback, SteadyClock.NowS + Time.smoothDeltaTime);
            }
            catch (AvatarException error)
            {
                Tell(error.Message);
                Close();
            }
        }

        // A person's mistake is told once, in the console and the inspector, and ends nothing else.
        private void Guarded(Action action)
        {
            try
            {
                action();
            }
            catch (AvatarException error)
            {
                Tell(error.Message);
                Close();
            }
        }

        private void Tell(string trouble)
        {
            if (trouble.Length > 0 && trouble != Trouble)
                Debug.LogWarning($"{name}: {trouble}", this);
            Trouble = trouble;
        }

        private void Close()
        {
            _connection?.Dispose();
            _connection = null;
            (_playback as IDisposable)?.Dispose();
            _playback = null;
            _renderer?.Dispose();
            _renderer = null;
        }
    }
}
