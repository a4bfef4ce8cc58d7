#nullable enable
using System;
using System.Buffers.Binary;

namespace GStalker.Protocol
{
    /// <summary>
    /// Reads the few kinds of msgpack that headers are made of, from bytes that may hold anything. Every method says
    /// false and reads no further where something else stands there. Nothing is allocated, nothing recurses.
    /// </summary>
    public ref struct MsgpackReader
    {
        private readonly ReadOnlySpan<byte> _bytes;

        public MsgpackReader(ReadOnlySpan<byte> bytes)
        {
            _bytes = bytes;
            Position = 0;
        }

        public int Position { get; private set; }

        public readonly bool AtEnd => Position == _bytes.Length;

        public bool TryReadMap(out int count) => TryReadCount(0x80, 0xDE, out count);

        public bool TryReadArray(out int count) => TryReadCount(0x90, 0xDC, out count);

        public bool TryReadBool(out bool value)
        {
            value = false;
            if (AtEnd || (_bytes[Position] != 0xC2 && _bytes[Position] != 0xC3))
                return false;
            value = _bytes[Position++] == 0xC3;
            return true;
        }

        /// <summary>The bytes of a text; whether they are UTF-8 is for the caller to find out.</summary>
        public bool TryReadText(out int start, out int length)
        {
            start = length = 0;
            if (AtEnd)
                return false;
            int head = _bytes[Position];
            int sizeBytes = head == 0xD9 ? 1 : head == 0xDA ? 2 : head == 0xDB ? 4 : 0;
            bool isShort = head >= 0xA0 && head <= 0xBF;
            if (!isShort && sizeBytes == 0)
                return false;
            if (Left < 1 + sizeBytes)
                return false;
            ulong size = isShort ? (ulong)(head & 31) : BigEndian(Position + 1, sizeBytes);
            if (size > (ulong)(Left - 1 - sizeBytes))
                return false;
            start = Position + 1 + sizeBytes;
            length = (int)size;
            Position = start + length;
            return true;
        }

        /// <summary>A number of any width.</summary>
        /// <param name="isWhole">Whether it was written as an integer; then `whole` holds it if it fits.</param>
        public bool TryReadNumber(out bool isWhole, out long whole, out double number)
        {
            isWhole = true;
            whole = 0;
            number = 0;
            if (AtEnd)
                return false;
            int head = _bytes[Position];
            if (head <= 0x7F || head >= 0xE0)
            {
                whole = (sbyte)head;
                number = whole;
                Position++;
                return true;
            }
            int width = head switch
            {
                0xCC => 1, 0xD0 => 1, 0xCD => 2, 0xD1 => 2, 0xCE => 4, 0xD2 => 4, 0xCA => 4,
                0xCF => 8, 0xD3 => 8, 0xCB => 8,
                _ => 0,
            };
            if (width == 0 || Left < 1 + width)
                return false;
            ulong bits = BigEndian(Position + 1, width);
            Position += 1 + width;
            if (head == 0xCA || head == 0xCB)
            {
                isWhole = false;
                number = head == 0xCB
                    ? BitConverter.Int64BitsToDouble((long)bits)
                    : BitConverter.Int32BitsToSingle((int)(uint)bits);
                return true;
            }
            if (head <= 0xCF)
            {
                whole = bits <= long.MaxValue ? (long)bits : -1; // larger than any field may hold
                number = bits;
                return true;
            }
            int unused = 64 - 8 * width;
            whole = (long)(bits << unused) >> unused;
            number = whole;
            return true;
        }

        private readonly int Left => _bytes.Length - Position;

        private bool TryReadCount(int shortHead, int head16, out int count)
        {
            count = 0;
            if (AtEnd)
                return false;
            int head = _bytes[Position];
            if ((head & 0xF0) == shortHead)
            {
                count = head & 15;
                Position++;
                return true;
            }
            int width = head == head16 ? 2 : head == head16 + 1 ? 4 : 0;
            if (width == 0 || Left < 1 + width)
                return false;
            ulong size = BigEndian(Position + 1, width);
            if (size > Wire.MaxHeaderBytes) // each item takes a byte
                return false;
            count = (int)size;
            Position += 1 + width;
            return true;
        }

        private readonly ulong BigEndian(int start, int width)
        {
            ReadOnlySpan<byte> bytes = _bytes.Slice(start, width);
            return width switch
            {
                1 => bytes[0],
                2 => BinaryPrimitives.ReadUInt16BigEndian(bytes),
                4 => BinaryPrimitives.ReadUInt32BigEndian(bytes),
                _ => BinaryPrimitives.ReadUInt64BigEndian(bytes),
            };
        }
    }
}
