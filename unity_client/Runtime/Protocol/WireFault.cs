#nullable enable
using System;
using System.Globalization;

namespace GStalker.Protocol
{
    /// <summary>What was wrong with a message.</summary>
    public enum WireFaultKind
    {
        None,
        Size,
        Magic,
        Version,
        Topic,
        Reserved,
        HeaderSize,
        TotalSize,
        Padding,
        HeaderFormat,
        Fields,
        Type,
        Range,
        TextLength,
        TextContent,
        Rigid,
        Session,
        Payload,
        PayloadPadding,
        NotFinite,
    }

    /// <summary>
    /// Why a message was refused. A value, so that a flood of damaged messages makes no garbage; the line for people
    /// is written when asked for.
    /// </summary>
    public readonly struct WireFault
    {
        public readonly WireFaultKind Kind;
        private readonly string _topic;
        private readonly string _name;
        private readonly double _expected;
        private readonly double _got;

        public WireFault(WireFaultKind kind, string topic, string name = "", double expected = 0, double got = 0)
        {
            Kind = kind;
            _topic = topic;
            _name = name;
            _expected = expected;
            _got = got;
        }

        /// <summary>One line: which message and field, what was expected, what came.</summary>
        public override string ToString()
        {
            string where = string.IsNullOrEmpty(_name) ? _topic : $"{_topic}.{_name}";
            string expected = _expected.ToString(CultureInfo.InvariantCulture);
            string got = _got.ToString(CultureInfo.InvariantCulture);
            return Kind switch
            {
                WireFaultKind.None => "sound",
                WireFaultKind.Size => $"message: expected {Wire.PrefixBytes} to {expected} bytes, got {got}.",
                WireFaultKind.Magic => $"message: expected the magic {Wire.Magic} at byte 16, got something else.",
                WireFaultKind.Version =>
                    $"wire version: expected {expected}, got {got}. Server and client must come from versions of " +
                    "gstalker that speak the same wire version: update the one with the lower number.",
                WireFaultKind.Topic => "message: expected a topic of docs/protocol.md, got another.",
                WireFaultKind.Reserved => $"{where}: expected zero at byte 22, got {got}.",
                WireFaultKind.HeaderSize => $"{where}: expected a header of at most {expected} bytes, got {got}.",
                WireFaultKind.TotalSize =>
                    $"{where}: expected {expected} bytes from a header of its length and a payload, got {got}.",
                WireFaultKind.Padding => $"{where}: expected zeros between header and payload.",
                WireFaultKind.HeaderFormat => $"{where}: expected a msgpack map as header, could not read it.",
                WireFaultKind.Fields => $"{where}: expected exactly the fields of its table, each once.",
                WireFaultKind.Type => $"{where}: expected another type of value.",
                WireFaultKind.Range => $"{where}: expected a value within its limit of {expected}, got {got}.",
                WireFaultKind.TextLength =>
                    $"{where}: expected a text of at most {expected} characters, got a longer one.",
                WireFaultKind.TextContent => $"{where}: expected printable characters and line ends in UTF-8.",
                WireFaultKind.Rigid =>
                    $"{where}: expected the rows of a rigid transform, got a turn that is off by {got}.",
                WireFaultKind.Session => $"{where}: expected the topic of session {expected}, got another.",
                WireFaultKind.Payload => $"{where}: expected a payload of {expected} bytes, got {got}.",
                WireFaultKind.PayloadPadding => $"{where}: expected zeros before it in the payload.",
                WireFaultKind.NotFinite => $"{where}: expected finite values, got another at place {got}.",
                _ => throw new InvalidOperationException($"no words for {Kind}"),
            };
        }
    }

    /// <summary>A message that cannot be sent, or one that is not what the caller took it for.</summary>
    public sealed class WireException : Exception
    {
        public WireException(string reason) : base(reason)
        {
        }
    }
}
