// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

namespace GStalker.Protocol
{
    /// <summary>Every message of this wire version.</summary>
    public enum MessageKind
    {
        Hello,
        Leave,
        Ping,
        Play,
        Stop,
        OpenSpeech,
        PushSpeech,
        CloseSpeech,
        SetExpression,
        SetEmotion,
        SetGaze,
        SetHeadPose,
        SetIdle,
        SetRate,
        GetStats,
        GetSnapshot,
        Resume,
        Shutdown,
        Welcome,
        Done,
        Applied,
        Pong,
        SpeechOpened,
        SpeechState,
        Stats,
        Snapshot,
        Refusal,
        FrameQ16,
        FrameF32,
        Audio,
        SpeechEnd,
        StreamEnd,
    }

    /// <summary>What each message is made of, by its kind.</summary>
    public static class MessageSpecs
    {
        public static readonly MessageSpec[] All =
        {
            Hello.Spec,
            Leave.Spec,
            Ping.Spec,
            Play.Spec,
            Stop.Spec,
            OpenSpeech.Spec,
            PushSpeech.Spec,
            CloseSpeech.Spec,
            SetExpression.Spec,
            SetEmotion.Spec,
            SetGaze.Spec,
            SetHeadPose.Spec,
            SetIdle.Spec,
            SetRate.Spec,
            GetStats.Spec,
            GetSnapshot.Spec,
            Resume.Spec,
            Shutdown.Spec,
            Welcome.Spec,
            Done.Spec,
            Applied.Spec,
            Pong.Spec,
            SpeechOpened.Spec,
            SpeechState.Spec,
            Stats.Spec,
            Snapshot.Spec,
            Refusal.Spec,
            FrameQ16.Spec,
            FrameF32.Spec,
            Audio.Spec,
            SpeechEnd.Spec,
            StreamEnd.Spec,
        };
    }
}
