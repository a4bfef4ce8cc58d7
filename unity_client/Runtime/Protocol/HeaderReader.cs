#nullable enable
using System;

namespace GStalker.Protocol
{
    /// <summary>Reads a header against a specification into slots that are used again for every message.</summary>
    internal sealed class HeaderReader
    {
        private const double RigidTolerance = 1e-3; // as the server's: float32 poses are off by 1e-6

        internal struct Slot
        {
            public double Number;
            public long Whole; // also: how many texts, truth
            public int Start, Length; // of a text, or of the texts' packed bytes, within the header
            public Numbers Numbers;
            public bool Seen;
        }

        private readonly double[] _numbers = new double[Numbers.Most];

        internal readonly Slot[] Slots = new Slot[64];

        /// <returns>The fault; its kind is None where the header is sound.</returns>
        internal WireFault Read(MessageSpec spec, ReadOnlySpan<byte> header)
        {
            var reader = new MsgpackReader(header);
            if (!reader.TryReadMap(out int count))
                return new WireFault(WireFaultKind.HeaderFormat, spec.Topic);
            if (count != spec.Fields.Length)
                return new WireFault(WireFaultKind.Fields, spec.Topic);
            for (int i = 0; i < count; i++)
                Slots[i].Seen = false;
            for (int i = 0; i < count; i++)
            {
                if (!reader.TryReadText(out int start, out int length))
                    return new WireFault(WireFaultKind.HeaderFormat, spec.Topic);
                int place = Find(spec.Fields, header.Slice(start, length), i);
                if (place < 0 || Slots[place].Seen)
                    return new WireFault(WireFaultKind.Fields, spec.Topic);
                Slots[place].Seen = true;
                WireFault fault = ReadValue(spec, spec.Fields[place], ref Slots[place], header, ref reader);
                if (fault.Kind != WireFaultKind.None)
                    return fault;
            }
            return reader.AtEnd ? default : new WireFault(WireFaultKind.HeaderFormat, spec.Topic);
        }

        // Senders keep the table's order, so the search begins where the field should be.
        private static int Find(FieldSpec[] fields, ReadOnlySpan<byte> name, int expected)
        {
            for (int i = 0; i < fields.Length; i++)
            {
                int place = expected + i < fields.Length ? expected + i : expected + i - fields.Length;
                if (name.SequenceEqual(fields[place].NameBytes))
                    return place;
            }
            return -1;
        }

        private WireFault ReadValue(
            MessageSpec spec, FieldSpec field, ref Slot slot, ReadOnlySpan<byte> header, ref MsgpackReader reader)
        {
            switch (field.Kind)
            {
                case FieldKind.Uint:
                    if (!reader.TryReadNumber(out bool isWhole, out slot.Whole, out slot.Number) || !isWhole)
                        return new WireFault(WireFaultKind.Type, spec.Topic, field.Name);
                    return InRange(spec, field, slot.Number);
                case FieldKind.Float:
                    if (!reader.TryReadNumber(out _, out _, out slot.Number))
                        return new WireFault(WireFaultKind.Type, spec.Topic, field.Name);
                    return InRange(spec, field, slot.Number);
                case FieldKind.Bool:
                    if (!reader.TryReadBool(out bool truth))
                        return new WireFault(WireFaultKind.Type, spec.Topic, field.Name);
                    slot.Whole = truth ? 1 : 0;
                    return default;
                case FieldKind.Text:
                    return ReadText(spec, field, out slot.Start, out slot.Length, header, ref reader);
                case FieldKind.Texts:
                    return ReadTexts(spec, field, ref slot, header, ref reader);
                default:
                    return ReadFloats(spec, field, ref slot, ref reader);
            }
        }

        private static WireFault InRange(MessageSpec spec, FieldSpec field, double number)
        {
            if (!(Math.Abs(number) <= double.MaxValue))
                return new WireFault(WireFaultKind.NotFinite, spec.Topic, field.Name);
            if (number < field.Low)
                return new WireFault(WireFaultKind.Range, spec.Topic, field.Name, field.Low, number);
            return number > field.High
                ? new WireFault(WireFaultKind.Range, spec.Topic, field.Name, field.High, number)
                : default;
        }

        private static WireFault ReadText(
            MessageSpec spec, FieldSpec field, out int start, out int length, ReadOnlySpan<byte> header,
            ref MsgpackReader reader)
        {
            if (!reader.TryReadText(out start, out length))
                return new WireFault(WireFaultKind.Type, spec.Topic, field.Name);
            int chars = length > 4 * field.MaxChars ? int.MaxValue : Utf8.CountPrintable(header.Slice(start, length));
            if (chars < 0)
                return new WireFault(WireFaultKind.TextContent, spec.Topic, field.Name);
            return chars > field.MaxChars
                ? new WireFault(WireFaultKind.TextLength, spec.Topic, field.Name, field.MaxChars)
                : default;
        }

        private static WireFault ReadTexts(
            MessageSpec spec, FieldSpec field, ref Slot slot, ReadOnlySpan<byte> header, ref MsgpackReader reader)
        {
            if (!reader.TryReadArray(out int count))
                return new WireFault(WireFaultKind.Type, spec.Topic, field.Name);
            if (count > field.Count)
                return new WireFault(WireFaultKind.Range, spec.Topic, field.Name, field.Count, count);
            slot.Whole = count;
            slot.Start = reader.Position;
            for (int i = 0; i < count; i++)
            {
                WireFault fault = ReadText(spec, field, out _, out _, header, ref reader);
                if (fault.Kind != WireFaultKind.None)
                    return fault;
            }
            slot.Length = reader.Position - slot.Start;
            return default;
        }

        private WireFault ReadFloats(MessageSpec spec, FieldSpec field, ref Slot slot, ref MsgpackReader reader)
        {
            if (!reader.TryReadArray(out int count) || count != field.Count)
                return new WireFault(WireFaultKind.Type, spec.Topic, field.Name);
            for (int i = 0; i < count; i++)
            {
                if (!reader.TryReadNumber(out _, out _, out _numbers[i]))
                    return new WireFault(WireFaultKind.Type, spec.Topic, field.Name);
                WireFault fault = InRange(spec, field, _numbers[i]);
                if (fault.Kind != WireFaultKind.None)
                    return fault;
            }
            slot.Numbers = new Numbers(new ReadOnlySpan<double>(_numbers, 0, count));
            double off = field.IsRigid ? slot.Numbers.DistanceFromRigid() : 0;
            return off <= RigidTolerance
                ? default
                : new WireFault(WireFaultKind.Rigid, spec.Topic, field.Name, RigidTolerance, off);
        }
    }
}
