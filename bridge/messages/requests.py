"""What a client may ask: every request carries an id, and is answered by what it asks for or by a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from gstalker.bridge.messages.fields import (
    BLEND_S,
    MAX_SESSION_ID,
    REQUEST_ID,
    SPEECH_ID,
    Array,
    Message,
    number,
    numbers,
    text,
    truth,
    whole,
)


@dataclass(frozen=True, eq=False)
class Request(Message):
    """Base of all requests."""

    CHANNEL = "request"
    request_id: Annotated[int, REQUEST_ID]


@dataclass(frozen=True, eq=False)
class Hello(Request):
    """The first request of a client, which brings it into a session; answered by welcome.

    A connection is in one session at a time; greeting again moves it. Its wire version stands in the prefix, as in
    every message.
    """

    TOPIC = "hello"
    client_name: Annotated[str, text("What connects, for the server's log.", 64)]
    avatar_name: Annotated[str, text("Which avatar; empty for the server's first.", since=2)]
    session_id: Annotated[
        int, whole("Join this session, as after a lost connection; 0 for another.", high=MAX_SESSION_ID, since=2)
    ]
    private: Annotated[
        bool, truth("With session 0: open a session of this client's own, instead of the avatar's shared one.", since=2)
    ]


@dataclass(frozen=True, eq=False)
class Leave(Request):
    """The client goes; a private session that nobody is in any more ends. Answered by done."""

    TOPIC = "leave"


@dataclass(frozen=True, eq=False)
class Ping(Request):
    """Measures the clocks and keeps the client's place; sent every second. Answered by pong."""

    TOPIC = "ping"
    client_time_s: Annotated[float, number("The client's steady clock; comes back untouched.", "s", since=2)]


@dataclass(frozen=True, eq=False)
class Play(Request):
    """Speak the server's sound from its beginning, as soon as the lead allows. Answered by done."""

    TOPIC = "play"


@dataclass(frozen=True, eq=False)
class Stop(Request):
    """Cut all speech at once and go on idling; what was sent for later than the cut is superseded. Answered by done."""

    TOPIC = "stop"


@dataclass(frozen=True, eq=False)
class OpenSpeech(Request):
    """Begin an utterance whose sound the client pushes. Answered by speech_opened."""

    TOPIC = "open_speech"
    rate_hz: Annotated[int, whole("Sample rate of what will be pushed.", "Hz", low=8000, high=96_000, since=2)]
    channel_count: Annotated[int, whole("1 mono, 2 stereo; the channels are averaged.", low=1, high=2, since=2)]
    interrupt: Annotated[bool, truth("Cut what is being said and speak at once, instead of after what waits.", since=2)]


@dataclass(frozen=True, eq=False)
class PushSpeech(Request):
    """The next piece of an utterance's sound, of any length up to the largest request. Answered by speech_state."""

    TOPIC = "push_speech"
    speech_id: Annotated[int, SPEECH_ID]
    first_sample: Annotated[
        int, whole("How many samples (per channel) of the utterance came before: a hole is refused.", since=2)
    ]
    sample_count: Annotated[int, whole("S, samples per channel.", low=1, high=96_000, since=2)]
    channel_count: Annotated[int, whole("C, as the utterance was opened with.", low=1, high=2, since=2)]
    pcm: Annotated[np.ndarray, Array("<i2", ("sample_count", "channel_count"), "PCM.", "1/32768", since=2)]


@dataclass(frozen=True, eq=False)
class CloseSpeech(Request):
    """The utterance has all its sound. Answered by speech_state."""

    TOPIC = "close_speech"
    speech_id: Annotated[int, SPEECH_ID]


@dataclass(frozen=True, eq=False)
class SetExpression(Request):
    """Hold some expression weights at given values; the others stay as they are moved. Answered by applied."""

    TOPIC = "set_expression"
    blend_s: Annotated[float, BLEND_S]
    control_count: Annotated[int, whole("E, the weights of the welcome.", high=256, since=2)]
    weights: Annotated[np.ndarray, Array("<f4", ("control_count",), "In the order of control_names.", since=2)]
    held: Annotated[
        np.ndarray, Array("|u1", ("control_count",), "1 holds the weight, 0 gives it back to idle life.", since=2)
    ]


@dataclass(frozen=True, eq=False)
class SetEmotion(Request):
    """Blend in one of the emotions of the welcome; an empty name ends it. Answered by applied."""

    TOPIC = "set_emotion"
    emotion_name: Annotated[str, text("One of emotion_names, or empty.", 64, since=2)]
    strength: Annotated[float, number("0 none, 1 as strong as the person was seen.", low=0.0, high=1.0, since=2)]
    blend_s: Annotated[float, BLEND_S]


@dataclass(frozen=True, eq=False)
class SetGaze(Request):
    """Hold the eyes in a direction relative to the head, where the avatar's eyes can. Answered by applied."""

    TOPIC = "set_gaze"
    held: Annotated[bool, truth("False gives the eyes back to idle life.", since=2)]
    yaw_rad: Annotated[float, number("To the picture's right, positive.", "rad", low=-1.6, high=1.6, since=2)]
    pitch_rad: Annotated[float, number("Down, positive.", "rad", low=-1.6, high=1.6, since=2)]
    blend_s: Annotated[float, BLEND_S]


@dataclass(frozen=True, eq=False)
class SetHeadPose(Request):
    """Hold the head in a pose; beyond what was seen in training it is clamped softly. Answered by applied."""

    TOPIC = "set_head_pose"
    held: Annotated[bool, truth("False gives the head back to idle life.", since=2)]
    rotation_rad: Annotated[
        tuple[float, ...], numbers(3, "Rotation vector of avatar_from_head.", "rad", low=-3.2, high=3.2, since=2)
    ]
    translation_m: Annotated[
        tuple[float, ...], numbers(3, "Its translation; 0 is the rest pose.", "m", low=-1.0, high=1.0, since=2)
    ]
    blend_s: Annotated[float, BLEND_S]


@dataclass(frozen=True, eq=False)
class SetIdle(Request):
    """Switch idle life (blinks, breathing, small motion of the head) on or off. Answered by done."""

    TOPIC = "set_idle"
    enabled: Annotated[bool, truth("False holds the rest pose between utterances and during them.", since=2)]
    seed: Annotated[int, whole("Of the idle motion: the same seed gives the same motion.", high=2**32 - 1, since=2)]


@dataclass(frozen=True, eq=False)
class SetRate(Request):
    """Have only every n-th frame sent; of the wishes in a session the fastest counts. Answered by done."""

    TOPIC = "set_rate"
    frame_divisor: Annotated[int, whole("n.", low=1, high=25, since=2)]


@dataclass(frozen=True, eq=False)
class GetStats(Request):
    """Ask how the server keeps time. Answered by stats."""

    TOPIC = "get_stats"


@dataclass(frozen=True, eq=False)
class GetSnapshot(Request):
    """Ask for the session's state, from which another process can go on. Answered by snapshot."""

    TOPIC = "get_snapshot"


@dataclass(frozen=True, eq=False)
class Resume(Request):
    """Put a private session into the state of a snapshot: the same frames follow. Answered by done."""

    TOPIC = "resume"
    state_bytes: Annotated[int, whole("B.", low=1, high=200_000, since=2)]
    state: Annotated[np.ndarray, Array("|u1", ("state_bytes",), "As a snapshot gave it.", since=2)]


@dataclass(frozen=True, eq=False)
class Shutdown(Request):
    """End the server; refused unless it was started so that clients may. Answered by done."""

    TOPIC = "shutdown"


REQUESTS: tuple[type[Request], ...] = (
    *(Hello, Leave, Ping, Play, Stop, OpenSpeech, PushSpeech, CloseSpeech),
    *(SetExpression, SetEmotion, SetGaze, SetHeadPose, SetIdle, SetRate),
    *(GetStats, GetSnapshot, Resume, Shutdown),
)
