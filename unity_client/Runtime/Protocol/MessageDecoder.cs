#nullable enable
using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace GStalker.Protocol
{
    /// <summary>
    /// Bytes to messages, strictly, without garbage: what is not exactly a message of this wire version is refused.
    /// One decoder serves one thread; the values of the last message stay in it until the next.
    /// </summary>
    public sealed class MessageDecoder
    {
        private readonly HeaderReader _header = new HeaderReader();
        private readonly int[] _arrayStarts = new int[16];
        private readonly int[] _arrayBytes = new int[16];
        private int _headerStart;
        private MessageSpec? _spec;

        /// <summary>Read and check a message. Then `new FrameQ16(decoder, message)` and its like give its fields.</summary>
        public bool TryDecode(ReadOnlySpan<byte> message, out MessageKind kind, out WireFault fault)
        {
            _spec = null;
            kind = default;
            fault = Check(message, out MessageSpec? spec);
            if (fault.Kind != WireFaultKind.None)
                return false;
            _spec = spec;
            kind = spec!.Kind;
            return true;
        }

        private WireFault Check(ReadOnlySpan<byte> message, out MessageSpec? spec)
        {
            spec = null;
            if (message.Length < Wire.PrefixBytes || message.Length > Wire.MaxMessageBytes)
                return new WireFault(WireFaultKind.Size, "message", "", Wire.MaxMessageBytes, message.Length);
            if (BinaryPrimitives.ReadUInt32LittleEndian(message.Slice(16)) != 0x4B545347) // "GSTK"
                return new WireFault(WireFaultKind.Magic, "message");
            int version = BinaryPrimitives.ReadUInt16LittleEndian(message.Slice(20));
            if (version != Wire.WireVersion)
                return new WireFault(WireFaultKind.Version, "message", "", Wire.WireVersion, version);
            spec = FindSpec(message.Slice(0, Wire.TopicBytes));
            if (spec == null)
                return new WireFault(WireFaultKind.Topic, "message");
            int reserved = BinaryPrimitives.ReadUInt16LittleEndian(message.Slice(22));
            if (reserved != 0)
                return new WireFault(WireFaultKind.Reserved, spec.Topic, "", 0, reserved);
            uint headerBytes = BinaryPrimitives.ReadUInt32LittleEndian(message.Slice(24));
            uint payloadBytes = BinaryPrimitives.ReadUInt32LittleEndian(message.Slice(28));
            if (headerBytes > Wire.MaxHeaderBytes)
                return new WireFault(
                    WireFaultKind.HeaderSize, spec.Topic, "", Wire.MaxHeaderBytes, headerBytes);
            int headerEnd = Wire.PrefixBytes + (int)headerBytes;
            int payloadStart = Aligned(headerEnd);
            if (payloadStart + (long)payloadBytes != message.Length)
                return new WireFault(
                    WireFaultKind.TotalSize, spec.Topic, "", payloadStart + (double)payloadBytes, message.Length);
            if (!IsZero(message.Slice(headerEnd, payloadStart - headerEnd)))
                return new WireFault(WireFaultKind.Padding, spec.Topic);
            _headerStart = Wire.PrefixBytes;
            WireFault fault = _header.Read(spec, message.Slice(_headerStart, (int)headerBytes));
            if (fault.Kind != WireFaultKind.None)
                return fault;
            long session = spec.SessionField >= 0 ? _header.Slots[spec.SessionField].Whole : 0;
            Span<byte> topic = stackalloc byte[Wire.TopicBytes];
            spec.WriteTopic(topic, session);
            if (!topic.SequenceEqual(message.Slice(0, Wire.TopicBytes)))
                return new WireFault(WireFaultKind.Session, spec.Topic, "", session);
            return CheckPayload(spec, message, payloadStart);
        }

        private static MessageSpec? FindSpec(ReadOnlySpan<byte> topic)
        {
            int end = topic.IndexOf((byte)'@');
            if (end < 0)
                end = topic.IndexOf((byte)0);
            ReadOnlySpan<byte> name = end < 0 ? topic : topic.Slice(0, end);
            foreach (MessageSpec spec in MessageSpecs.All)
            {
                if (name.SequenceEqual(spec.TopicBytes))
                    return spec;
            }
            return null;
        }

        private WireFault CheckPayload(MessageSpec spec, ReadOnlySpan<byte> message, int start)
        {
            int end = start;
            for (int i = 0; i < spec.Arrays.Length; i++)
            {
                ArraySpec array = spec.Arrays[i];
                double bytes = (int)array.Element; // a double: no product of any header can overflow it
                foreach (int axis in array.Axes)
                    bytes *= axis >= 0 ? axis : _header.Slots[~axis].Whole;
                int from = Aligned(end);
                if (from + bytes > message.Length)
                    return new WireFault(
                        WireFaultKind.Payload, spec.Topic, array.Name, from + bytes - start, message.Length - start);
                if (!IsZero(message.Slice(end, from - end)))
                    return new WireFault(WireFaultKind.PayloadPadding, spec.Topic, array.Name);
                _arrayStarts[i] = from;
                _arrayBytes[i] = (int)bytes;
                end = from + (int)bytes;
                if (array.Element == ElementKind.Float)
                {
                    int bad = FirstNotFinite(MemoryMarshal.Cast<byte, uint>(message.Slice(from, (int)bytes)));
                    if (bad >= 0)
                        return new WireFault(WireFaultKind.NotFinite, spec.Topic, array.Name, 0, bad);
                }
            }
            return end == message.Length
                ? default
                : new WireFault(WireFaultKind.Payload, spec.Topic, "", end - start, message.Length - start);
        }

        private static int FirstNotFinite(ReadOnlySpan<uint> bits)
        {
            for (int i = 0; i < bits.Length; i++)
            {
                if ((bits[i] & 0x7F800000) == 0x7F800000)
                    return i;
            }
            return -1;
        }

        private static bool IsZero(ReadOnlySpan<byte> bytes)
        {
            foreach (byte b in bytes)
            {
                if (b != 0)
                    return false;
            }
            return true;
        }

        internal static int Aligned(int offset) =>
            (offset + Wire.PayloadAlignment - 1) / Wire.PayloadAlignment * Wire.PayloadAlignment;

        /// <summary>For the generated messages: that the last message was of this kind.</summary>
        public void Expect(MessageSpec spec)
        {
            if (!ReferenceEquals(spec, _spec))
                throw new WireException($"message: expected {spec.Topic}, got {_spec?.Topic ?? "none"}.");
        }

        public long Whole(int field) => _header.Slots[field].Whole;

        public double Number(int field) => _header.Slots[field].Number;

        public bool Truth(int field) => _header.Slots[field].Whole != 0;

        public Numbers Numbers(int field) => _header.Slots[field].Numbers;

        public Utf8Text Text(int field, ReadOnlySpan<byte> message) => new Utf8Text(InHeader(field, message));

        public TextList Texts(int field, ReadOnlySpan<byte> message) =>
            new TextList(InHeader(field, message), (int)_header.Slots[field].Whole);

        public ReadOnlySpan<byte> Bytes(int array, ReadOnlySpan<byte> message) =>
            message.Slice(_arrayStarts[array], _arrayBytes[array]);

        public ReadOnlySpan<short> Shorts(int array, ReadOnlySpan<byte> message) =>
            MemoryMarshal.Cast<byte, short>(Bytes(array, message));

        public ReadOnlySpan<float> Floats(int array, ReadOnlySpan<byte> message) =>
            MemoryMarshal.Cast<byte, float>(Bytes(array, message));

        private ReadOnlySpan<byte> InHeader(int field, ReadOnlySpan<byte> message) =>
            message.Slice(_headerStart + _header.Slots[field].Start, _header.Slots[field].Length);
    }
}
