#nullable enable
using System;
using System.Buffers.Binary;
using System.IO;
using System.Runtime.InteropServices;
using System.Text;

namespace GStalker.Transport
{
    /// <summary>Arrays by name in one file: eight bytes of length, a JSON header, raw little-endian bytes.</summary>
    public sealed class SafeTensors
    {
        private const int MostHeaderBytes = 1 << 20;

        private readonly byte[] _bytes;
        private readonly int _dataStart;
        private readonly Json _header;
        private readonly string _where;

        /// <exception cref="AvatarException">The bytes are no such file.</exception>
        public SafeTensors(byte[] bytes, string where)
        {
            _bytes = bytes;
            _where = where;
            ulong length = bytes.Length >= 8 ? BinaryPrimitives.ReadUInt64LittleEndian(bytes) : ulong.MaxValue;
            if (length > MostHeaderBytes || length > (ulong)bytes.Length - 8)
                throw new AvatarException($"{where}: expected a safetensors file, got something else or a part of one.");
            _dataStart = 8 + (int)length;
            _header = Json.Parse(Encoding.UTF8.GetString(bytes, 8, (int)length).TrimEnd(' '), where);
        }

        public static SafeTensors Read(string path)
        {
            if (!File.Exists(path))
                throw new AvatarException($"{path}: expected a safetensors file, found none.");
            return new SafeTensors(File.ReadAllBytes(path), path);
        }

        public float[] Floats(string name, params int[] shape) => MemoryMarshal.Cast<byte, float>(Data(name, "F32", 4, shape)).ToArray();

        public byte[] Bytes(string name, params int[] shape) => Data(name, "U8", 1, shape).ToArray();

        /// <summary>The sizes of an array's axes.</summary>
        public int[] Shape(string name) => Array.ConvertAll(_header[name]["shape"].Numbers(), n => (int)n);

        private ReadOnlySpan<byte> Data(string name, string type, int size, int[] shape)
        {
            Json entry = _header[name];
            double[] got = entry["shape"].Numbers();
            double[] ends = entry["data_offsets"].Numbers();
            double bytes = size;
            bool fits = entry["dtype"].Text == type && got.Length == shape.Length && ends.Length == 2;
            for (int axis = 0; fits && axis < shape.Length; axis++)
            {
                fits = got[axis] == shape[axis];
                bytes *= shape[axis];
            }
            if (!fits || ends[0] < 0 || ends[1] - ends[0] != bytes || ends[1] > _bytes.Length - _dataStart)
            {
                throw new AvatarException(
                    $"{_where}: {name}: expected {type} of {string.Join(" x ", shape)}, got {entry["dtype"].Text} of " +
                    $"{string.Join(" x ", got)}, or a part of it.");
            }
            return new ReadOnlySpan<byte>(_bytes, _dataStart + (int)ends[0], (int)bytes);
        }
    }
}
