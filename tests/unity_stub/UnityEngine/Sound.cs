// Stand-in, see Mathematics.cs.
#nullable enable
namespace UnityEngine
{
    public sealed class AudioClip : Object
    {
        public int samples => 0;
        public int channels => 0;
        public int frequency => 0;
        public float length => 0;
        public bool GetData(float[] data, int offsetSamples) => false;
        public bool SetData(float[] data, int offsetSamples) => false;
        public static AudioClip Create(string name, int samples, int channels, int frequency, bool stream) => new AudioClip();
    }

    public sealed class AudioSource : Behaviour
    {
        public AudioClip? clip;
        public bool loop;
        public void Play() { }
    }

    public static class AudioSettings
    {
        public delegate void AudioConfigurationChangeHandler(bool deviceWasChanged);
        public static event AudioConfigurationChangeHandler? OnAudioConfigurationChanged { add { } remove { } }
        public static double dspTime => 0;
        public static int outputSampleRate => 48000;
        public static void GetDSPBufferSize(out int length, out int count) => (length, count) = (1024, 4);
    }

    public static class Microphone
    {
        public static string[] devices => new string[0];
        public static AudioClip Start(string? device, bool loop, int lengthSec, int frequency) => new AudioClip();
        public static void End(string? device) { }
        public static int GetPosition(string? device) => 0;
    }
}
