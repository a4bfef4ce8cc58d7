#nullable enable
using System;
using System.Globalization;
using System.Text;

namespace GStalker.Protocol
{
    /// <summary>A text inside a received message; a string is made only where one is asked for.</summary>
    public readonly ref struct Utf8Text
    {
        public readonly ReadOnlySpan<byte> Bytes;

        public Utf8Text(ReadOnlySpan<byte> bytes) => Bytes = bytes;

        public override string ToString() => Encoding.UTF8.GetString(Bytes);

        public bool Is(string ascii)
        {
            if (Bytes.Length != ascii.Length)
                return false;
            for (int i = 0; i < ascii.Length; i++)
            {
                if (Bytes[i] != ascii[i])
                    return false;
            }
            return true;
        }
    }

    /// <summary>Strict UTF-8: no overlong forms, no halves of surrogate pairs, nothing that a terminal obeys.</summary>
    public static class Utf8
    {
        /// <returns>Characters (code points), or -1 where the bytes are no such text.</returns>
        public static int CountPrintable(ReadOnlySpan<byte> bytes)
        {
            int count = 0;
            for (int at = 0; at < bytes.Length; count++)
            {
                int point = Next(bytes, ref at);
                if (point < 0 || !IsWelcome(point))
                    return -1;
            }
            return count;
        }

        private static int Next(ReadOnlySpan<byte> bytes, ref int at)
        {
            int first = bytes[at++];
            if (first < 0x80)
                return first;
            int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
            if (first < 0xC2 || first > 0xF4 || at + more > bytes.Length)
                return -1;
            int point = first & (0x3F >> more);
            for (int i = 0; i < more; i++)
            {
                int next = bytes[at++];
                if ((next & 0xC0) != 0x80)
                    return -1;
                point = (point << 6) | (next & 0x3F);
            }
            int least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
            return point < least || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF) ? -1 : point;
        }

        // Characters that no Unicode table of this runtime knows yet are welcome: a newer server may know them.
        private static bool IsWelcome(int point)
        {
            if (point == '\n' || (point >= ' ' && point < 0x7F))
                return true;
            if (point < 0xA0)
                return false;
            UnicodeCategory category = point < 0x10000
                ? CharUnicodeInfo.GetUnicodeCategory((char)point)
                : CharUnicodeInfo.GetUnicodeCategory(char.ConvertFromUtf32(point), 0);
            return category switch
            {
                UnicodeCategory.Control => false,
                UnicodeCategory.Format => false,
                UnicodeCategory.Surrogate => false,
                UnicodeCategory.PrivateUse => false,
                UnicodeCategory.LineSeparator => false,
                UnicodeCategory.ParagraphSeparator => false,
                UnicodeCategory.SpaceSeparator => false,
                _ => true,
            };
        }
    }
}
