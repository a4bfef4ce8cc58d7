#nullable enable
using System;
using GStalker.Protocol;
using GStalker.Transport;
using UnityEngine;

namespace GStalker.Unity
{
    // What a game calls.
    public sealed partial class GaussianAvatar
    {
        /// <summary>Speak a clip; it begins a few frames later, so that the mouth can anticipate it.</summary>
        /// <param name="interrupts">Instead of what is being said, not after it.</param>
        /// <exception cref="InvalidOperationException">There is no server to speak with.</exception>
        public void Say(AudioClip clip, bool interrupts = false)
        {
            var samples = new float[clip.samples * clip.channels];
            if (!clip.GetData(samples, 0))
            {
                throw new InvalidOperationException(
                    $"{clip.name}: expected a clip whose samples can be read. Set its load type to Decompress On Load.");
            }
            if (clip.channels > 2)
                throw new InvalidOperationException($"{clip.name}: expected one or two channels, got {clip.channels}.");
            var utterance = new Utterance(clip.frequency, clip.channels, interrupts, clip.length + 1);
            utterance.Append(samples);
            utterance.Complete();
            Say(utterance);
        }

        /// <summary>Speak sound that may still be growing, as a microphone's.</summary>
        public void Say(Utterance utterance) => Server.Say(utterance);

        /// <summary>Have the server speak its own sound (`gstalker serve --audio`).</summary>
        public void PlayServerSound() => Server.Play();

        /// <summary>Fall silent at once.</summary>
        public void Stop() => Server.Stop();

        /// <summary>Blend in an emotion of Avatar.EmotionNames; an empty name ends it.</summary>
        public void SetEmotion(string emotion, float strength = 1, float blendS = 0.3f) =>
            Server.SetEmotion(emotion, strength, blendS);

        /// <summary>Turn the eyes towards a point of the world; LookAhead gives them back to idle life.</summary>
        /// <remarks>Where this avatar's eyes can move: Avatar.HasGaze.</remarks>
        public void LookAt(Vector3 worldPoint, float blendS = 0.15f)
        {
            // In avatar space the head looks along -z, x is to the picture's right and y down.
            Vector3 local = transform.InverseTransformPoint(worldPoint);
            var direction = new Vector3(local.x, -local.y, local.z);
            Vector3 fromHead = InHead(direction);
            double yaw = Math.Atan2(fromHead.x, -fromHead.z);
            double pitch = Math.Atan2(fromHead.y, Math.Sqrt(fromHead.x * fromHead.x + fromHead.z * fromHead.z));
            Server.SetGaze(true, Limited(yaw), Limited(pitch), blendS);
        }

        /// <summary>Give the eyes back to idle life.</summary>
        public void LookAhead(float blendS = 0.3f) => Server.SetGaze(false, 0, 0, blendS);

        /// <summary>Hold expression weights by their ARKit names; SetExpression(null) gives all back to idle life.</summary>
        /// <exception cref="ArgumentException">The avatar has no such control.</exception>
        public void SetExpression((string name, float weight)[]? weights, float blendS = 0.1f)
        {
            string[] names = Avatar?.ControlNames ?? throw NotConnected();
            var values = new float[names.Length];
            var held = new byte[names.Length];
            foreach ((string control, float weight) in weights ?? Array.Empty<(string, float)>())
            {
                int place = Array.IndexOf(names, control);
                if (place < 0)
                    throw new ArgumentException($"{control}: expected one of {string.Join(", ", names)}.");
                (values[place], held[place]) = (weight, 1);
            }
            Server.SetExpression(values, held, blendS);
        }

        /// <summary>Hold the head in a pose relative to its rest, in this object's axes; beyond what was seen in training
        /// it is limited.</summary>
        public void SetHeadPose(Quaternion rotation, Vector3 offsetM, float blendS = 0.2f)
        {
            rotation.ToAngleAxis(out float degrees, out Vector3 axis);
            double radians = (degrees > 180 ? degrees - 360 : degrees) * Math.PI / 180;
            // Unity's axes are avatar space mirrored in y: rotation vectors change the signs of x and z, offsets of y.
            var turn = new Numbers(new[] { -axis.x * radians, axis.y * radians, -axis.z * radians });
            var move = new Numbers(new double[] { offsetM.x, -offsetM.y, offsetM.z });
            Server.SetHeadPose(true, turn, move, blendS);
        }

        /// <summary>Give the head back to idle life.</summary>
        public void FreeHead(float blendS = 0.3f) =>
            Server.SetHeadPose(false, new Numbers(new double[3]), new Numbers(new double[3]), blendS);

        /// <summary>Blinks, breathing, small motion of the head: on or off.</summary>
        public void SetIdle(bool enabled, uint seed = 0) => Server.SetIdle(enabled, seed);

        /// <summary>Have the server send only every n-th frame, for avatars far away.</summary>
        public void SetFrameDivisor(int every) => Server.SetRate(every);

        private AvatarConnection Server => _connection ?? throw NotConnected();

        private InvalidOperationException NotConnected() => new InvalidOperationException(
            $"{name}: expected an avatar with a server, source is {source}. Call Connect first, or set the source to Server.");

        // The gaze is relative to the head, which turns: its last known pose is taken off.
        private Vector3 InHead(Vector3 inAvatar)
        {
            if (_renderer == null)
                return inAvatar;
            Matrix4x4 head = _renderer.AvatarFromHead;
            return head.inverse.MultiplyPoint3x4(inAvatar);
        }

        private static double Limited(double radians) => Math.Max(-1.5, Math.Min(1.5, radians));

        private void TakeEvents()
        {
            while (_connection != null && _connection.TryTakeEvent(out AvatarEvent happened))
            {
                switch (happened.Kind)
                {
                    case AvatarEventKind.Connected:
                        Tell("");
                        events.Connected.Invoke();
                        break;
                    case AvatarEventKind.Lost:
                    case AvatarEventKind.Unreachable:
                    case AvatarEventKind.GreetingRefused:
                        Tell($"{address}: {happened.Text}");
                        events.Lost.Invoke(happened.Text);
                        break;
                    case AvatarEventKind.SpeechStarted:
                        events.SpeechStarted.Invoke();
                        break;
                    case AvatarEventKind.SpeechEnded:
                        events.SpeechEnded.Invoke(happened.IsCut);
                        break;
                    case AvatarEventKind.StreamEnded:
                        events.StreamEnded.Invoke();
                        break;
                    default:
                        Debug.LogWarning($"{name}: {happened.Kind}: {happened.Text}", this);
                        break;
                }
            }
        }
    }
}
