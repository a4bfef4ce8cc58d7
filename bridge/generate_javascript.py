"""The wire schema as a JavaScript module, for the browser client: web_client/wire/schema.js."""

from __future__ import annotations

import dataclasses
import json

from gstalker.bridge import schema
from gstalker.bridge.schema import Array, Message, Value, wire_specs
from gstalker.kernels import quantise

_HEAD = """\
// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
"""
_LIMITS = (
    "WIRE_VERSION",
    "TOPIC_BYTES",
    "PREFIX_BYTES",
    "PAYLOAD_ALIGNMENT",
    "MAX_MESSAGE_BYTES",
    "MAX_HEADER_BYTES",
    "MAX_REQUEST_BYTES",
)
_CODES = ("BYTES_PER_MOVER", "POSITION_CODES", "ROTATION_ZERO_CODE", "LOG_SCALE_CODES")
_FOR_TABLES_ONLY = ("doc", "unit", "space", "since")


def javascript_module(_before: str = "") -> str:
    """web_client/wire/schema.js, whole; what was there before does not matter."""
    parts = [_HEAD]
    parts += [f"export const {name} = {getattr(schema, name)};" for name in _LIMITS]
    parts += [f"export const MAGIC = {json.dumps(schema.MAGIC.decode('ascii'))};"]
    parts += [f"export const {name} = {getattr(quantise, name)};" for name in _CODES]
    parts += ["", "/** Every message by its topic: fields of the header in order, then arrays of the payload. */"]
    parts += ["export const MESSAGES = {", *(_message(m) for m in schema.MESSAGES.values()), "};", ""]
    return "\n".join(parts)


def _message(message: type[Message]) -> str:
    specs = wire_specs(message)
    lines = [f"  {json.dumps(message.TOPIC)}: {{", f"    channel: {json.dumps(message.CHANNEL)},", "    values: {"]
    lines += [f"      {name}: {_literal(spec)}," for name, spec in specs.items() if isinstance(spec, Value)]
    lines += ["    },", "    arrays: {"]
    lines += [f"      {name}: {_literal(spec)}," for name, spec in specs.items() if isinstance(spec, Array)]
    return "\n".join([*lines, "    },", "  },"])


def _literal(spec: Value | Array) -> str:
    """An object of what differs from the default, without what only the tables tell."""
    told = {}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if field.name not in _FOR_TABLES_ONLY and (field.default is dataclasses.MISSING or value != field.default):
            told[field.name] = value
    return "{ " + ", ".join(f"{name}: {json.dumps(value)}" for name, value in told.items()) + " }"
