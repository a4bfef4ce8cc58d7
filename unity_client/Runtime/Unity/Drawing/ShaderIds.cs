#nullable enable
using UnityEngine;

namespace GStalker.Unity
{
    /// <summary>Names of what the shaders read and write (Documentation~/drawing.md).</summary>
    internal static class ShaderIds
    {
        internal static readonly int GaussianCount = Shader.PropertyToID("_GsGaussianCount");
        internal static readonly int MoverCount = Shader.PropertyToID("_GsMoverCount");
        internal static readonly int EyeCount = Shader.PropertyToID("_GsEyeCount");
        internal static readonly int Canonical = Shader.PropertyToID("_GsCanonical");
        internal static readonly int FrameA = Shader.PropertyToID("_GsFrameA");
        internal static readonly int FrameB = Shader.PropertyToID("_GsFrameB");
        internal static readonly int BoxMinimum = Shader.PropertyToID("_GsBoxMinimum");
        internal static readonly int BoxStep = Shader.PropertyToID("_GsBoxStep");
        internal static readonly int FrameMix = Shader.PropertyToID("_GsFrameMix");
        internal static readonly int PosedOut = Shader.PropertyToID("_GsPosedOut");
        internal static readonly int Posed = Shader.PropertyToID("_GsPosed");
        internal static readonly int AvatarFromPart = Shader.PropertyToID("_GsAvatarFromPart");
        internal static readonly int WorldFromObject = Shader.PropertyToID("_GsWorldFromObject");
        internal static readonly int ViewFromWorld = Shader.PropertyToID("_GsViewFromWorld");
        internal static readonly int ClipFromView = Shader.PropertyToID("_GsClipFromView");
        internal static readonly int TargetSize = Shader.PropertyToID("_GsTargetSize");
        internal static readonly int DepthMinimumNdc = Shader.PropertyToID("_GsDepthMinimumNdc");
        internal static readonly int EyesOfPartsOut = Shader.PropertyToID("_GsEyesOfPartsOut");
        internal static readonly int EyesOfParts = Shader.PropertyToID("_GsEyesOfParts");
        internal static readonly int SplatsOut = Shader.PropertyToID("_GsSplatsOut");
        internal static readonly int SplatsIn = Shader.PropertyToID("_GsSplatsIn");
        internal static readonly int Splats = Shader.PropertyToID("_GsSplats");
        internal static readonly int KeysOut = Shader.PropertyToID("_GsKeysOut");
        internal static readonly int OrderOut = Shader.PropertyToID("_GsOrderOut");
        internal static readonly int Order = Shader.PropertyToID("_GsOrder");
        internal static readonly int VisibleCount = Shader.PropertyToID("_GsVisibleCount");
        internal static readonly int VisibleCountIn = Shader.PropertyToID("_GsVisibleCountIn");
        internal static readonly int DrawArguments = Shader.PropertyToID("_GsDrawArguments");
        internal static readonly int EyesPerDraw = Shader.PropertyToID("_GsEyesPerDraw");
        internal static readonly int Corners = Shader.PropertyToID("_GsCorners");
        internal static readonly int Eye = Shader.PropertyToID("_GsEye");
        internal static readonly int Weights = Shader.PropertyToID("_GsWeights");
        internal static readonly int RanksOut = Shader.PropertyToID("_GsRanksOut");
        internal static readonly int Ranks = Shader.PropertyToID("_GsRanks");
        internal static readonly int Budget = Shader.PropertyToID("_GsBudget");
        internal static readonly int Harmonics = Shader.PropertyToID("_GsHarmonics");
        internal static readonly int HarmonicsStored = Shader.PropertyToID("_GsHarmonicsStored");
        internal static readonly int HarmonicsUsed = Shader.PropertyToID("_GsHarmonicsUsed");
        internal static readonly int SourceKeys = Shader.PropertyToID("_GsSourceKeys");
        internal static readonly int SourceOrder = Shader.PropertyToID("_GsSourceOrder");
        internal static readonly int SortedKeys = Shader.PropertyToID("_GsSortedKeys");
        internal static readonly int SortedOrder = Shader.PropertyToID("_GsSortedOrder");
        internal static readonly int DigitCounts = Shader.PropertyToID("_GsDigitCounts");
        internal static readonly int KeyCount = Shader.PropertyToID("_GsKeyCount");
        internal static readonly int BlockCount = Shader.PropertyToID("_GsBlockCount");
        internal static readonly int Shift = Shader.PropertyToID("_GsShift");
        internal static readonly int SplatPicture = Shader.PropertyToID("_GsSplatPicture");
        internal static readonly int ScenePicture = Shader.PropertyToID("_GsScenePicture");
        internal static readonly int SceneDepth = Shader.PropertyToID("_GsSceneDepth");
        internal static readonly int ScreenSize = Shader.PropertyToID("_GsScreenSize");
        internal static readonly int Exposure = Shader.PropertyToID("_GsExposure");
    }
}
