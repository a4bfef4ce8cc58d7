#nullable enable
using System;
using System.Collections.Generic;
using System.IO;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;

namespace GStalker.Transport
{
    /// <summary>An avatar bundle, a folder or a zip of one: its manifest, and its files checked by size and sha256.</summary>
    public sealed class BundleFile
    {
        private const int OldestFormat = 1, NewestFormat = 2;
        private const long MostBytes = 512L << 20;
        private const int MostManifestBytes = 4 << 20;

        private static readonly string[] FileNames =
        {
            "canonical.ply", "deform.onnx", "torso.onnx", "audio.onnx", "baked.safetensors", "golden/input.safetensors",
            "golden/output.safetensors", "thumbnail.png", "plate.png",
        };

        private readonly Dictionary<string, byte[]> _files = new Dictionary<string, byte[]>();

        public readonly Json Manifest;

        private BundleFile(Json manifest) => Manifest = manifest;

        /// <exception cref="AvatarException">No bundle, of another version, or damaged.</exception>
        public static BundleFile Open(string path)
        {
            try
            {
                if (Directory.Exists(path))
                    return ReadAll(path, (name, limit) => ReadFromFolder(Path.Combine(path, name), limit));
                if (!File.Exists(path))
                    throw new AvatarException($"{path}: expected an avatar bundle, found nothing. Run `gstalker export` to make one.");
                using ZipArchive zip = ZipFile.OpenRead(path);
                return ReadAll(path, (name, limit) => ReadFromZip(zip, name, limit));
            }
            catch (Exception error) when (error is IOException || error is InvalidDataException)
            {
                throw new AvatarException($"{path}: expected an avatar bundle, a folder or a zip of one, could not read it ({error.Message}).");
            }
        }

        /// <summary>The bytes of one of the bundle's files.</summary>
        public byte[] Read(string name) => _files[name];

        private static BundleFile ReadAll(string path, Func<string, long, byte[]?> read)
        {
            byte[] manifest = read("avatar.json", MostManifestBytes) ??
                throw new AvatarException($"{path}: expected an avatar bundle with avatar.json, found none. Run `gstalker export` to make one.");
            var bundle = new BundleFile(Json.Parse(Encoding.UTF8.GetString(manifest), $"{path}/avatar.json"));
            long version = bundle.Manifest["format_version"].Whole;
            if (version < OldestFormat || version > NewestFormat)
            {
                throw new AvatarException(
                    $"{path}/avatar.json: expected bundle format {OldestFormat} to {NewestFormat}, got {version}. Export the avatar again " +
                    "with this version of gstalker, or use the package that belongs to it.");
            }
            using var sha256 = SHA256.Create();
            long total = 0;
            foreach (string name in FileNames)
            {
                Json listed = bundle.Manifest["files"][name];
                long size = listed["size_bytes"].Whole;
                total += size;
                if (size < 0 || total > MostBytes)
                    throw new AvatarException($"{path}: expected at most {MostBytes >> 20} MiB of files, got more.");
                byte[] data = read(name, size) ??
                    throw new AvatarException($"{path}: expected the file {name}, it is missing. Export or copy the bundle again.");
                string hash = BitConverter.ToString(sha256.ComputeHash(data)).Replace("-", "").ToLowerInvariant();
                if (data.Length != size || hash != listed["sha256"].Text)
                {
                    throw new AvatarException(
                        $"{path}/{name}: expected {size} bytes with the sha256 that avatar.json says, got {data.Length} bytes: " +
                        "the file was changed or damaged. Export or copy the bundle again.");
                }
                bundle._files[name] = data;
            }
            return bundle;
        }

        private static byte[]? ReadFromFolder(string path, long limit)
        {
            if (!File.Exists(path))
                return null;
            using FileStream file = File.OpenRead(path);
            return ReadUpTo(file, limit);
        }

        private static byte[]? ReadFromZip(ZipArchive zip, string name, long limit)
        {
            foreach (ZipArchiveEntry entry in zip.Entries)
            {
                // A zip of the folder itself has one more level.
                if (entry.FullName != name && !(entry.FullName.EndsWith("/" + name, StringComparison.Ordinal) &&
                    entry.FullName.IndexOf('/') == entry.FullName.Length - name.Length - 1))
                    continue;
                using Stream stream = entry.Open();
                return ReadUpTo(stream, limit);
            }
            return null;
        }

        // At most one byte more, so that a longer file shows without being read.
        private static byte[] ReadUpTo(Stream stream, long limit)
        {
            using var target = new MemoryStream();
            var block = new byte[65536];
            for (int got = 1; got > 0 && target.Length <= limit;)
            {
                got = stream.Read(block, 0, (int)Math.Min(block.Length, limit + 1 - target.Length));
                target.Write(block, 0, got);
            }
            return target.ToArray();
        }
    }
}
