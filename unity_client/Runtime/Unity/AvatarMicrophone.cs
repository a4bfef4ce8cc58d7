#nullable enable
using System;
using GStalker.Transport;
using UnityEngine;

namespace GStalker.Unity
{
    /// <summary>Streams the player's voice to the avatar's server while Speaking is on: push to talk, or always on.</summary>
    [AddComponentMenu("GStalker/Avatar Microphone")]
    public sealed class AvatarMicrophone : MonoBehaviour
    {
        private const int RateHz = 16000; // what the networks hear; more would be thrown away
        private const int LoopS = 2;

        [SerializeField, Tooltip("Found on this object or above where empty.")] private GaussianAvatar? avatar;
        [SerializeField, Tooltip("Empty for the system's default.")] private string device = "";
        [SerializeField, Tooltip("Speak from the start, without a key to press.")] private bool speaksFromStart;

        private readonly float[] _samples = new float[RateHz * LoopS];
        private AudioClip? _loop;
        private Utterance? _utterance;
        private int _read;

        /// <summary>Whether the voice goes out. Setting it begins and ends an utterance.</summary>
        public bool Speaking
        {
            get => _utterance != null;
            set
            {
                if (value && _utterance == null)
                    Begin();
                else if (!value)
                    End();
            }
        }

        private void OnEnable()
        {
            if (avatar == null)
                avatar = GetComponentInParent<GaussianAvatar>();
            if (Microphone.devices.Length == 0)
            {
                Debug.LogWarning($"{name}: expected a microphone, the system has none or does not allow it.", this);
                return;
            }
            _loop = Microphone.Start(device.Length > 0 ? device : null, true, LoopS, RateHz);
            if (speaksFromStart)
                Begin();
        }

        private void OnDisable()
        {
            End();
            if (_loop != null)
                Microphone.End(device.Length > 0 ? device : null);
            _loop = null;
        }

        private void Begin()
        {
            if (_loop == null || avatar == null || avatar.State != ConnectionState.Connected)
                return;
            _read = Microphone.GetPosition(device.Length > 0 ? device : null);
            _utterance = new Utterance(RateHz, 1, true, LoopS);
            avatar.Say(_utterance);
        }

        private void End()
        {
            _utterance?.Complete();
            _utterance = null;
        }

        private void Update()
        {
            if (_utterance == null || _loop == null)
                return;
            int at = Microphone.GetPosition(device.Length > 0 ? device : null);
            int count = (at - _read + _loop.samples) % _loop.samples;
            if (count == 0 || !_loop.GetData(_samples, 0))
                return;
            int first = Math.Min(count, _loop.samples - _read);
            _utterance.Append(_samples.AsSpan(_read, first));
            _utterance.Append(_samples.AsSpan(0, count - first));
            _read = at;
        }
    }
}
