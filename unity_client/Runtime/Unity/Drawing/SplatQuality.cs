#nullable enable
using System;
using UnityEngine;

namespace GStalker.Unity
{
    /// <summary>How much work drawing an avatar may be; what each level costs and loses is in docs/results.md.</summary>
    [Serializable]
    public struct SplatQuality
    {
        [Tooltip("Which share of the splats is drawn, those that show most first.")]
        [Range(0.1f, 1f)] public float SplatShare;

        [Tooltip("Size of the picture the splats are drawn into, next to the camera's.")]
        [Range(0.25f, 1f)] public float RenderScale;

        [Tooltip("Corners of a splat's polygon: 4 a rectangle; more shade fewer empty pixels for more vertices.")]
        [Range(4, 12)] public int Corners;

        public static SplatQuality Full => new SplatQuality { SplatShare = 1f, RenderScale = 1f, Corners = 8 };

        public static SplatQuality High => new SplatQuality { SplatShare = 0.9f, RenderScale = 1f, Corners = 8 };

        public static SplatQuality Medium => new SplatQuality { SplatShare = 0.8f, RenderScale = 0.8f, Corners = 8 };

        public static SplatQuality Low => new SplatQuality { SplatShare = 0.65f, RenderScale = 0.6f, Corners = 4 };
    }
}
