#nullable enable
using System;
using UnityEngine;

namespace GStalker.Unity
{
    /// <summary>How much work drawing an avatar may be.</summary>
    [Serializable]
    public struct SplatQuality
    {
        [Tooltip("Draw at most so many splats, those that show most first; 0 draws all.")]
        [Min(0)] public int SplatBudget;

        [Tooltip("Size of the picture the splats are drawn into, next to the camera's.")]
        [Range(0.25f, 1f)] public float RenderScale;

        [Tooltip("Corners of a splat's polygon: 4 a rectangle; more shade fewer empty pixels for more vertices.")]
        [Range(4, 12)] public int Corners;

        public static SplatQuality High => new SplatQuality { SplatBudget = 0, RenderScale = 1f, Corners = 8 };

        public static SplatQuality Standalone => new SplatQuality { SplatBudget = 30000, RenderScale = 1f, Corners = 8 };

        public static SplatQuality Mobile => new SplatQuality { SplatBudget = 12000, RenderScale = 0.7f, Corners = 6 };
    }
}
