#nullable enable
using System;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>Poses as the torso's network takes them.</summary>
    public static class RotationVector
    {
        /// <summary>Six numbers of a rigid transform: its rotation vector in radians, and its translation.</summary>
        public static void HeadPose(in Numbers rows, Span<float> pose)
        {
            double x = rows[9] - rows[6], y = rows[2] - rows[8], z = rows[4] - rows[1];
            double twiceSine = Math.Sqrt(x * x + y * y + z * z);
            double angle = Math.Atan2(twiceSine, rows[0] + rows[5] + rows[10] - 1);
            // A head turns by far less than half a turn, where this way of reading it would fail.
            double scale = twiceSine > 1e-9 ? angle / twiceSine : 0.5;
            (pose[0], pose[1], pose[2]) = ((float)(x * scale), (float)(y * scale), (float)(z * scale));
            (pose[3], pose[4], pose[5]) = ((float)rows[3], (float)rows[7], (float)rows[11]);
        }
    }
}
