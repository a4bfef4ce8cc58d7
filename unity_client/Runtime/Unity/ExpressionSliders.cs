#nullable enable
using System;
using UnityEngine;

namespace GStalker.Unity
{
    /// <summary>Expression weights as sliders, in the inspector or animated: those switched on are held.</summary>
    [AddComponentMenu("GStalker/Expression Sliders")]
    public sealed class ExpressionSliders : MonoBehaviour
    {
        [Serializable]
        public struct Slider
        {
            public string Control;
            public bool Held;
            [Range(0, 1)] public float Weight;
        }

        private const float EveryS = 0.05f; // a server takes a limited number of requests a second

        [SerializeField, Tooltip("Found on this object or above where empty.")] private GaussianAvatar? avatar;
        [SerializeField] private Slider[] sliders = Array.Empty<Slider>();
        [SerializeField, Range(0, 2)] private float blendS = 0.1f;

        private int _sentHash;
        private float _sentAtS = float.NegativeInfinity;

        public Slider[] Sliders => sliders;

        private void OnEnable()
        {
            if (avatar == null)
                avatar = GetComponentInParent<GaussianAvatar>();
        }

        private void Update()
        {
            if (avatar == null || avatar.Avatar == null || avatar.State != Transport.ConnectionState.Connected)
                return;
            if (sliders.Length != avatar.Avatar.ControlNames.Length)
                sliders = Array.ConvertAll(avatar.Avatar.ControlNames, control => new Slider { Control = control });
            int hash = 17;
            foreach (Slider slider in sliders)
                hash = HashCode.Combine(hash, slider.Held, slider.Held ? slider.Weight : 0);
            if (hash == _sentHash || Time.unscaledTime < _sentAtS + EveryS)
                return;
            Slider[] held = Array.FindAll(sliders, slider => slider.Held);
            avatar.SetExpression(Array.ConvertAll(held, slider => (slider.Control, slider.Weight)), blendS);
            (_sentHash, _sentAtS) = (hash, Time.unscaledTime);
        }
    }
}
