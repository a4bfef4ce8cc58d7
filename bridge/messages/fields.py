"""What messages are made of: kinds of values and arrays, their limits, and the base of all messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

# A change of any message, field, unit or meaning is a new version; ends of different versions refuse each other.
WIRE_HISTORY = (
    (1, "2026-11-22", "First version: one avatar a server, play and stop."),
    (
        2,
        "2026-11-22",
        "Sessions, pushed speech, face and head controls, clock measurement, snapshots; topics name their session.",
    ),
)
WIRE_VERSION = WIRE_HISTORY[-1][0]

MAGIC = b"GSTK"
TOPIC_BYTES = 16  # topic, ASCII, padded with NUL: fixed, so that what follows stays aligned
PREFIX_BYTES = 32  # topic + magic + version + reserved + two lengths; this layout never changes
PAYLOAD_ALIGNMENT = 16  # payload and each array in it start at a multiple of this, counted from the message's start
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
MAX_HEADER_BYTES = 16 * 1024
MAX_REQUEST_BYTES = 256 * 1024  # what a client may send in one request: a second of stereo at 48 kHz, with room
MAX_UINT = 2**53 - 1  # the largest run of integers that JavaScript holds exactly
MAX_SESSION_ID = 99_999  # five digits and "@" fit behind the longest topic of a publication


@dataclass(frozen=True)
class Value:
    """One value of a message's msgpack header.

    Attributes:
        kind: uint (0 to 2^53 - 1), float (finite), bool, text, floats (a list of `count` finite floats), or texts (a
            list of at most `count` texts).
        doc, unit, space: for the tables.
        count: how many floats, or the most texts.
        low, high: allowed range of a number, or of every number of a list, both ends included.
        max_chars: longest text.
        rigid: the floats are the first three rows of a rigid transform, row by row.
        since: wire version that brought the field.
    """

    kind: str
    doc: str
    unit: str = ""
    space: str = ""
    count: int = 1
    low: float | None = None
    high: float | None = None
    max_chars: int = 0
    rigid: bool = False
    since: int = 1


@dataclass(frozen=True)
class Array:
    """One array of a message's payload.

    Attributes:
        dtype: little-endian NumPy type.
        shape: each axis a number or the name of a header field that gives it.
    """

    dtype: str
    shape: tuple[str | int, ...]
    doc: str
    unit: str = ""
    space: str = ""
    since: int = 1


@dataclass(frozen=True, eq=False)
class Message:
    """Base of all messages: the topic names the type, the docstring's first line is its row in the tables."""

    TOPIC: ClassVar[str] = ""
    CHANNEL: ClassVar[str] = ""  # "request" (DEALER to ROUTER), "answer" (back), "publication" (XPUB to SUB)


@dataclass(frozen=True, eq=False)
class Publication(Message):
    """Base of what a session publishes; on the wire its topic is `TOPIC@session_id`, for instance `audio@3`."""

    CHANNEL = "publication"


def whole(doc: str, unit: str = "", *, low: int = 0, high: int = MAX_UINT, since: int = 1) -> Value:
    """A whole number."""
    return Value("uint", doc, unit, low=low, high=high, since=since)


def number(doc: str, unit: str = "", *, low: float | None = None, high: float | None = None, since: int = 1) -> Value:
    """A finite number."""
    return Value("float", doc, unit, low=low, high=high, since=since)


def numbers(
    count: int,
    doc: str,
    unit: str = "",
    space: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    since: int = 1,
) -> Value:
    """A list of so many finite numbers."""
    return Value("floats", doc, unit, space, count=count, low=low, high=high, since=since)


def truth(doc: str, since: int = 1) -> Value:
    """True or false."""
    return Value("bool", doc, since=since)


def pose(doc: str, space: str) -> Value:
    """A rigid transform."""
    return Value("floats", doc, "m", space, count=12, rigid=True)


def text(doc: str, max_chars: int = 200, since: int = 1) -> Value:
    """A text."""
    return Value("text", doc, max_chars=max_chars, since=since)


def texts(count: int, doc: str, max_chars: int = 64, since: int = 1) -> Value:
    """A list of at most so many texts."""
    return Value("texts", doc, count=count, max_chars=max_chars, since=since)


REQUEST_ID = whole("Chosen by the client, repeated in the answer; 0 where a request could not be read.")
SESSION_ID = whole("Which session.", high=MAX_SESSION_ID, since=2)
BLEND_S = number("How long the change takes; 0 for at once.", "s", low=0.0, high=10.0, since=2)
SPEECH_ID = whole("Number of the utterance within the session, from 0.")
