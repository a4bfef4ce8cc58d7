"""Every message of the bridge, defined once: fields, types, units, spaces and the version that brought them.

The codec walks these dataclasses, `bridge.generate` writes the tables of docs/protocol.md from them, and other
languages' definitions are to be generated from the same place. Spaces and units: docs/conventions.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, get_type_hints

import numpy as np

# A change of any message, field, unit or meaning is a new version; ends of different versions refuse each other.
WIRE_HISTORY = ((1, "2026-11-22", "First version."),)
WIRE_VERSION = WIRE_HISTORY[-1][0]

MAGIC = b"GSTK"
TOPIC_BYTES = 16  # topic, ASCII, padded with NUL: fixed, so that what follows stays aligned
PREFIX_BYTES = 32  # topic + magic + version + reserved + two lengths; this layout never changes
PAYLOAD_ALIGNMENT = 16  # payload and each array in it start at a multiple of this, counted from the message's start
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
MAX_HEADER_BYTES = 16 * 1024
MAX_REQUEST_BYTES = 4096  # what a client may send in one request
MAX_UINT = 2**53 - 1  # the largest run of integers that JavaScript holds exactly

REFUSAL_CODES = {
    "wire_version": "The two ends speak different wire versions; the reason names both.",
    "malformed": "The request could not be decoded; the reason says what is wrong with it.",
    "not_a_request": "The message is sound, but nothing that a client may send here.",
    "no_speech": "`play` was asked of a server that was started without a sound file.",
}


@dataclass(frozen=True)
class Value:
    """One value of a message's msgpack header.

    Attributes:
        kind: uint (0 to 2^53 - 1), float (finite), bool, text, or floats (a list of `count` finite floats).
        doc, unit, space: for the tables.
        count: how many floats.
        low, high: allowed range of a number, both ends included.
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


def _uint(doc: str, unit: str = "", *, low: int = 0, high: int = MAX_UINT) -> Value:
    return Value("uint", doc, unit, low=low, high=high)


def _float(doc: str, unit: str = "", *, low: float | None = None, high: float | None = None) -> Value:
    return Value("float", doc, unit, low=low, high=high)


def _floats(count: int, doc: str, unit: str = "", space: str = "") -> Value:
    return Value("floats", doc, unit, space, count=count)


def _pose(doc: str, space: str) -> Value:
    return Value("floats", doc, "m", space, count=12, rigid=True)


def _text(doc: str, max_chars: int = 200) -> Value:
    return Value("text", doc, max_chars=max_chars)


_REQUEST_ID = _uint("Chosen by the client, repeated in the answer; 0 where a request could not be read.")
_INDEX = _uint("Frame number on the stream clock, from 0: presentation time times fps.")
_TIME_S = _float("Presentation time on the stream clock.", "s", low=0.0)
_SENT_AT_S = _float("The stream clock when the message was handed to the transport.", "s")
_HEAD_POSE = _pose("Pose of the head.", "avatar <- head")
_TORSO_POSE = _pose("Pose of the torso.", "avatar <- torso")
_MOVER_COUNT = _uint("M, the movers.", high=1_000_000)


@dataclass(frozen=True, eq=False)
class Message:
    """Base of all messages: the topic names the type, the docstring's first line is its row in the tables."""

    TOPIC: ClassVar[str] = ""
    CHANNEL: ClassVar[str] = ""  # "request" (DEALER to ROUTER), "answer" (back), "publication" (XPUB to SUB)


@dataclass(frozen=True, eq=False)
class Hello(Message):
    """The first request of a client; its wire version stands in the prefix, as in every message."""

    TOPIC = "hello"
    CHANNEL = "request"
    request_id: Annotated[int, _REQUEST_ID]
    client_name: Annotated[str, _text("What connects, for the server's log.", 64)]


@dataclass(frozen=True, eq=False)
class Welcome(Message):
    """The answer to hello: who the avatar is, its canonical Gaussians in full precision, camera and backdrop."""

    TOPIC = "welcome"
    CHANNEL = "answer"
    request_id: Annotated[int, _REQUEST_ID]
    server_version: Annotated[str, _text("Version of the gstalker package that serves.", 64)]
    publication_port: Annotated[
        int, _uint("TCP port of the publication, at the host that was greeted.", low=1, high=65535)
    ]
    avatar_name: Annotated[str, _text("Name of the bundle.")]
    bundle_sha256: Annotated[
        str, _text("SHA-256 of the bundle's avatar.json, hexadecimal; it holds the hash of every file.", 64)
    ]
    subject: Annotated[str, _text("Whose likeness it is.", 1000)]
    consent: Annotated[str, _text("How the person shown agreed.", 1000)]
    licence: Annotated[str, _text("Terms of use of the avatar.", 1000)]
    notice: Annotated[str, _text("What viewers must be told: the pictures are synthetic.", 1000)]
    fps: Annotated[int, _uint("Frames a second.", "Hz", low=1, high=240)]
    audio_rate_hz: Annotated[int, _uint("Sample rate of the sound.", "Hz", low=8000, high=48000)]
    lead_s: Annotated[
        float, _float("How long before its presentation time a message is sent.", "s", low=0.0, high=10.0)
    ]
    gaussian_count: Annotated[int, _uint("N, all Gaussians.", low=1, high=1_000_000)]
    mover_count: Annotated[int, _uint("M, those that can move: the first M of the N.", low=0, high=1_000_000)]
    camera_from_avatar: Annotated[tuple[float, ...], _pose("Pose of the bundle's own camera.", "camera <- avatar")]
    K: Annotated[tuple[float, ...], _floats(9, "Intrinsics of that camera, row by row.", "px")]
    width_px: Annotated[int, _uint("Width of its picture, and of the plate.", "px", low=1, high=8192)]
    height_px: Annotated[int, _uint("Height of its picture, and of the plate.", "px", low=1, high=8192)]
    box_position_min_m: Annotated[tuple[float, ...], _floats(3, "Lowest corner of what the movers cover.", "m", "part")]
    box_position_max_m: Annotated[tuple[float, ...], _floats(3, "Highest corner.", "m", "part")]
    box_log_scale_min: Annotated[float, _float("Smallest natural logarithm of a mover's scale in metres.")]
    box_log_scale_max: Annotated[float, _float("Largest.")]
    means: Annotated[np.ndarray, Array("<f4", ("gaussian_count", 3), "Canonical centres.", "m", "part")]
    quats_wxyz: Annotated[
        np.ndarray, Array("<f4", ("gaussian_count", 4), "Rotations from local axes, w first.", "", "part")
    ]
    scales: Annotated[
        np.ndarray, Array("<f4", ("gaussian_count", 3), "Standard deviations, linear.", "m", "local axes")
    ]
    opacities: Annotated[np.ndarray, Array("<f4", ("gaussian_count",), "0 to 1.")]
    sh_coeffs: Annotated[
        np.ndarray, Array("<f4", ("gaussian_count", 1, 3), "Colour: 0.5 + 0.28209479 times this.", "", "display RGB")
    ]
    part_ids: Annotated[
        np.ndarray, Array("|u1", ("gaussian_count",), "0 head, 1 torso: which pose and which part space.")
    ]
    plate: Annotated[
        np.ndarray, Array("|u1", ("height_px", "width_px", 3), "Backdrop, rows from the top.", "", "display RGB")
    ]


@dataclass(frozen=True, eq=False)
class Play(Message):
    """Speak the server's sound from its beginning, as soon as the lead allows. Answered by done."""

    TOPIC = "play"
    CHANNEL = "request"
    request_id: Annotated[int, _REQUEST_ID]


@dataclass(frozen=True, eq=False)
class Stop(Message):
    """Stop speaking and go on idling. Answered by done."""

    TOPIC = "stop"
    CHANNEL = "request"
    request_id: Annotated[int, _REQUEST_ID]


@dataclass(frozen=True, eq=False)
class GetStats(Message):
    """Ask how the server keeps time. Answered by stats."""

    TOPIC = "get_stats"
    CHANNEL = "request"
    request_id: Annotated[int, _REQUEST_ID]


@dataclass(frozen=True, eq=False)
class Done(Message):
    """The request was carried out."""

    TOPIC = "done"
    CHANNEL = "answer"
    request_id: Annotated[int, _REQUEST_ID]


@dataclass(frozen=True, eq=False)
class Stats(Message):
    """How the server keeps time; lateness is counted from the moment a frame was due to leave."""

    TOPIC = "stats"
    CHANNEL = "answer"
    request_id: Annotated[int, _REQUEST_ID]
    stream_time_s: Annotated[float, _float("The stream clock now; negative before the first presentation.", "s")]
    speaking: Annotated[bool, Value("bool", "Whether speech is being sent.")]
    frames_sent: Annotated[int, _uint("Time steps sent; one with both payloads counts once.")]
    frames_late: Annotated[int, _uint("Sent after their presentation time.")]
    frames_dropped: Annotated[int, _uint("Never sent, because they would have been late.")]
    frames_refused: Annotated[int, _uint("Never sent, because a value lay outside the bundle's box.")]
    audio_chunks_sent: Annotated[int, _uint("Sound messages sent.")]
    requests_refused: Annotated[int, _uint("Requests answered by a refusal.")]
    lateness_p50_ms: Annotated[float, _float("Median over the last frames.", "ms")]
    lateness_p99_ms: Annotated[float, _float("99th percentile over the last frames.", "ms")]
    lateness_max_ms: Annotated[float, _float("Worst of the whole run.", "ms")]
    compute_p50_ms: Annotated[float, _float("Networks and packing of one frame, median over the last frames.", "ms")]
    compute_p99_ms: Annotated[float, _float("The same, 99th percentile.", "ms")]


@dataclass(frozen=True, eq=False)
class Refusal(Message):
    """The request was not carried out, and why."""

    TOPIC = "refusal"
    CHANNEL = "answer"
    request_id: Annotated[int, _REQUEST_ID]
    code: Annotated[str, _text("One of the refusal codes.", 32)]
    reason: Annotated[str, _text("For a person: what was expected, what came.", 1000)]


@dataclass(frozen=True, eq=False)
class FrameQ16(Message):
    """One time step: the M movers in 16 bytes each, and the pose of each part."""

    TOPIC = "frame/q16"
    CHANNEL = "publication"
    index: Annotated[int, _INDEX]
    time_s: Annotated[float, _TIME_S]
    sent_at_s: Annotated[float, _SENT_AT_S]
    avatar_from_head: Annotated[tuple[float, ...], _HEAD_POSE]
    avatar_from_torso: Annotated[tuple[float, ...], _TORSO_POSE]
    mover_count: Annotated[int, _MOVER_COUNT]
    movers: Annotated[np.ndarray, Array("|u1", ("mover_count", 16), "Packed movers, layout below.", "", "part")]


@dataclass(frozen=True, eq=False)
class FrameF32(Message):
    """The same time step unquantised, for validation: computed only while somebody subscribes to it."""

    TOPIC = "frame/f32"
    CHANNEL = "publication"
    index: Annotated[int, _INDEX]
    time_s: Annotated[float, _TIME_S]
    sent_at_s: Annotated[float, _SENT_AT_S]
    avatar_from_head: Annotated[tuple[float, ...], _HEAD_POSE]
    avatar_from_torso: Annotated[tuple[float, ...], _TORSO_POSE]
    mover_count: Annotated[int, _MOVER_COUNT]
    means: Annotated[np.ndarray, Array("<f4", ("mover_count", 3), "Centres.", "m", "part")]
    quats_wxyz: Annotated[np.ndarray, Array("<f4", ("mover_count", 4), "Rotations, w first, unit length.", "", "part")]
    scales: Annotated[np.ndarray, Array("<f4", ("mover_count", 3), "Standard deviations, linear.", "m", "local axes")]
    opacities: Annotated[np.ndarray, Array("<f4", ("mover_count",), "0 to 1.")]


@dataclass(frozen=True, eq=False)
class Audio(Message):
    """A piece of the sound that belongs to the frames of the same presentation times."""

    TOPIC = "audio"
    CHANNEL = "publication"
    sequence: Annotated[int, _uint("Number of the piece, from 0 without gaps: a gap is a lost piece.")]
    speech_id: Annotated[int, _uint("Number of the utterance, from 0.")]
    time_s: Annotated[float, _float("Presentation time of the first sample on the stream clock.", "s", low=0.0)]
    sent_at_s: Annotated[float, _SENT_AT_S]
    sample_count: Annotated[int, _uint("S; at most one second.", low=1, high=48_000)]
    pcm: Annotated[np.ndarray, Array("<i2", ("sample_count",), "Mono PCM, audio_rate_hz of the welcome.", "1/32768")]


@dataclass(frozen=True, eq=False)
class SpeechEnd(Message):
    """The utterance is over, or was stopped; frames go on, idling."""

    TOPIC = "event/speech_end"
    CHANNEL = "publication"
    speech_id: Annotated[int, _uint("Number of the utterance, from 0.")]
    time_s: Annotated[float, _float("Presentation time at which its sound ends.", "s", low=0.0)]


@dataclass(frozen=True, eq=False)
class StreamEnd(Message):
    """The server is about to stop; nothing follows."""

    TOPIC = "event/stream_end"
    CHANNEL = "publication"
    frame_count: Annotated[int, _uint("Time steps sent.")]
    time_s: Annotated[float, _float("Presentation time at which the stream ends.", "s", low=0.0)]


MESSAGES: dict[str, type[Message]] = {
    m.TOPIC: m
    for m in (
        *(Hello, Welcome, Play, Stop, GetStats, Done, Stats, Refusal),
        *(FrameQ16, FrameF32, Audio, SpeechEnd, StreamEnd),
    )
}


def wire_specs(message: type[Message]) -> dict[str, Value | Array]:
    """Every field of a message in wire order: first those of the header, then the arrays of the payload."""
    hints = get_type_hints(message, include_extras=True)
    return {f.name: hints[f.name].__metadata__[0] for f in fields(message)}
