#nullable enable
using System;
using GStalker.Transport;
using UnityEngine;

namespace GStalker.Unity
{
    /// <summary>
    /// Plays an avatar's voice through this object's AudioSource, each sample at its presentation time; the picture
    /// follows what is heard. Spatial sound, mixers and effects work as with any source.
    /// </summary>
    [RequireComponent(typeof(AudioSource))]
    [AddComponentMenu("GStalker/Avatar Audio")]
    public sealed class AvatarAudio : MonoBehaviour
    {
        private const int MostSamples = 8192;

        [SerializeField, Tooltip("Found on this object or above where empty.")] private GaussianAvatar? avatar;
        [SerializeField, Tooltip("What the device adds that Unity cannot know, as Bluetooth's 0.1 to 0.3 s.")]
        [Range(0, 0.5f)] private float deviceLatencyS;

        private readonly float[] _mono = new float[MostSamples];
        private readonly DeviceClock _device = new DeviceClock();
        private AudioClip? _carrier;
        private volatile IAvatarPlayback? _playback;
        private int _rateHz;
        private double _bufferedS;

        /// <summary>How often the device was found to have left samples out.</summary>
        public int Skips => _device.Skips;

        private void OnEnable()
        {
            if (avatar == null)
                avatar = GetComponentInParent<GaussianAvatar>();
            if (avatar == null)
                Debug.LogWarning($"{name}: expected a GaussianAvatar on this object or above it, found none.", this);
            AudioSettings.OnAudioConfigurationChanged += Configure;
            Configure(false);
        }

        private void OnDisable()
        {
            AudioSettings.OnAudioConfigurationChanged -= Configure;
            _playback = null;
        }

        private void Update() => _playback = avatar != null ? avatar.Playback : null;

        // The source plays a clip of ones, over and over, and the filter multiplies: so Unity's volume, panning and
        // distance, which come before the filter, act on the voice.
        private void Configure(bool deviceChanged)
        {
            AudioSettings.GetDSPBufferSize(out int samples, out int count);
            _rateHz = AudioSettings.outputSampleRate;
            _bufferedS = samples * count / (double)_rateHz;
            _device.Reset();
            _carrier = AudioClip.Create("GStalker carrier", _rateHz, 1, _rateHz, false);
            var ones = new float[_rateHz];
            Array.Fill(ones, 1f);
            _carrier.SetData(ones, 0);
            AudioSource source = GetComponent<AudioSource>();
            source.clip = _carrier;
            source.loop = true;
            source.Play();
        }

        private void OnAudioFilterRead(float[] data, int channels)
        {
            IAvatarPlayback? playback = _playback;
            int count = data.Length / channels;
            if (playback?.Player == null || count > MostSamples)
            {
                Array.Clear(data, 0, data.Length);
                return;
            }
            double nowS = SteadyClock.NowS;
            _device.Add(AudioSettings.dspTime, nowS + _bufferedS, nowS);
            double heardAtS = _device.HeardAtS(AudioSettings.dspTime) + deviceLatencyS;
            Span<float> mono = _mono.AsSpan(0, count);
            playback.Player.Fill(mono, _rateHz, heardAtS, playback.TargetS(heardAtS));
            for (int i = 0; i < count; i++)
            {
                for (int channel = 0; channel < channels; channel++)
                    data[i * channels + channel] *= mono[i];
            }
        }
    }
}
