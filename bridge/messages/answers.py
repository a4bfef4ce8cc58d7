"""What a server answers, and the codes of its refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from gstalker.bridge.messages.fields import (
    REQUEST_ID,
    SESSION_ID,
    SPEECH_ID,
    Array,
    Message,
    Value,
    number,
    numbers,
    pose,
    text,
    texts,
    truth,
    whole,
)

REFUSAL_CODES = {
    "wire_version": "The two ends speak different wire versions; the reason names both.",
    "malformed": "The request could not be decoded; the reason says what is wrong with it.",
    "not_a_request": "The message is sound, but nothing that a client may send here.",
    "greet_first": "The server does not know this connection (any more): send hello, then ask again.",
    "too_many_clients": "The server has as many clients as it takes; try again later.",
    "busy": "Another session would make the running ones late; try again after retry_after_s.",
    "too_fast": "More requests, or more sound, a second than the server takes; try again after retry_after_s.",
    "unknown_avatar": "No avatar of that name is served here; the reason lists those that are.",
    "unknown_session": "That session does not exist (any more).",
    "no_speech": "`play` was asked of a server that was started without a sound file.",
    "unknown_speech": "That utterance is not open: it was never opened, is closed, or was cut.",
    "sound_hole": "A piece of sound does not follow the one before it; the reason names both places.",
    "speech_full": "More sound waits than the server holds; try again after retry_after_s.",
    "bad_value": "A value is sound by itself but fits neither this avatar nor what was said before.",
    "not_supported": "This avatar cannot do that, for instance move its eyes.",
    "not_allowed": "The server was started so that clients may not ask for this, or only of a private session.",
    "failed": "The server could not carry it out; the reason says why.",
}


@dataclass(frozen=True, eq=False)
class Answer(Message):
    """Base of all answers."""

    CHANNEL = "answer"
    request_id: Annotated[int, REQUEST_ID]


@dataclass(frozen=True, eq=False)
class Welcome(Answer):
    """The answer to hello: the session, who the avatar is, its canonical Gaussians, camera, controls and backdrop."""

    TOPIC = "welcome"
    server_version: Annotated[str, text("Version of the gstalker package that serves.", 64)]
    server_id: Annotated[
        str, text("Random for every start of a server: another one means that nothing old is valid.", 32, since=2)
    ]
    session_id: Annotated[int, SESSION_ID]
    publication_port: Annotated[
        int, whole("TCP port of the publication, at the host that was greeted.", low=1, high=65535)
    ]
    avatar_name: Annotated[str, text("Name of the bundle.")]
    avatar_names: Annotated[tuple[str, ...], texts(64, "All avatars of this server.", 200, since=2)]
    bundle_sha256: Annotated[
        str, text("SHA-256 of the bundle's avatar.json, hexadecimal; it holds the hash of every file.", 64)
    ]
    subject: Annotated[str, text("Whose likeness it is.", 1000)]
    consent: Annotated[str, text("How the person shown agreed.", 1000)]
    licence: Annotated[str, text("Terms of use of the avatar.", 1000)]
    notice: Annotated[str, text("What viewers must be told: the pictures are synthetic.", 1000)]
    fps: Annotated[int, whole("Frames a second.", "Hz", low=1, high=240)]
    audio_rate_hz: Annotated[int, whole("Sample rate of the sound.", "Hz", low=8000, high=48000)]
    lead_s: Annotated[
        float, number("How long before its presentation time a message is sent.", "s", low=0.0, high=10.0)
    ]
    client_lease_s: Annotated[
        float, number("A client that asks for nothing for this long is forgotten.", "s", low=0.5, high=60.0, since=2)
    ]
    can_play: Annotated[bool, truth("Whether the server has a sound of its own for `play`.", since=2)]
    speech_capacity_s: Annotated[
        float, number("How much pushed sound the server lets wait.", "s", low=0.0, high=3600.0, since=2)
    ]
    control_names: Annotated[
        tuple[str, ...], texts(256, "The expression weights, by their ARKit names, in order.", since=2)
    ]
    emotion_names: Annotated[tuple[str, ...], texts(64, "What set_emotion knows.", since=2)]
    has_gaze: Annotated[bool, truth("Whether set_gaze can move the eyes.", since=2)]
    head_pose_low: Annotated[
        tuple[float, ...], numbers(6, "Lowest rotation vector (rad) and translation (m) seen in training.", since=2)
    ]
    head_pose_high: Annotated[tuple[float, ...], numbers(6, "Highest.", since=2)]
    control_count: Annotated[int, whole("E, the expression weights.", high=256, since=2)]
    gaussian_count: Annotated[int, whole("N, all Gaussians.", low=1, high=1_000_000)]
    mover_count: Annotated[int, whole("M, those that can move: the first M of the N.", low=0, high=1_000_000)]
    camera_from_avatar: Annotated[tuple[float, ...], pose("Pose of the bundle's own camera.", "camera <- avatar")]
    K: Annotated[tuple[float, ...], numbers(9, "Intrinsics of that camera, row by row.", "px")]
    width_px: Annotated[int, whole("Width of its picture, and of the plate.", "px", low=1, high=8192)]
    height_px: Annotated[int, whole("Height of its picture, and of the plate.", "px", low=1, high=8192)]
    box_position_min_m: Annotated[tuple[float, ...], numbers(3, "Lowest corner of what the movers cover.", "m", "part")]
    box_position_max_m: Annotated[tuple[float, ...], numbers(3, "Highest corner.", "m", "part")]
    box_log_scale_min: Annotated[float, number("Smallest natural logarithm of a mover's scale in metres.")]
    box_log_scale_max: Annotated[float, number("Largest.")]
    control_ranges: Annotated[
        np.ndarray, Array("<f4", ("control_count", 2), "Smallest and largest weight seen in training.", since=2)
    ]
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
class Done(Answer):
    """The request was carried out."""

    TOPIC = "done"


@dataclass(frozen=True, eq=False)
class Applied(Answer):
    """A control was set, and whether it had to be limited to what the avatar was trained on."""

    TOPIC = "applied"
    limited: Annotated[bool, truth("Something was clamped; `detail` says what.", since=2)]
    detail: Annotated[str, text("For a person.", 1000, since=2)]


@dataclass(frozen=True, eq=False)
class Pong(Answer):
    """The answer to ping: what a client needs to know its offset to the session's clock."""

    TOPIC = "pong"
    client_time_s: Annotated[float, number("As in the ping.", "s", since=2)]
    stream_time_s: Annotated[
        float, number("The session's clock when the answer left; negative before the first presentation.", "s", since=2)
    ]
    running: Annotated[bool, truth("Whether that clock runs: before the stream begins it stands.", since=2)]


@dataclass(frozen=True, eq=False)
class SpeechOpened(Answer):
    """An utterance may now be pushed."""

    TOPIC = "speech_opened"
    speech_id: Annotated[int, SPEECH_ID]


@dataclass(frozen=True, eq=False)
class SpeechState(Answer):
    """How far an utterance is: a sender that keeps `waiting_s` between 0.5 and a few seconds never starves it."""

    TOPIC = "speech_state"
    speech_id: Annotated[int, SPEECH_ID]
    received_s: Annotated[float, number("Sound received of this utterance.", "s", low=0.0, since=2)]
    waiting_s: Annotated[float, number("Of that, not yet sent on.", "s", low=0.0, since=2)]


@dataclass(frozen=True, eq=False)
class Stats(Answer):
    """How the server keeps time; lateness is counted from the moment a frame was due to leave."""

    TOPIC = "stats"
    stream_time_s: Annotated[float, number("The session's clock now; negative before the first presentation.", "s")]
    speaking: Annotated[bool, truth("Whether speech is being sent.")]
    frames_sent: Annotated[int, whole("Time steps sent; one with both payloads counts once.")]
    frames_late: Annotated[int, whole("Sent after their presentation time.")]
    frames_dropped: Annotated[int, whole("Never sent, because they would have been late.")]
    frames_refused: Annotated[int, whole("Never sent, because a value lay outside the bundle's box.")]
    frames_superseded: Annotated[int, whole("Sent again, because a stop changed what was sent ahead.", since=2)]
    audio_chunks_sent: Annotated[int, whole("Sound messages sent.")]
    speech_waiting_s: Annotated[float, number("Sound that waits to be spoken.", "s", since=2)]
    speech_starved: Annotated[int, whole("Times that pushed sound ran out in the middle of an utterance.", since=2)]
    requests_refused: Annotated[int, whole("Requests answered by a refusal, by the whole server.")]
    lateness_p50_ms: Annotated[float, number("Median over the last frames.", "ms")]
    lateness_p99_ms: Annotated[float, number("99th percentile over the last frames.", "ms")]
    lateness_max_ms: Annotated[float, number("Worst of the whole run.", "ms")]
    compute_p50_ms: Annotated[float, number("Networks and packing of one frame, median over the last frames.", "ms")]
    compute_p99_ms: Annotated[float, number("The same, 99th percentile.", "ms")]
    frames_per_second: Annotated[float, number("Frames of this session sent in the last two seconds.", "Hz", since=2)]
    backend: Annotated[str, text("What computes the field.", 64, since=2)]
    clients: Annotated[int, whole("Clients of the whole server.", since=2)]
    session_clients: Annotated[int, whole("Clients of this session.", since=2)]
    sessions: Annotated[int, whole("Sessions of the whole server.", since=2)]
    session_limit: Annotated[int, whole("How many the server would admit as things stand.", since=2)]
    load: Annotated[float, number("Share of the time that frames are being computed, last two seconds.", since=2)]
    source: Annotated[str, text("What gives the live sound or face, and how it fares; empty for none.", 1000, since=2)]


@dataclass(frozen=True, eq=False)
class Snapshot(Answer):
    """A session's state: seeds, controls, place in the speech and the sound that still waits."""

    TOPIC = "snapshot"
    state_bytes: Annotated[int, whole("B.", low=1, high=200_000, since=2)]
    state: Annotated[np.ndarray, Array("|u1", ("state_bytes",), "msgpack, for `resume`.", since=2)]


@dataclass(frozen=True, eq=False)
class Refusal(Answer):
    """The request was not carried out, and why."""

    TOPIC = "refusal"
    code: Annotated[str, text("One of the refusal codes.", 32)]
    reason: Annotated[str, text("For a person: what was expected, what came.", 1000)]
    retry_after_s: Annotated[
        float, Value("float", "When asking again may help; 0 where it will not.", "s", low=0.0, high=3600.0, since=2)
    ]


ANSWERS: tuple[type[Answer], ...] = (
    *(Welcome, Done, Applied, Pong, SpeechOpened, SpeechState, Stats, Snapshot, Refusal),
)
