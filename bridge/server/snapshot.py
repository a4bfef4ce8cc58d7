"""A session as a few kilobytes of msgpack, from which a session of the same avatar goes on, here or elsewhere.

In it: the number of the next frame, what is said and what waits to be said, and how the face is held. Not in it: the
avatar and the server's recording, which are named by their hashes, and what clients wish and have received.
"""

from __future__ import annotations

from typing import Any

import msgpack

from gstalker.bridge import schema
from gstalker.bridge.errors import RequestRefused
from gstalker.bridge.server.controls import FaceControls
from gstalker.bridge.server.loaded_avatar import LoadedAvatar
from gstalker.bridge.server.session import Session
from gstalker.bridge.server.speech import SpeechTimeline
from gstalker.bridge.server.speech_emotion import SpeechEmotion
from gstalker.bridge.untrusted_msgpack import UNREADABLE, read_tree

FORMAT = 2
MAX_STATE_BYTES = 200_000  # as the messages allow
_FIELDS = {"format", "bundle_sha256", "next_index", "speech", "face", "speech_emotion"}


def of_session(session: Session, avatar: LoadedAvatar) -> bytes:
    """The state from which a session's next frame follows.

    Raises:
        RequestRefused: more sound waits than fits.
    """
    state = {
        "format": FORMAT,
        "bundle_sha256": avatar.bundle.manifest_sha256,
        "next_index": session.next_index,
        "speech": session.speech.state(session.next_index),  # nothing before it is asked for again
        "face": session.face.state(),
        "speech_emotion": session.speech_emotion.state() if session.speech_emotion is not None else None,
    }
    packed = msgpack.packb(state)
    if packed is None or len(packed) > MAX_STATE_BYTES:
        raise RequestRefused(
            "failed",
            f"expected a state of at most {MAX_STATE_BYTES} bytes, {len(packed or b'')} it would be: too much pushed "
            "sound waits. Ask again when more of it has been said.",
            1.0,
        )
    return packed


def into_session(data: bytes, session: Session, avatar: LoadedAvatar) -> None:
    """Let a session go on from a state; it is not touched where the state is not sound.

    Raises:
        RequestRefused: the state is of another avatar or recording, or not what a snapshot gives.
    """
    state = _read(data)
    if state["format"] != FORMAT:
        raise RequestRefused("bad_value", f"state: expected format {FORMAT}, got {state['format']!r:.40}.")
    if state["bundle_sha256"] != avatar.bundle.manifest_sha256:
        raise RequestRefused("bad_value", f"state: expected one of the avatar {avatar.name}, got another avatar's.")
    next_index = state["next_index"]
    if not isinstance(next_index, int) or isinstance(next_index, bool) or not 0 <= next_index < 2**40:
        raise RequestRefused("bad_value", f"state: expected the number of a frame, got {next_index!r:.40}.")
    manifest = avatar.bundle.manifest
    try:
        capacity_s = session.speech.capacity_s
        speech = SpeechTimeline.from_state(
            manifest.audio, state["speech"], capacity_s, session.recording, first_frame=next_index
        )
        face = FaceControls.from_state(
            *(manifest, avatar.bundle.idle, state["face"]), torso_from_head=avatar.torso_from_head
        )
        heard = state["speech_emotion"]
        speech_emotion = SpeechEmotion.from_state(heard) if heard is not None else None
    except RequestRefused:
        raise
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise RequestRefused("bad_value", f"state: expected one that a snapshot gave ({error!s:.300}).") from error
    session.resume_at(next_index, speech, face, speech_emotion)


def _read(data: bytes) -> dict[str, Any]:
    if len(data) > schema.MAX_REQUEST_BYTES:
        raise RequestRefused("bad_value", f"state: expected at most {MAX_STATE_BYTES} bytes, got {len(data)}.")
    try:
        state = read_tree(data)
    except UNREADABLE as error:
        raise RequestRefused("bad_value", f"state: expected msgpack, could not read it ({error!s:.100}).") from error
    if not isinstance(state, dict) or state.keys() != _FIELDS:
        raise RequestRefused("bad_value", f"state: expected a map of {sorted(_FIELDS)}.")
    return state
