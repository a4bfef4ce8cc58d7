#nullable enable
using System;
using System.Text;

namespace GStalker.Protocol
{
    /// <summary>What a header field holds.</summary>
    public enum FieldKind
    {
        Uint,
        Float,
        Bool,
        Text,
        Floats,
        Texts,
    }

    /// <summary>What the elements of a payload array are, little-endian.</summary>
    public enum ElementKind
    {
        Byte = 1,
        Short = 2,
        Float = 4,
    }

    /// <summary>One field of a message's header.</summary>
    public sealed class FieldSpec
    {
        public readonly string Name;
        public readonly byte[] NameBytes;
        public readonly FieldKind Kind;
        public readonly double Low, High;
        public readonly int Count, MaxChars;
        public readonly bool IsRigid;

        private FieldSpec(string name, FieldKind kind, double low, double high, int count, int maxChars, bool rigid)
        {
            Name = name;
            NameBytes = Encoding.UTF8.GetBytes(name);
            Kind = kind;
            Low = low;
            High = high;
            Count = count;
            MaxChars = maxChars;
            IsRigid = rigid;
        }

        public static FieldSpec Uint(string name, long low, long high) =>
            new FieldSpec(name, FieldKind.Uint, low, high, 1, 0, false);

        public static FieldSpec Float(string name, double low, double high) =>
            new FieldSpec(name, FieldKind.Float, low, high, 1, 0, false);

        public static FieldSpec Bool(string name) => new FieldSpec(name, FieldKind.Bool, 0, 1, 1, 0, false);

        public static FieldSpec Text(string name, int maxChars) =>
            new FieldSpec(name, FieldKind.Text, 0, 0, 1, maxChars, false);

        public static FieldSpec Texts(string name, int count, int maxChars) =>
            new FieldSpec(name, FieldKind.Texts, 0, 0, count, maxChars, false);

        public static FieldSpec Floats(string name, int count, double low, double high) =>
            new FieldSpec(name, FieldKind.Floats, low, high, count, 0, false);

        /// <summary>The first three rows of a rigid transform, row by row.</summary>
        public static FieldSpec Rigid(string name) =>
            new FieldSpec(name, FieldKind.Floats, double.MinValue, double.MaxValue, Numbers.Most, 0, true);
    }

    /// <summary>One array of a message's payload.</summary>
    public sealed class ArraySpec
    {
        public readonly string Name;
        public readonly ElementKind Element;

        /// <summary>Each axis a size, or ~place of the header field that gives it.</summary>
        public readonly int[] Axes;

        public ArraySpec(string name, ElementKind element, params int[] axes)
        {
            Name = name;
            Element = element;
            Axes = axes;
        }
    }

    /// <summary>What a message is made of, in wire order.</summary>
    public sealed class MessageSpec
    {
        public readonly MessageKind Kind;
        public readonly string Topic;
        public readonly byte[] TopicBytes;
        public readonly bool IsPublication;
        public readonly FieldSpec[] Fields;
        public readonly ArraySpec[] Arrays;

        /// <summary>Place of session_id among the fields, or -1.</summary>
        public readonly int SessionField;

        public MessageSpec(
            MessageKind kind, string topic, bool publication, FieldSpec[] fields, ArraySpec[] arrays)
        {
            Kind = kind;
            Topic = topic;
            TopicBytes = Encoding.ASCII.GetBytes(topic);
            IsPublication = publication;
            Fields = fields;
            Arrays = arrays;
            SessionField = publication ? Array.FindIndex(fields, f => f.Name == "session_id") : -1;
        }

        /// <summary>
        /// The 16 bytes that a message starts with; of a publication, also the subscription to it.
        /// </summary>
        public void WriteTopic(Span<byte> target, long sessionId)
        {
            target.Slice(0, Wire.TopicBytes).Clear();
            TopicBytes.CopyTo(target);
            if (!IsPublication)
                return;
            int at = TopicBytes.Length;
            target[at++] = (byte)'@';
            int digits = 1;
            for (long rest = sessionId; rest >= 10; rest /= 10)
                digits++;
            for (int place = at + digits - 1; place >= at; place--, sessionId /= 10)
                target[place] = (byte)('0' + sessionId % 10);
        }
    }
}
