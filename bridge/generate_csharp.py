"""The wire schema as C#, for the Unity client: one file a message in unity_client/Runtime/Protocol/Generated.

A message becomes a `ref struct`: values by name, arrays as spans over the received bytes. A request has a `Write`, too.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable

from gstalker.bridge import schema, transport
from gstalker.bridge.schema import Array, Message, Value, wire_specs
from gstalker.kernels import quantise

FOLDER = "unity_client/Runtime/Protocol/Generated"
_HEAD = """\
// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable
"""
_LIMITS = (
    *("WIRE_VERSION", "TOPIC_BYTES", "PREFIX_BYTES", "PAYLOAD_ALIGNMENT"),
    *("MAX_MESSAGE_BYTES", "MAX_HEADER_BYTES", "MAX_REQUEST_BYTES", "MAX_SESSION_ID", "MAX_UINT"),
)
_CODES = ("BYTES_PER_MOVER", "POSITION_CODES", "ROTATION_ZERO_CODE", "LOG_SCALE_CODES")
_SOCKETS = (
    *("HANDSHAKE_MS", "HEARTBEAT_EVERY_MS", "HEARTBEAT_TIMEOUT_MS", "CONNECT_MS"),
    *("CONTROL_QUEUE", "RECEIVING_QUEUE", "REQUEST_BUFFER_BYTES"),
)
_ELEMENT = {"<f4": "float", "<i2": "short", "|u1": "byte"}
_INT_MAX = 2**31 - 1
_KEYWORDS = ("private",)


def csharp_files() -> dict[str, Callable[[str], str]]:
    """Path from the repository's root -> what makes the file; what was there before does not matter."""
    files: dict[str, Callable[[str], str]] = {
        f"{FOLDER}/Wire.cs": wire_class,
        f"{FOLDER}/MessageKind.cs": message_kinds,
    }
    for message in schema.MESSAGES.values():
        files[f"{FOLDER}/{message.__name__}.cs"] = functools.partial(message_struct, message)
    return files


def wire_class(_before: str = "") -> str:
    """Every number and name that both ends must agree on."""
    numbers = [(name, getattr(schema, name)) for name in _LIMITS]
    numbers += [(name, getattr(quantise, name)) for name in _CODES]
    numbers += [(name, getattr(transport, name)) for name in _SOCKETS]
    numbers += [("RECONNECT_FIRST_MS", transport.RECONNECT_MS[0]), ("RECONNECT_LONGEST_MS", transport.RECONNECT_MS[1])]
    numbers += [("RECEIVE_BUFFER_BYTES", transport.SEND_BUFFER_BYTES[1])]
    lines = [_HEAD, "namespace GStalker.Protocol", "{"]
    lines += ["    /// <summary>Numbers and names that both ends of the wire agree on.</summary>"]
    lines += ["    public static class Wire", "    {"]
    lines += [f"        public const {_number_type(v)} {_pascal(name.lower())} = {v};" for name, v in numbers]
    lines += [f"        public const string Magic = {json.dumps(schema.MAGIC.decode('ascii'))};", "    }", ""]
    lines += ["    /// <summary>Why a server refuses a request (Refusal.Code).</summary>"]
    lines += ["    public static class RefusalCode", "    {"]
    for code, text in schema.REFUSAL_CODES.items():
        lines += [
            f"        /// <summary>{_xml(text)}</summary>",
            f"        public const string {_pascal(code)} = {json.dumps(code)};",
        ]
    return "\n".join([*lines, "    }", "}", ""])


def message_kinds(_before: str = "") -> str:
    """All messages in one enumeration, and their specifications in the same order."""
    names = [m.__name__ for m in schema.MESSAGES.values()]
    lines = [_HEAD, "namespace GStalker.Protocol", "{"]
    lines += ["    /// <summary>Every message of this wire version.</summary>", "    public enum MessageKind", "    {"]
    lines += [f"        {name}," for name in names]
    lines += ["    }", "", "    /// <summary>What each message is made of, by its kind.</summary>"]
    lines += [
        "    public static class MessageSpecs",
        "    {",
        "        public static readonly MessageSpec[] All =",
        "        {",
    ]
    lines += [f"            {name}.Spec," for name in names]
    return "\n".join([*lines, "        };", "    }", "}", ""])


def message_struct(message: type[Message], _before: str = "") -> str:
    """One message: its specification, its fields, and how it is written where it is a request."""
    specs = wire_specs(message)
    values = {n: s for n, s in specs.items() if isinstance(s, Value)}
    arrays = {n: s for n, s in specs.items() if isinstance(s, Array)}
    name = message.__name__
    lines = [_HEAD, "using System;", "", "namespace GStalker.Protocol", "{"]
    lines += [f"    /// <summary>{_xml((message.__doc__ or '').splitlines()[0])}</summary>"]
    lines += [f"    public readonly ref struct {name}", "    {"]
    lines += [f"        public const string Topic = {json.dumps(message.TOPIC)};", ""]
    lines += ["        public static readonly MessageSpec Spec = new MessageSpec("]
    lines += [f"            MessageKind.{name}, Topic, {'true' if message.CHANNEL == 'publication' else 'false'},"]
    lines += ["            new[]", "            {"]
    lines += [f"                {_value_spec(n, s)}," for n, s in values.items()]
    lines += ["            },"]
    if arrays:
        order = list(values)
        lines += ["            new[]", "            {"]
        lines += [f"                {_array_spec(n, s, order)}," for n, s in arrays.items()]
        lines += ["            });", ""]
    else:
        lines += ["            Array.Empty<ArraySpec>());", ""]
    for n, s in specs.items():
        lines += [
            f"        /// <summary>{_xml(_told(s))}</summary>",
            f"        public readonly {_type(s)} {_pascal(n)};",
        ]
    lines += ["", "        /// <summary>The message that the decoder has just read from these bytes.</summary>"]
    lines += [f"        public {name}(MessageDecoder decoder, ReadOnlySpan<byte> message)", "        {"]
    lines += ["            decoder.Expect(Spec);"]
    lines += [f"            {_pascal(n)} = {_getter(s, i)};" for i, (n, s) in enumerate(values.items())]
    lines += [f"            {_pascal(n)} = {_array_getter(s, i)};" for i, (n, s) in enumerate(arrays.items())]
    lines += ["        }"]
    if message.CHANNEL == "request":
        lines += ["", *_writer(values, arrays)]
    return "\n".join([*lines, "    }", "}", ""])


def _writer(values: dict[str, Value], arrays: dict[str, Array]) -> list[str]:
    arguments = [f"{_argument_type(s)} {_camel(n)}" for n, s in (*values.items(), *arrays.items())]
    lines = [
        "        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>"
    ]
    lines += [f"        public static void Write(RequestBuffer buffer, {', '.join(arguments)})", "        {"]
    lines += ["            buffer.Begin(Spec);"]
    lines += [f"            buffer.{_PUT[s.kind]}({_camel(n)});" for n, s in values.items()]
    lines += [f"            buffer.PutArray({_camel(n)});" for n in arrays]
    return [*lines, "            buffer.End();", "        }"]


_PUT = {"uint": "PutUint", "float": "PutFloat", "bool": "PutBool", "text": "PutText", "floats": "PutFloats"}


def _value_spec(name: str, spec: Value) -> str:
    quoted = json.dumps(name)
    low, high = _bound(spec.low, "double.MinValue"), _bound(spec.high, "double.MaxValue")
    if spec.kind == "uint":
        return f"FieldSpec.Uint({quoted}, {int(spec.low or 0)}, {int(spec.high or schema.MAX_UINT)})"
    if spec.kind == "float":
        return f"FieldSpec.Float({quoted}, {low}, {high})"
    if spec.kind == "bool":
        return f"FieldSpec.Bool({quoted})"
    if spec.kind == "text":
        return f"FieldSpec.Text({quoted}, {spec.max_chars})"
    if spec.kind == "texts":
        return f"FieldSpec.Texts({quoted}, {spec.count}, {spec.max_chars})"
    if spec.rigid:
        return f"FieldSpec.Rigid({quoted})"
    return f"FieldSpec.Floats({quoted}, {spec.count}, {low}, {high})"


def _array_spec(name: str, spec: Array, fields: list[str]) -> str:
    """Axes given by a header field are that field's place, written ~place; numbers stand for themselves."""
    axes = ", ".join(f"~{fields.index(axis)}" if isinstance(axis, str) else str(axis) for axis in spec.shape)
    return f"new ArraySpec({json.dumps(name)}, ElementKind.{_pascal(_ELEMENT[spec.dtype])}, {axes})"


def _bound(value: float | None, none: str) -> str:
    return none if value is None else repr(float(value))


def _type(spec: Value | Array) -> str:
    if isinstance(spec, Array):
        return f"ReadOnlySpan<{_ELEMENT[spec.dtype]}>"
    if spec.kind == "uint":
        return _number_type(int(spec.high or 0))
    return {"float": "double", "bool": "bool", "text": "Utf8Text", "texts": "TextList", "floats": "Numbers"}[spec.kind]


def _argument_type(spec: Value | Array) -> str:
    if isinstance(spec, Value) and spec.kind == "text":
        return "string"
    return _type(spec)


def _getter(spec: Value, place: int) -> str:
    if spec.kind == "uint":
        return f"{'(int)' if _type(spec) == 'int' else ''}decoder.Whole({place})"
    if spec.kind == "text":
        return f"decoder.Text({place}, message)"
    if spec.kind == "texts":
        return f"decoder.Texts({place}, message)"
    return {"float": f"decoder.Number({place})", "bool": f"decoder.Truth({place})"}.get(
        spec.kind, f"decoder.Numbers({place})"
    )


def _array_getter(spec: Array, place: int) -> str:
    kind = {"<f4": "Floats", "<i2": "Shorts", "|u1": "Bytes"}[spec.dtype]
    return f"decoder.{kind}({place}, message)"


def _number_type(value: int) -> str:
    return "int" if value <= _INT_MAX else "long"


def _told(spec: Value | Array) -> str:
    unit = ", ".join(word for word in (spec.unit, spec.space) if word)
    if isinstance(spec, Array):
        shape = " x ".join(_pascal(a) if isinstance(a, str) else str(a) for a in spec.shape)
        unit = ", ".join(word for word in (shape, unit) if word)
    return f"{spec.doc} ({unit})" if unit else spec.doc


def _pascal(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _camel(name: str) -> str:
    pascal = _pascal(name)
    camel = pascal[0].lower() + pascal[1:]
    return f"@{camel}" if camel in _KEYWORDS else camel


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
