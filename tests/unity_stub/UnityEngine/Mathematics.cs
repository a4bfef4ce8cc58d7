// A stand-in for the parts of UnityEngine that the package names, so that its engine-facing code compiles without Unity:
// typing errors show, a change of Unity's interface does not. Bodies do nothing. No part of the package.
namespace UnityEngine
{
    public struct Vector2
    {
        public float x, y;
        public Vector2(float x, float y) => (this.x, this.y) = (x, y);
        public static implicit operator Vector4(Vector2 v) => new Vector4(v.x, v.y, 0, 0);
    }

    public struct Vector2Int
    {
        public int x, y;
        public Vector2Int(int x, int y) => (this.x, this.y) = (x, y);
        public static implicit operator Vector2(Vector2Int v) => new Vector2(v.x, v.y);
    }

    public struct Vector3
    {
        public float x, y, z;
        public Vector3(float x, float y, float z) => (this.x, this.y, this.z) = (x, y, z);
        public float sqrMagnitude => x * x + y * y + z * z;
        public static Vector3 operator -(Vector3 a, Vector3 b) => new Vector3(a.x - b.x, a.y - b.y, a.z - b.z);
    }

    public struct Vector4
    {
        public float x, y, z, w;
        public Vector4(float x, float y, float z, float w) => (this.x, this.y, this.z, this.w) = (x, y, z, w);
    }

    public struct Quaternion
    {
        public float x, y, z, w;
        public void ToAngleAxis(out float angle, out Vector3 axis) => (angle, axis) = (0, default);
    }

    public struct Matrix4x4
    {
        public static Matrix4x4 identity => default;
        public Matrix4x4 inverse => this;
        public float this[int row, int column] { get => 0; set { } }
        public Vector3 MultiplyPoint3x4(Vector3 point) => point;
    }

    public struct Color
    {
        public float r, g, b, a;
        public Color(float r, float g, float b) => (this.r, this.g, this.b, a) = (r, g, b, 1);
        public static Color clear => default;
    }

    public struct Rect
    {
        public Rect(float x, float y, float width, float height)
        {
        }
    }

    public static class Mathf
    {
        public static float Max(float a, float b) => a > b ? a : b;
        public static int Max(int a, int b) => a > b ? a : b;
        public static int RoundToInt(float value) => (int)value;
    }
}
