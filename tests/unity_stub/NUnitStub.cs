// A stand-in for the few parts of NUnit that the package's tests use, so that the very files which Unity's test runner
// runs can run without Unity. No part of the package.
using System;

namespace NUnit.Framework
{
    [AttributeUsage(AttributeTargets.Method)]
    public sealed class TestAttribute : Attribute
    {
    }

    public sealed class AssertionException : Exception
    {
        public AssertionException(string message) : base(message)
        {
        }
    }

    public sealed class IgnoreException : Exception
    {
        public IgnoreException(string message) : base(message)
        {
        }
    }

    public static class Assert
    {
        public delegate void TestDelegate();

        public static void IsTrue(bool condition, string message = "expected true")
        {
            if (!condition)
                throw new AssertionException(message);
        }

        public static void IsFalse(bool condition, string message = "expected false") => IsTrue(!condition, message);

        public static void AreEqual(object expected, object actual, string message = "") =>
            IsTrue(Equals(expected, actual), $"{message} expected {expected}, got {actual}");

        public static void AreEqual(double expected, double actual, double tolerance, string message = "") =>
            IsTrue(Math.Abs(expected - actual) <= tolerance, $"{message} expected {expected} +- {tolerance}, got {actual}");

        public static T Throws<T>(TestDelegate code) where T : Exception
        {
            try
            {
                code();
            }
            catch (T error)
            {
                return error;
            }
            throw new AssertionException($"expected {typeof(T).Name}, nothing was thrown");
        }

        public static void Ignore(string message) => throw new IgnoreException(message);
    }
}
