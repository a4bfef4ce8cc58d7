#nullable enable
using GStalker.Unity;
using UnityEditor;
using UnityEngine;

namespace GStalker.Editor
{
    /// <summary>Whose avatar it is, on what terms, and how large; or what is wrong with the file.</summary>
    [CustomEditor(typeof(AvatarBundleAsset))]
    public sealed class AvatarBundleInspector : UnityEditor.Editor
    {
        public override void OnInspectorGUI()
        {
            var asset = (AvatarBundleAsset)target;
            if (asset.Trouble.Length > 0)
            {
                EditorGUILayout.HelpBox(asset.Trouble, MessageType.Error);
                return;
            }
            if (asset.Thumbnail != null)
                GUILayout.Label(asset.Thumbnail, GUILayout.MaxHeight(192));
            EditorGUILayout.LabelField("Name", asset.AvatarName);
            EditorGUILayout.LabelField("Likeness of", asset.Subject);
            EditorGUILayout.LabelField("Consent", asset.Consent);
            EditorGUILayout.LabelField("Licence", asset.Licence);
            EditorGUILayout.LabelField("Gaussians", $"{asset.GaussianCount:N0}, of which {asset.MoverCount:N0} move");
            EditorGUILayout.LabelField("Controls", string.Join(", ", asset.ControlNames));
            EditorGUILayout.HelpBox(asset.Notice, MessageType.Info);
        }
    }
}
