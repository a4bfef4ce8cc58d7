#nullable enable
using System;

namespace GStalker.Protocol
{
    /// <summary>A list of texts inside a received message, checked when the message was read.</summary>
    public readonly ref struct TextList
    {
        private readonly ReadOnlySpan<byte> _packed;

        public readonly int Count;

        public TextList(ReadOnlySpan<byte> packed, int count)
        {
            _packed = packed;
            Count = count;
        }

        public string[] ToArray()
        {
            var texts = new string[Count];
            var reader = new MsgpackReader(_packed);
            for (int i = 0; i < Count; i++)
            {
                if (!reader.TryReadText(out int start, out int length))
                    throw new InvalidOperationException("TextList: made from bytes that were not checked.");
                texts[i] = new Utf8Text(_packed.Slice(start, length)).ToString();
            }
            return texts;
        }
    }
}
