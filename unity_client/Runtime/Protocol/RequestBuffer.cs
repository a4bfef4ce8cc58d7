#nullable enable
using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace GStalker.Protocol
{
    /// <summary>One request being written; used again for the next. Byte for byte what Python's codec writes.</summary>
    public sealed class RequestBuffer
    {
        private byte[] _bytes = new byte[4096];
        private int _end;
        private int _field, _array;
        private int _headerEnd, _payloadStart;
        private readonly long[] _wholes = new long[64];
        private MessageSpec _spec = Hello.Spec;

        /// <summary>The finished message; valid until the next is begun.</summary>
        public ReadOnlySpan<byte> Message => new ReadOnlySpan<byte>(_bytes, 0, _end);

        internal void Begin(MessageSpec spec, long sessionId = 0)
        {
            _spec = spec;
            _field = _array = 0;
            _payloadStart = 0;
            _end = 0;
            Span<byte> prefix = Take(Wire.PrefixBytes);
            prefix.Clear();
            spec.WriteTopic(prefix, sessionId);
            BinaryPrimitives.WriteUInt32LittleEndian(prefix.Slice(16), 0x4B545347); // "GSTK"
            BinaryPrimitives.WriteUInt16LittleEndian(prefix.Slice(20), Wire.WireVersion);
            PutCount(spec.Fields.Length, 0x80, 0xDE);
        }

        internal void PutUint(long value)
        {
            FieldSpec field = Next(FieldKind.Uint);
            CheckRange(field, value);
            _wholes[_field - 1] = value;
            if (value < 0x80)
                Take(1)[0] = (byte)value;
            else if (value <= byte.MaxValue)
                Head(0xCC, 1)[0] = (byte)value;
            else if (value <= ushort.MaxValue)
                BinaryPrimitives.WriteUInt16BigEndian(Head(0xCD, 2), (ushort)value);
            else if (value <= uint.MaxValue)
                BinaryPrimitives.WriteUInt32BigEndian(Head(0xCE, 4), (uint)value);
            else
                BinaryPrimitives.WriteUInt64BigEndian(Head(0xCF, 8), (ulong)value);
        }

        internal void PutFloat(double value)
        {
            CheckRange(Next(FieldKind.Float), value);
            PutDouble(value);
        }

        internal void PutBool(bool value)
        {
            Next(FieldKind.Bool);
            Take(1)[0] = value ? (byte)0xC3 : (byte)0xC2;
        }

        internal void PutText(string value)
        {
            FieldSpec field = Next(FieldKind.Text);
            byte[] utf8 = Encoding.UTF8.GetBytes(value ?? "");
            int chars = Utf8.CountPrintable(utf8);
            if (chars < 0 || chars > field.MaxChars)
                throw new WireException(
                    $"{_spec.Topic}.{field.Name}: expected at most {field.MaxChars} printable characters, got another text.");
            PutName(utf8);
        }

        internal void PutFloats(Numbers values)
        {
            FieldSpec field = Next(FieldKind.Floats);
            if (values.Count != field.Count)
                throw new WireException($"{_spec.Topic}.{field.Name}: expected {field.Count} numbers, got {values.Count}.");
            PutCount(values.Count, 0x90, 0xDC);
            for (int i = 0; i < values.Count; i++)
            {
                CheckRange(field, values[i]);
                PutDouble(values[i]);
            }
        }

        internal void PutArray(ReadOnlySpan<byte> values) => PutElements(ElementKind.Byte, values);

        internal void PutArray(ReadOnlySpan<short> values) => PutElements(ElementKind.Short, MemoryMarshal.AsBytes(values));

        internal void PutArray(ReadOnlySpan<float> values)
        {
            foreach (float value in values)
            {
                if (float.IsNaN(value) || float.IsInfinity(value))
                    throw new WireException($"{_spec.Topic}: expected finite values, got {value}.");
            }
            PutElements(ElementKind.Float, MemoryMarshal.AsBytes(values));
        }

        internal void End()
        {
            if (_payloadStart == 0)
                StartPayload();
            Span<byte> prefix = _bytes.AsSpan(0, Wire.PrefixBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(prefix.Slice(24), (uint)(_headerEnd - Wire.PrefixBytes));
            BinaryPrimitives.WriteUInt32LittleEndian(prefix.Slice(28), (uint)(_end - _payloadStart));
        }

        private void PutElements(ElementKind element, ReadOnlySpan<byte> bytes)
        {
            if (_payloadStart == 0)
                StartPayload();
            ArraySpec array = _spec.Arrays[_array++];
            double expected = (int)element;
            foreach (int axis in array.Axes)
                expected *= axis >= 0 ? axis : _wholes[~axis];
            if (array.Element != element || expected != bytes.Length)
                throw new WireException($"{_spec.Topic}.{array.Name}: expected {expected} bytes, got {bytes.Length}.");
            Align();
            bytes.CopyTo(Take(bytes.Length));
        }

        private void StartPayload()
        {
            _headerEnd = _end;
            Align();
            _payloadStart = _end;
        }

        private void Align()
        {
            Take(MessageDecoder.Aligned(_end) - _end).Clear();
        }

        private FieldSpec Next(FieldKind kind)
        {
            FieldSpec field = _spec.Fields[_field++];
            if (field.Kind != kind)
                throw new InvalidOperationException($"{_spec.Topic}.{field.Name} is {field.Kind}, not {kind}.");
            PutName(field.NameBytes);
            return field;
        }

        private void PutName(ReadOnlySpan<byte> utf8)
        {
            if (utf8.Length < 32)
                Take(1)[0] = (byte)(0xA0 | utf8.Length);
            else if (utf8.Length <= byte.MaxValue)
                Head(0xD9, 1)[0] = (byte)utf8.Length;
            else
                BinaryPrimitives.WriteUInt16BigEndian(Head(0xDA, 2), (ushort)utf8.Length);
            utf8.CopyTo(Take(utf8.Length));
        }

        private void PutCount(int count, int shortHead, int head16)
        {
            if (count < 16)
                Take(1)[0] = (byte)(shortHead | count);
            else
                BinaryPrimitives.WriteUInt16BigEndian(Head(head16, 2), (ushort)count);
        }

        private void PutDouble(double value) =>
            BinaryPrimitives.WriteInt64BigEndian(Head(0xCB, 8), BitConverter.DoubleToInt64Bits(value));

        private void CheckRange(FieldSpec field, double value)
        {
            if (!(value >= field.Low && value <= field.High))
                throw new WireException(
                    $"{_spec.Topic}.{field.Name}: expected {field.Low} to {field.High}, got {value}.");
        }

        private Span<byte> Head(int head, int more)
        {
            Take(1)[0] = (byte)head;
            return Take(more);
        }

        private Span<byte> Take(int count)
        {
            if (_end + count > Wire.MaxRequestBytes)
                throw new WireException($"{_spec.Topic}: expected at most {Wire.MaxRequestBytes} bytes.");
            if (_end + count > _bytes.Length)
                Array.Resize(ref _bytes, Math.Max(2 * _bytes.Length, _end + count));
            _end += count;
            return _bytes.AsSpan(_end - count, count);
        }
    }
}
