#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>Runs a bundle's three graphs; an engine's own inference does it, or a test's recording.</summary>
    public interface IFieldNetworks : IDisposable
    {
        /// <summary>audio.onnx: a window of features (MelWindow x 80) to a code.</summary>
        void Hear(float[] melWindow, float[] code);

        /// <summary>deform.onnx: eleven deltas for each mover of the head.</summary>
        void Deform(float[] code, float[] expression, float[] deltas);

        /// <summary>torso.onnx: dx, dy, angle, and three deltas for each mover of the torso, of a head pose (6).</summary>
        void MoveTorso(float[] headPose, float[] rigid, float[] deltas);
    }
}
