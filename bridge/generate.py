"""Writes what follows from the schema: the tables of docs/protocol.md and the definitions in other languages.

python -m gstalker.bridge.generate            rewrite the files
python -m gstalker.bridge.generate --check    say which would change, exit code 1 if any
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from gstalker.bridge import schema, transport
from gstalker.bridge.generate_csharp import csharp_files
from gstalker.bridge.generate_hlsl import hlsl_definitions
from gstalker.bridge.generate_javascript import javascript_module
from gstalker.bridge.schema import Array, Message, Value, wire_specs
from gstalker.kernels import quantise

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end generated -->)", re.S)
_CHANNELS = {
    "request": "client to server, DEALER to ROUTER",
    "answer": "server to client, ROUTER to DEALER",
    "publication": "server to subscribers, XPUB to SUB",
}


def main(arguments: list[str]) -> int:
    """Rewrite the files, or only compare them."""
    stale = []
    for name, generate in TARGETS.items():
        path = ROOT / name
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        after = generate(before)
        if after != before:
            stale.append(name)
            if "--check" not in arguments:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(after, encoding="utf-8", newline="\n")
    print("\n".join(f"{'stale' if '--check' in arguments else 'written'}: {name}" for name in stale) or "up to date")
    return 1 if stale and "--check" in arguments else 0


def protocol_page(page: str) -> str:
    """docs/protocol.md with its generated blocks filled in anew; what is between them stays.

    Raises:
        ValueError: the page lacks a block, or holds one that is not known.
    """
    blocks = {
        "version": version_table,
        "limits": limits_table,
        "topics": topics_table,
        "messages": message_tables,
        "movers": movers_table,
        "refusals": refusals_table,
    }
    found = {match["name"] for match in _BLOCK.finditer(page)}
    if found != set(blocks):
        raise ValueError(f"docs/protocol.md: expected the blocks {sorted(blocks)}, got {sorted(found)}.")
    return _BLOCK.sub(lambda match: f"{match[1]}{blocks[match['name']]()}\n{match[3]}", page)


TARGETS: dict[str, Callable[[str], str]] = {
    "docs/protocol.md": protocol_page,
    "web_client/wire/schema.js": javascript_module,
    "unity_client/Shaders/GsWire.hlsl": hlsl_definitions,
    **csharp_files(),
}


def version_table() -> str:
    """The dated history of the wire."""
    rows = [[str(number), date, text] for number, date, text in reversed(schema.WIRE_HISTORY)]
    return _table(["wire version", "date", "what changed"], rows)


def limits_table() -> str:
    """Every cap and time limit of both ends."""
    waiting = f"{transport.MAX_WAITING_BYTES} bytes and {transport.MAX_WAITING_S:g} s (or the lead) of frames and sound"
    rows = [
        ["largest message", f"{schema.MAX_MESSAGE_BYTES} bytes", "the connection is closed"],
        ["largest request", f"{schema.MAX_REQUEST_BYTES} bytes", "the connection is closed"],
        ["largest header", f"{schema.MAX_HEADER_BYTES} bytes", "the message is refused"],
        ["largest uint", str(schema.MAX_UINT), "the message is refused"],
        ["publications waiting for one subscriber", waiting, "newer ones are dropped for it"],
        ["requests waiting", f"{transport.CONTROL_QUEUE} messages", "the sender waits"],
        ["connections to one port", str(transport.MAX_CONNECTIONS), "new ones are closed"],
        ["handshake", f"{transport.HANDSHAKE_MS} ms", "the connection is closed"],
        [
            "heartbeat",
            f"every {transport.HEARTBEAT_EVERY_MS} ms, answered within {transport.HEARTBEAT_TIMEOUT_MS} ms",
            "the connection is closed, and tried again",
        ],
        ["reconnecting", f"after {transport.RECONNECT_MS[0]} ms, doubling up to {transport.RECONNECT_MS[1]} ms", ""],
    ]
    return _table(["what", "limit", "beyond it"], rows)


def topics_table() -> str:
    """All messages in one list."""
    rows = [[f"[`{m.TOPIC}`](#{_anchor(m)})", _CHANNELS[m.CHANNEL], _first_line(m)] for m in schema.MESSAGES.values()]
    return _table(["topic", "way", "what it is"], rows)


def message_tables() -> str:
    """Every message with its header fields and payload."""
    return "\n\n".join(_message_section(m) for m in schema.MESSAGES.values())


def movers_table() -> str:
    """The 16 bytes of a mover, from the module that packs them."""
    return "\n".join(line for line in (quantise.__doc__ or "").splitlines() if line.startswith("|"))


def refusals_table() -> str:
    """Refusal codes."""
    return _table(["code", "meaning"], [[f"`{code}`", text] for code, text in schema.REFUSAL_CODES.items()])


def _message_section(message: type[Message]) -> str:
    values = {n: s for n, s in wire_specs(message).items() if isinstance(s, Value)}
    arrays = {n: s for n, s in wire_specs(message).items() if isinstance(s, Array)}
    parts = [f"### `{message.TOPIC}`", f"{_first_line(message)} ({_CHANNELS[message.CHANNEL]}.)"]
    header = [
        [f"`{name}`", _type(value), value.unit, value.space, str(value.since), value.doc]
        for name, value in values.items()
    ]
    parts.append(_table(["header field", "type", "unit", "space", "since", "meaning"], header))
    payload = [
        [
            f"`{name}`",
            _ELEMENT[array.dtype],
            " x ".join(f"`{a}`" if isinstance(a, str) else str(a) for a in array.shape),
            array.unit,
            array.space,
            str(array.since),
            array.doc,
        ]
        for name, array in arrays.items()
    ]
    if payload:
        parts.append(_table(["payload array", "element", "shape", "unit", "space", "since", "meaning"], payload))
    return "\n\n".join(parts)


_ELEMENT = {"<f4": "float32", "<i2": "int16", "|u1": "uint8"}


def _type(value: Value) -> str:
    if value.kind == "text":
        return f"text, up to {value.max_chars}"
    if value.kind == "texts":
        return f"up to {value.count} texts, each up to {value.max_chars}"
    several = f"{value.count} floats" if value.kind == "floats" else value.kind
    if value.rigid:
        return f"{several}, rigid"
    unbounded = (0, schema.MAX_UINT) if value.kind == "uint" else (None, None)
    if (value.low, value.high) == unbounded:
        return several
    low = "" if value.low is None else f"{value.low} "
    if value.high is None or value.high == schema.MAX_UINT:
        return f"{several}, {low}or more"
    return f"{several}, {low}to {value.high}"


def _anchor(message: type[Message]) -> str:
    return re.sub(r"[^\w-]", "", message.TOPIC)


def _first_line(message: type[Message]) -> str:
    return (message.__doc__ or "").splitlines()[0]


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
