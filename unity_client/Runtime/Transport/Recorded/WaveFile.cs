#nullable enable
using System;
using System.Buffers.Binary;
using System.IO;

namespace GStalker.Transport
{
    /// <summary>16-bit mono PCM from a WAV file.</summary>
    public static class WaveFile
    {
        /// <exception cref="AvatarException">It is none, or of another kind.</exception>
        public static short[] ReadMono(string path, out int rateHz)
        {
            byte[] bytes = File.ReadAllBytes(path);
            rateHz = 0;
            if (bytes.Length < 12 || ReadTag(bytes, 0) != 0x46464952 || ReadTag(bytes, 8) != 0x45564157) // RIFF, WAVE
                throw new AvatarException($"{path}: expected a WAV file, got something else.");
            for (long at = 12; at + 8 <= bytes.Length;)
            {
                uint tag = ReadTag(bytes, (int)at);
                long size = Math.Min(ReadTag(bytes, (int)at + 4), bytes.Length - at - 8);
                ReadOnlySpan<byte> chunk = new ReadOnlySpan<byte>(bytes, (int)at + 8, (int)size);
                if (tag == 0x20746D66 && size >= 16) // "fmt "
                {
                    int kind = BinaryPrimitives.ReadUInt16LittleEndian(chunk);
                    int channels = BinaryPrimitives.ReadUInt16LittleEndian(chunk.Slice(2));
                    int bits = BinaryPrimitives.ReadUInt16LittleEndian(chunk.Slice(14));
                    rateHz = BinaryPrimitives.ReadInt32LittleEndian(chunk.Slice(4));
                    if (kind != 1 || channels != 1 || bits != 16)
                        throw new AvatarException($"{path}: expected 16-bit mono PCM, got {bits} bits in {channels} channels.");
                }
                else if (tag == 0x61746164 && rateHz > 0) // "data"
                {
                    var samples = new short[size / 2];
                    for (int i = 0; i < samples.Length; i++)
                        samples[i] = BinaryPrimitives.ReadInt16LittleEndian(chunk.Slice(2 * i));
                    return samples;
                }
                at += 8 + size + size % 2;
            }
            throw new AvatarException($"{path}: expected sound in it, found none.");
        }

        private static uint ReadTag(byte[] bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at));
    }
}
