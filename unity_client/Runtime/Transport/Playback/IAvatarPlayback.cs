#nullable enable
namespace GStalker.Transport
{
    /// <summary>Something that knows which frames to show at a time: a connection's playout, a recorded session, or a
    /// bundle whose networks run in the engine.</summary>
    public interface IAvatarPlayback
    {
        AvatarDescription Avatar { get; }

        /// <summary>Sound to play in step with the frames; null where there is none.</summary>
        SoundPlayer? Player { get; }

        /// <summary>The presentation time that should be heard at a local time; not a number before it is known.</summary>
        double TargetS(double localS);

        /// <summary>The frames to mix for a picture that is seen at a local time; give them back after use.</summary>
        bool TryPick(double localS, out PickedFrames picked, out double timeS);

        void GiveBack(in PickedFrames picked);
    }
}
