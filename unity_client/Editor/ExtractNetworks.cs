#nullable enable
using System.IO;
using GStalker.Transport;
using GStalker.Unity;
using UnityEditor;

namespace GStalker.Editor
{
    /// <summary>The graphs of a bundle as files of their own, which Unity's Inference Engine imports.</summary>
    public static class ExtractNetworks
    {
        private static readonly string[] Networks = { "audio.onnx", "deform.onnx", "torso.onnx" };

        [MenuItem("Assets/GStalker/Extract networks")]
        private static void FromMenu()
        {
            if (!(Selection.activeObject is AvatarBundleAsset asset))
            {
                EditorUtility.DisplayDialog("GStalker", "Select an imported NAME.gsavatar first.", "OK");
                return;
            }
            string path = AssetDatabase.GetAssetPath(asset);
            string folder = Path.Combine(Path.GetDirectoryName(path) ?? "Assets", Path.GetFileNameWithoutExtension(path) + " networks");
            try
            {
                BundleFile bundle = BundleFile.Open(path);
                Directory.CreateDirectory(folder);
                foreach (string network in Networks)
                    File.WriteAllBytes(Path.Combine(folder, network), bundle.Read(network));
                AssetDatabase.Refresh();
            }
            catch (AvatarException error)
            {
                EditorUtility.DisplayDialog("GStalker", error.Message, "OK");
            }
        }
    }
}
