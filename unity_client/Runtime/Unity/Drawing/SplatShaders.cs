#nullable enable
using GStalker.Transport;
using UnityEngine;

namespace GStalker.Unity
{
    /// <summary>The package's shaders, found once; an asset of this type lies in the package's Resources.</summary>
    public sealed class SplatShaders : ScriptableObject
    {
        private const string ResourceName = "GStalkerShaders";

        public ComputeShader? Avatar;
        public ComputeShader? Sort;
        public Shader? Draw;

        private static SplatShaders? _loaded;

        /// <summary>Kernels by name, looked up once.</summary>
        internal int MixFrames, SeeParts, ProjectSplats, WriteDrawArguments, ClearWeights, WeighSplats, RankByWeight;
        internal int StoreRanks, CountDigits, ScanCounts, ScatterKeys;

        /// <exception cref="AvatarException">This machine cannot run them, or the package is damaged.</exception>
        public static SplatShaders Load()
        {
            if (!SystemInfo.supportsComputeShaders)
            {
                throw new AvatarException(
                    $"{SystemInfo.graphicsDeviceType}: expected a graphics interface with compute shaders (Direct3D 11 or " +
                    "12, Vulkan, Metal, OpenGL ES 3.2). Choose another under Project Settings > Player > Graphics APIs.");
            }
            if (_loaded != null)
                return _loaded;
            SplatShaders? found = Resources.Load<SplatShaders>(ResourceName);
            if (found == null || found.Avatar == null || found.Sort == null || found.Draw == null)
                throw new AvatarException("GStalker: expected the package's shaders, they are missing. Install the package again.");
            found.FindKernels(found.Avatar, found.Sort);
            return _loaded = found;
        }

        private void FindKernels(ComputeShader avatar, ComputeShader sort)
        {
            MixFrames = avatar.FindKernel("MixFrames");
            SeeParts = avatar.FindKernel("SeeParts");
            ProjectSplats = avatar.FindKernel("ProjectSplats");
            WriteDrawArguments = avatar.FindKernel("WriteDrawArguments");
            ClearWeights = avatar.FindKernel("ClearWeights");
            WeighSplats = avatar.FindKernel("WeighSplats");
            RankByWeight = avatar.FindKernel("RankByWeight");
            StoreRanks = avatar.FindKernel("StoreRanks");
            CountDigits = sort.FindKernel("CountDigits");
            ScanCounts = sort.FindKernel("ScanCounts");
            ScatterKeys = sort.FindKernel("ScatterKeys");
        }
    }
}
