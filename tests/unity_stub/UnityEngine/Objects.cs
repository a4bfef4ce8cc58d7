// Stand-in, see Mathematics.cs.
#nullable enable
using System;

namespace UnityEngine
{
    public class Object
    {
        public string name = "";
        public HideFlags hideFlags;
        public static void DestroyImmediate(Object o) { }
        public static bool operator ==(Object? a, Object? b) => ReferenceEquals(a, b);
        public static bool operator !=(Object? a, Object? b) => !ReferenceEquals(a, b);
        public override bool Equals(object? other) => ReferenceEquals(this, other);
        public override int GetHashCode() => 0;
    }

    [Flags]
    public enum HideFlags { None = 0, HideAndDontSave = 61 }

    public class ScriptableObject : Object
    {
        public static T CreateInstance<T>() where T : ScriptableObject, new() => new T();
    }

    public class Component : Object
    {
        public GameObject gameObject => null!;
        public Transform transform => null!;
        public T GetComponent<T>() => default!;
        public T GetComponentInParent<T>() => default!;
    }

    public class Behaviour : Component
    {
        public bool enabled;
    }

    public class MonoBehaviour : Behaviour
    {
    }

    public sealed class GameObject : Object
    {
        public int layer;
        public GameObject(string name) { }
        public T AddComponent<T>() where T : Component, new() => new T();
    }

    public class Transform : Component
    {
        public Vector3 position;
        public Matrix4x4 localToWorldMatrix => default;
        public Vector3 InverseTransformPoint(Vector3 point) => point;
    }

    public class TextAsset : Object
    {
        public string text => "";
        public byte[] bytes => Array.Empty<byte>();
    }

    public static class Resources
    {
        public static T? Load<T>(string path) where T : Object => null;
    }

    public static class Application
    {
        public static string productName => "";
        public static string unityVersion => "";
        public static bool isPlaying => false;
        public static string streamingAssetsPath => "";
    }

    public static class Time
    {
        public static float time => 0;
        public static float unscaledTime => 0;
        public static float smoothDeltaTime => 0;
    }

    public enum KeyCode { Space, Return, Escape }

    public static class Input
    {
        public static bool GetKey(KeyCode key) => false;
        public static bool GetKeyDown(KeyCode key) => false;
    }

    public static class Debug
    {
        public static void Log(object message) { }
        public static void LogWarning(object message) { }
        public static void LogWarning(object message, Object context) { }
    }

    [AttributeUsage(AttributeTargets.All)]
    public sealed class SerializeFieldAttribute : Attribute { }

    public sealed class TooltipAttribute : Attribute { public TooltipAttribute(string text) { } }

    public sealed class RangeAttribute : Attribute { public RangeAttribute(float min, float max) { } }

    public sealed class MinAttribute : Attribute { public MinAttribute(float min) { } }

    public sealed class ExecuteAlwaysAttribute : Attribute { }

    public sealed class DisallowMultipleComponentAttribute : Attribute { }

    public sealed class AddComponentMenuAttribute : Attribute { public AddComponentMenuAttribute(string name) { } }

    public sealed class RequireComponentAttribute : Attribute
    {
        public RequireComponentAttribute(Type type) { }
        public RequireComponentAttribute(Type type, Type second, Type third) { }
    }

    public sealed class CreateAssetMenuAttribute : Attribute { public string menuName = ""; }
}

namespace UnityEngine.Events
{
    public class UnityEvent
    {
        public void Invoke() { }
        public void AddListener(Action call) { }
    }

    public class UnityEvent<T>
    {
        public void Invoke(T value) { }
        public void AddListener(Action<T> call) { }
    }
}
