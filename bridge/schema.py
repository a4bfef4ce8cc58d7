"""Every message of the bridge, defined once: fields, types, units, spaces and the version that brought them.

The index of `bridge.messages`. The codec walks these dataclasses, `bridge.generate` writes the tables of
docs/protocol.md and other languages' definitions from them. Spaces and units: docs/conventions.md.
"""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import get_type_hints

from gstalker.bridge.messages.answers import (
    ANSWERS,
    REFUSAL_CODES,
    Answer,
    Applied,
    Done,
    Pong,
    Refusal,
    Snapshot,
    SpeechOpened,
    SpeechState,
    Stats,
    Welcome,
)
from gstalker.bridge.messages.fields import (
    MAGIC,
    MAX_HEADER_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_REQUEST_BYTES,
    MAX_SESSION_ID,
    MAX_UINT,
    PAYLOAD_ALIGNMENT,
    PREFIX_BYTES,
    TOPIC_BYTES,
    WIRE_HISTORY,
    WIRE_VERSION,
    Array,
    Message,
    Publication,
    Value,
)
from gstalker.bridge.messages.publications import PUBLICATIONS, Audio, FrameF32, FrameQ16, SpeechEnd, StreamEnd
from gstalker.bridge.messages.requests import (
    REQUESTS,
    CloseSpeech,
    GetSnapshot,
    GetStats,
    Hello,
    Leave,
    OpenSpeech,
    Ping,
    Play,
    PushSpeech,
    Request,
    Resume,
    SetEmotion,
    SetExpression,
    SetGaze,
    SetHeadPose,
    SetIdle,
    SetRate,
    Shutdown,
    Stop,
)

MESSAGES: dict[str, type[Message]] = {m.TOPIC: m for m in (*REQUESTS, *ANSWERS, *PUBLICATIONS)}


@lru_cache(maxsize=64)
def wire_specs(message: type[Message]) -> dict[str, Value | Array]:
    """Every field of a message in wire order: first those of the header, then the arrays of the payload."""
    hints = get_type_hints(message, include_extras=True)
    return {f.name: hints[f.name].__metadata__[0] for f in fields(message)}


__all__ = [
    "ANSWERS",
    "MAGIC",
    "MAX_HEADER_BYTES",
    "MAX_MESSAGE_BYTES",
    "MAX_REQUEST_BYTES",
    "MAX_SESSION_ID",
    "MAX_UINT",
    "MESSAGES",
    "PAYLOAD_ALIGNMENT",
    "PREFIX_BYTES",
    "PUBLICATIONS",
    "REFUSAL_CODES",
    "REQUESTS",
    "TOPIC_BYTES",
    "WIRE_HISTORY",
    "WIRE_VERSION",
    "Answer",
    "Applied",
    "Array",
    "Audio",
    "CloseSpeech",
    "Done",
    "FrameF32",
    "FrameQ16",
    "GetSnapshot",
    "GetStats",
    "Hello",
    "Leave",
    "Message",
    "OpenSpeech",
    "Ping",
    "Play",
    "Pong",
    "Publication",
    "PushSpeech",
    "Refusal",
    "Request",
    "Resume",
    "SetEmotion",
    "SetExpression",
    "SetGaze",
    "SetHeadPose",
    "SetIdle",
    "SetRate",
    "Shutdown",
    "Snapshot",
    "SpeechEnd",
    "SpeechOpened",
    "SpeechState",
    "Stats",
    "Stop",
    "StreamEnd",
    "Value",
    "Welcome",
    "wire_specs",
]
