using System;
using System.IO;
using NUnit.Framework;

namespace GStalker.Tests
{
    /// <summary>The files of tests/golden that clients in every language must read.</summary>
    internal static class GoldenFiles
    {
        /// <summary>From $GSTALKER_GOLDEN, or the repository that this package lies in; the test is skipped without.</summary>
        public static string Folder
        {
            get
            {
                string given = Environment.GetEnvironmentVariable("GSTALKER_GOLDEN") ?? "";
                if (given.Length > 0)
                    return given;
                for (var at = new DirectoryInfo(Directory.GetCurrentDirectory()); at != null; at = at.Parent)
                {
                    string folder = Path.Combine(at.FullName, "tests", "golden");
                    if (Directory.Exists(folder))
                        return folder;
                }
                Assert.Ignore("no golden files: set GSTALKER_GOLDEN to the repository's tests/golden");
                return "";
            }
        }

        public static byte[] Bytes(string name) => File.ReadAllBytes(Path.Combine(Folder, name + ".bin"));
    }
}
