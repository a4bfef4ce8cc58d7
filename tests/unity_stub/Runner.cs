// Runs the package's tests outside of Unity: every method with [Test] of the assembly given, each on a fresh object.
// Last line: how many passed, failed and were skipped; exit code 1 if any failed or none ran.
using System;
using System.Diagnostics;
using System.IO;
using System.Reflection;
using NUnit.Framework;

internal static class Runner
{
    private static int Main(string[] arguments)
    {
        Assembly assembly = Assembly.LoadFrom(Path.GetFullPath(arguments[0]));
        string wanted = arguments.Length > 1 ? arguments[1] : "";
        int passed = 0, failed = 0, skipped = 0;
        foreach (Type type in assembly.GetTypes())
        {
            foreach (MethodInfo method in type.GetMethods())
            {
                string name = $"{type.Name}.{method.Name}";
                if (method.GetCustomAttribute<TestAttribute>() == null || !name.Contains(wanted))
                    continue;
                var watch = Stopwatch.StartNew();
                try
                {
                    method.Invoke(Activator.CreateInstance(type), null);
                    passed++;
                    Console.WriteLine($"passed  {name} ({watch.ElapsedMilliseconds} ms)");
                }
                catch (TargetInvocationException outer) when (outer.InnerException is IgnoreException)
                {
                    skipped++;
                    Console.WriteLine($"skipped {name}: {outer.InnerException.Message}");
                }
                catch (TargetInvocationException outer)
                {
                    failed++;
                    Console.WriteLine($"FAILED  {name}: {outer.InnerException}");
                }
            }
        }
        Console.WriteLine($"{passed} passed, {failed} failed, {skipped} skipped");
        return failed == 0 && passed > 0 ? 0 : 1;
    }
}
