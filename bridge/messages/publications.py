"""What a session publishes: frames, sound and events, each at its presentation time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from gstalker.bridge.messages.fields import (
    SESSION_ID,
    SPEECH_ID,
    Array,
    Publication,
    number,
    pose,
    truth,
    whole,
)

_SEQUENCE = whole("Number of the message within topic and session, from 0 without gaps: a gap is a lost one.", since=2)
_INDEX = whole("Frame number on the session's clock, from 0: presentation time times fps. Sent again, it supersedes.")
_TIME_S = number("Presentation time on the session's clock.", "s", low=0.0)
_SENT_AT_S = number("The session's clock when the message was handed to the transport.", "s")
_HEAD_POSE = pose("Pose of the head.", "avatar <- head")
_TORSO_POSE = pose("Pose of the torso.", "avatar <- torso")
_MOVER_COUNT = whole("M, the movers.", high=1_000_000)


@dataclass(frozen=True, eq=False)
class FrameQ16(Publication):
    """One time step: the M movers in 16 bytes each, and the pose of each part."""

    TOPIC = "frame/q16"
    session_id: Annotated[int, SESSION_ID]
    sequence: Annotated[int, _SEQUENCE]
    index: Annotated[int, _INDEX]
    time_s: Annotated[float, _TIME_S]
    sent_at_s: Annotated[float, _SENT_AT_S]
    avatar_from_head: Annotated[tuple[float, ...], _HEAD_POSE]
    avatar_from_torso: Annotated[tuple[float, ...], _TORSO_POSE]
    mover_count: Annotated[int, _MOVER_COUNT]
    movers: Annotated[np.ndarray, Array("|u1", ("mover_count", 16), "Packed movers, layout below.", "", "part")]


@dataclass(frozen=True, eq=False)
class FrameF32(Publication):
    """The same time step unquantised, for validation: computed only while somebody subscribes to it."""

    TOPIC = "frame/f32"
    session_id: Annotated[int, SESSION_ID]
    sequence: Annotated[int, _SEQUENCE]
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
class Audio(Publication):
    """A piece of the sound that belongs to the frames of the same presentation times."""

    TOPIC = "audio"
    session_id: Annotated[int, SESSION_ID]
    sequence: Annotated[int, _SEQUENCE]
    speech_id: Annotated[int, SPEECH_ID]
    time_s: Annotated[float, number("Presentation time of the first sample on the session's clock.", "s", low=0.0)]
    sent_at_s: Annotated[float, _SENT_AT_S]
    sample_count: Annotated[int, whole("S; at most one second.", low=1, high=48_000)]
    pcm: Annotated[np.ndarray, Array("<i2", ("sample_count",), "Mono PCM, audio_rate_hz of the welcome.", "1/32768")]


@dataclass(frozen=True, eq=False)
class SpeechEnd(Publication):
    """The utterance is over, or was cut; frames go on, idling. Sound after `time_s` that came before is void."""

    TOPIC = "speech_end"
    session_id: Annotated[int, SESSION_ID]
    sequence: Annotated[int, _SEQUENCE]
    speech_id: Annotated[int, SPEECH_ID]
    time_s: Annotated[float, number("Presentation time at which its sound ends.", "s", low=0.0)]
    cut: Annotated[bool, truth("Whether it was stopped before its own end.", since=2)]


@dataclass(frozen=True, eq=False)
class StreamEnd(Publication):
    """The session is about to end; nothing follows."""

    TOPIC = "stream_end"
    session_id: Annotated[int, SESSION_ID]
    sequence: Annotated[int, _SEQUENCE]
    frame_count: Annotated[int, whole("Time steps sent.")]
    time_s: Annotated[float, number("Presentation time at which the stream ends.", "s", low=0.0)]


PUBLICATIONS: tuple[type[Publication], ...] = (FrameQ16, FrameF32, Audio, SpeechEnd, StreamEnd)
