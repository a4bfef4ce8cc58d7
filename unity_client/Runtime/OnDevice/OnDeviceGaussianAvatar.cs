#nullable enable
#if GSTALKER_INFERENCE_ENGINE
using System;
using System.IO;
using GStalker.Transport;
using GStalker.Unity;
using Unity.InferenceEngine;
using UnityEngine;

namespace GStalker.OnDevice
{
    /// <summary>
    /// Drives a GaussianAvatar with no server: the bundle's own networks run here. The graphs are assets that
    /// Assets > GStalker > Extract networks makes of a bundle; the bundle itself lies in StreamingAssets.
    /// </summary>
    [RequireComponent(typeof(GaussianAvatar))]
    [AddComponentMenu("GStalker/On-Device Gaussian Avatar")]
    public sealed class OnDeviceGaussianAvatar : MonoBehaviour
    {
        private const int SpeechRateHz = 16000;

        [SerializeField, Tooltip("NAME.gsavatar within StreamingAssets.")] private string bundleFile = "";
        [SerializeField] private ModelAsset? audioNetwork;
        [SerializeField] private ModelAsset? deformNetwork;
        [SerializeField] private ModelAsset? torsoNetwork;
        [SerializeField] private BackendType backend = BackendType.CPU;

        private OnDeviceAvatar? _avatar;

        private void OnEnable()
        {
            try
            {
                var bundle = new AvatarBundle(BundleFile.Open(Path.Combine(Application.streamingAssetsPath, bundleFile)));
                if (audioNetwork == null || deformNetwork == null || torsoNetwork == null)
                    throw new AvatarException($"{name}: expected three networks. Assets > GStalker > Extract networks makes them of the bundle.");
                var networks = new EngineNetworks(bundle, audioNetwork, deformNetwork, torsoNetwork, backend);
                _avatar = new OnDeviceAvatar(bundle, networks, SteadyClock.NowS);
                GetComponent<GaussianAvatar>().Show(_avatar);
            }
            catch (AvatarException error)
            {
                Debug.LogWarning($"{name}: {error.Message}", this);
            }
        }

        private void Update() => _avatar?.Step(SteadyClock.NowS);

        /// <summary>Speak a clip, after what is being said.</summary>
        /// <exception cref="AvatarException">It is too long, or its samples cannot be read.</exception>
        public void Say(AudioClip clip)
        {
            var samples = new float[clip.samples * clip.channels];
            if (_avatar == null || !clip.GetData(samples, 0))
                throw new AvatarException($"{clip.name}: expected a running avatar and a clip that can be read (Decompress On Load).");
            _avatar.Say(Resampled(samples, clip.channels, clip.frequency));
        }

        private static float[] Resampled(float[] samples, int channels, int rateHz)
        {
            var mono = new short[samples.Length / channels];
            for (int i = 0; i < mono.Length; i++)
            {
                float sum = 0;
                for (int channel = 0; channel < channels; channel++)
                    sum += samples[i * channels + channel];
                mono[i] = (short)Math.Max(-32768, Math.Min(32767, sum / channels * 32768));
            }
            var source = new SoundBuffer(rateHz, mono.Length / (double)rateHz + 1);
            source.Put(0, 0, mono);
            var speech = new float[(int)((long)mono.Length * SpeechRateHz / rateHz)];
            source.Read(0, rateHz / (double)SpeechRateHz, speech);
            return speech;
        }
    }
}
#endif
