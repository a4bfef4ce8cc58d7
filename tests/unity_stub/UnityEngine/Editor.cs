// Stand-in for UnityEditor, see Mathematics.cs.
#nullable enable
using System;
using UnityEngine;
using Object = UnityEngine.Object;

namespace UnityEditor
{
    public sealed class CustomEditor : Attribute { public CustomEditor(Type type) { } }

    public sealed class MenuItem : Attribute { public MenuItem(string path) { } }

    public enum MessageType { Info, Warning, Error }

    public class Editor : ScriptableObject
    {
        public Object target = null!;
        public virtual void OnInspectorGUI() { }
        public virtual bool RequiresConstantRepaint() => false;
        public bool DrawDefaultInspector() => false;
    }

    public static class EditorGUILayout
    {
        public static void HelpBox(string text, MessageType type) { }
        public static void LabelField(string label, string text) { }
    }

    public static class EditorUtility
    {
        public static string OpenFolderPanel(string title, string folder, string name) => "";
        public static bool DisplayDialog(string title, string text, string ok) => true;
    }

    public static class EditorApplication { public static void Exit(int code) { } }

    public static class AssetDatabase
    {
        public static void CreateAsset(Object asset, string path) { }
        public static void ImportAsset(string path) { }
        public static void Refresh() { }
        public static string GetAssetPath(Object asset) => "";
        public static T? LoadAssetAtPath<T>(string path) where T : Object => null;
        public static string CreateFolder(string parent, string name) => "";
    }

    public static class Selection { public static Object? activeObject => null; }
}

namespace UnityEditor.AssetImporters
{
    public sealed class ScriptedImporterAttribute : Attribute { public ScriptedImporterAttribute(int version, string extension) { } }

    public abstract class ScriptedImporter : Object { public abstract void OnImportAsset(AssetImportContext ctx); }

    public sealed class AssetImportContext
    {
        public string assetPath => "";
        public void AddObjectToAsset(string id, Object o) { }
        public void AddObjectToAsset(string id, Object o, Texture2D? thumbnail) { }
        public void SetMainObject(Object o) { }
        public void LogImportError(string message, Object context) { }
    }
}

namespace UnityEngine
{
    public sealed class GUILayoutOption { }

    public static class GUILayout
    {
        public static void Label(Texture texture, params GUILayoutOption[] options) { }
        public static bool Button(string text) => false;
        public static GUILayoutOption MaxHeight(float height) => new GUILayoutOption();
    }
}
