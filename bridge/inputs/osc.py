"""OSC packets into messages, strictly: python-osc reads the values, the walk through bundles is bounded here.

python-osc's own reader of packets lets pass what it cannot read and writes a line to the log for each; here the first
such thing refuses the packet, so that a broken or hostile sender costs a count and nothing else.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

from gstalker.runtime.errors import InputError

MAX_BUNDLE_DEPTH = 4
MAX_MESSAGES = 512  # of one packet
_BUNDLE = b"#bundle\0"

OscValue = str | int | float | bool | None


class OscMessage(NamedTuple):
    """An address and what it is given."""

    address: str
    values: tuple[OscValue, ...]


class OscReader:
    """Reads packets; one is enough for any number of them."""

    def __init__(self) -> None:
        """Find python-osc.

        Raises:
            InputError: it is not installed.
        """
        self._types = _python_osc()

    def messages(self, data: bytes) -> list[OscMessage]:
        """All messages of a packet, those of bundles in their order; time tags are let pass.

        Raises:
            ValueError: not sound, nested too deeply, too many messages, or a value of another type than int, float,
                text, true, false or nothing.
        """
        found: list[OscMessage] = []
        self._walk(data, 0, found)
        return found

    def _walk(self, data: bytes, depth: int, found: list[OscMessage]) -> None:
        if not data.startswith(_BUNDLE):
            if len(found) == MAX_MESSAGES:
                raise ValueError(f"expected at most {MAX_MESSAGES} OSC messages in a packet, got more")
            found.append(self._message(data))
            return
        if depth == MAX_BUNDLE_DEPTH:
            raise ValueError(f"expected OSC bundles nested at most {MAX_BUNDLE_DEPTH} deep, got more")
        at = len(_BUNDLE) + 8
        if len(data) < at:
            raise ValueError("expected an OSC bundle with a time tag, the packet ends")
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            at += 4
            if size % 4 or size == 0 or at + size > len(data):
                raise ValueError(f"expected an OSC element of 4, 8, ... bytes, got {size} with {len(data) - at} left")
            self._walk(data[at : at + size], depth + 1, found)
            at += size

    def _message(self, data: bytes) -> OscMessage:
        if not data.startswith(b"/") or len(data) % 4:
            raise ValueError("expected an OSC message that begins with / and fills whole words")
        try:
            address, at = self._types.get_string(data, 0)
            tags, at = self._types.get_string(data, at) if at < len(data) else (",", at)
            if not tags.startswith(","):
                raise ValueError("expected OSC type tags that begin with a comma")
            values: list[OscValue] = []
            for tag in tags[1:]:
                value, at = self._value(tag, data, at)
                values.append(value)
        except self._types.ParseError as error:
            raise ValueError(f"expected a whole OSC message ({error})") from error
        if at != len(data):
            raise ValueError(f"expected an OSC message to end with its values, {len(data) - at} bytes follow")
        return OscMessage(address, tuple(values))

    def _value(self, tag: str, data: bytes, at: int) -> tuple[OscValue, int]:
        if tag in ("T", "F", "N"):
            return {"T": True, "F": False, "N": None}[tag], at
        readers = {"i": "get_int", "h": "get_int64", "f": "get_float", "d": "get_double", "s": "get_string"}
        if tag not in readers:
            raise ValueError(f"expected OSC values of the types i, h, f, d, s, T, F or N, got {tag!r}")
        return getattr(self._types, readers[tag])(data, at)


def _python_osc() -> ModuleType:
    try:
        from pythonosc.parsing import osc_types
    except ModuleNotFoundError as error:
        raise InputError(
            "python-osc: expected the package, which reads VMC and OSC, found none. Run `pip install 'gstalker[osc]'`."
        ) from error
    return osc_types
