"""A session goes on elsewhere: the same frames, byte for byte; and what is no snapshot is refused."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
import pytest
from helpers.asked_server import Asked

from gstalker.bridge import schema
from gstalker.bridge.schema import Applied, Audio, Done, FrameQ16, SpeechState

pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")

RNG = np.random.default_rng(5)
RECORDING = np.clip(0.3 * RNG.standard_normal(16_000 * 6), -1, 1).astype(np.float32)
PCM = np.round(6000 * RNG.standard_normal((16_000, 1))).clip(-32768, 32767).astype(np.int16)


def busy_session(asked: Asked) -> int:
    """A private session that says something, holds its face and head, and has its own idle life."""
    session_id = asked.hello(private=True).session_id
    asked.watch(session_id, FrameQ16, Audio)
    asked.ask(schema.SetIdle(1, True, 77), Done)
    asked.until(0.7)
    speech_id = asked.ask(schema.OpenSpeech(1, 16_000, 1, False), schema.SpeechOpened).speech_id
    asked.ask(schema.PushSpeech(1, speech_id, 0, 16_000, 1, PCM), SpeechState)
    held = np.array([1, 0, 0, 0, 1, 0, 0, 0, 0], np.uint8)
    asked.ask(schema.SetExpression(1, 1.0, 9, np.full(9, 0.5, np.float32), held), Applied)
    asked.ask(schema.SetHeadPose(1, True, (0.0, 0.1, 0.0), (0.0, 0.0, 0.0), 2.0), Applied)
    asked.until(0.9)
    return session_id


def after(asked: Asked, session_id: int, first_index: int) -> dict[int, tuple[Any, ...]]:
    """What a session showed and said from a frame on, without what belongs to the sending alone."""
    sounds = {round(a.time_s * 25): a.pcm.tobytes() for a in asked.of(Audio, session_id)}
    return {
        f.index: (f.time_s, f.avatar_from_head, f.avatar_from_torso, f.movers.tobytes(), sounds.get(f.index))
        for f in asked.of(FrameQ16, session_id)
        if f.index >= first_index
    }


def moved(asked: Asked, session_id: int) -> tuple[Asked, int, schema.Snapshot]:
    """Another server with a session that goes on from here."""
    snapshot = asked.ask(schema.GetSnapshot(1), schema.Snapshot)
    elsewhere = Asked(recording=RECORDING, seed=1)
    elsewhere.clock.now_s = 5000.0
    other_id = elsewhere.hello(private=True).session_id
    elsewhere.watch(other_id, FrameQ16, Audio)
    elsewhere.until(0.35)
    elsewhere.ask(schema.Resume(1, snapshot.state_bytes, snapshot.state), Done)
    elsewhere.published.clear()
    return elsewhere, other_id, snapshot


def test_the_frames_and_the_sound_after_a_snapshot_are_the_same_bytes_elsewhere():
    asked = Asked(recording=RECORDING)
    session_id = busy_session(asked)
    first_index = asked.table.get(session_id).next_index
    elsewhere, other_id, snapshot = moved(asked, session_id)
    assert snapshot.state_bytes < 60_000
    for server in (asked, elsewhere):
        server.ask(schema.PushSpeech(1, 0, 16_000, 16_000, 1, PCM[::-1].copy()), SpeechState)
        server.ask(schema.CloseSpeech(1, 0), SpeechState)
        server.until(4.0)
    here, there = after(asked, session_id, first_index), after(elsewhere, other_id, first_index)
    indices = sorted(set(here) & set(there))
    assert indices[0] == first_index
    assert len(indices) > 90
    assert [i for i in indices if here[i] != there[i]] == []
    assert any(here[i][4] is not None for i in indices)
    assert any(here[i][4] is None for i in indices), "the speech is not over: its end was not compared"
    assert min(there) == first_index


def test_a_session_that_goes_on_sends_its_next_frame_at_once_and_keeps_time():
    asked = Asked(recording=RECORDING)
    session_id = busy_session(asked)
    first_index = asked.table.get(session_id).next_index
    elsewhere, other_id, _ = moved(asked, session_id)
    session = elsewhere.table.get(other_id)
    assert session.wait_s() == pytest.approx(0.0, abs=1e-9)
    assert session.now_s == pytest.approx(first_index / 25 - 0.2)
    elsewhere.until(1.0)
    frames = elsewhere.of(FrameQ16, other_id)
    assert all(f.sent_at_s == pytest.approx(f.time_s - 0.2, abs=1e-5) for f in frames)
    sequences = [f.sequence for f in frames]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences))), "its own numbers go on"


def test_the_servers_recording_goes_on_where_it_was():
    asked = Asked(recording=RECORDING)
    session_id = asked.hello(private=True).session_id
    asked.watch(session_id, FrameQ16, Audio)
    asked.ask(schema.Play(1), Done)
    asked.until(1.5)
    first_index = asked.table.get(session_id).next_index
    elsewhere, other_id, snapshot = moved(asked, session_id)
    assert snapshot.state_bytes < 60_000, "the recording itself is in it"
    asked.until(1.0)
    elsewhere.until(1.0)
    here, there = after(asked, session_id, first_index), after(elsewhere, other_id, first_index)
    indices = sorted(set(here) & set(there))
    assert len(indices) > 20
    assert all(here[i] == there[i] and here[i][4] is not None for i in indices)


def test_a_stop_after_moving_goes_no_further_back_than_the_move():
    asked = Asked(recording=RECORDING)
    session_id = busy_session(asked)
    first_index = asked.table.get(session_id).next_index
    elsewhere, other_id, _ = moved(asked, session_id)
    elsewhere.until(0.01)
    elsewhere.ask(schema.Stop(1), Done)
    elsewhere.until(1.0)
    assert min(f.index for f in elsewhere.of(FrameQ16, other_id)) == first_index
    assert not elsewhere.table.get(other_id).speaking


def test_too_much_waiting_sound_is_refused_and_later_it_fits():
    asked = Asked()
    session_id = asked.hello(private=True).session_id
    asked.watch(session_id, FrameQ16)
    speech_id = asked.ask(schema.OpenSpeech(1, 16_000, 1, False), schema.SpeechOpened).speech_id
    for second in range(8):
        asked.ask(schema.PushSpeech(1, speech_id, 16_000 * second, 16_000, 1, PCM), SpeechState)
    refusal = asked.refused(schema.GetSnapshot(1))
    assert refusal.code == "failed"
    assert "too much pushed sound waits" in refusal.reason
    assert refusal.retry_after_s > 0
    asked.until(5.0)
    asked.ask(schema.GetSnapshot(1), schema.Snapshot)


def changed(state: bytes, **fields: Any) -> bytes:
    packed = msgpack.packb(msgpack.unpackb(state) | fields)
    assert packed is not None
    return packed


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: b"\xc1" + s, "expected msgpack"),
        (lambda s: s[:-1], "expected msgpack"),
        (lambda s: b"\x90", "expected a map of"),
        (lambda s: changed(s, more=1), "expected a map of"),
        (lambda s: changed(s, format=1), "expected format 2, got 1"),
        (lambda s: changed(s, speech_emotion={"next": 0}), "speech_emotion: expected a map of next, levels_db"),
        (lambda s: changed(s, bundle_sha256="0" * 64), "got another avatar's"),
        (lambda s: changed(s, next_index=-1), "expected the number of a frame, got -1"),
        (lambda s: changed(s, next_index=True), "expected the number of a frame, got True"),
        (lambda s: changed(s, next_index=2**60), "expected the number of a frame"),
        (lambda s: changed(s, speech=[]), "speech"),
        (lambda s: changed(s, face={"seed": 1}), "face"),
        (lambda s: changed(s, speech={"start": "soon"}), "speech"),
    ],
)
def test_what_is_no_snapshot_is_refused_and_the_session_goes_on_as_it_was(change: Any, text: str):
    asked = Asked(recording=RECORDING)
    session_id = busy_session(asked)
    state = change(asked.ask(schema.GetSnapshot(1), schema.Snapshot).state.tobytes())
    session = asked.table.get(session_id)
    before = session.next_index, session.speech, session.face
    refusal = asked.refused(schema.Resume(2, len(state), np.frombuffer(state, np.uint8)))
    assert refusal.code == "bad_value"
    assert text in refusal.reason
    assert (session.next_index, session.speech, session.face) == before


def test_a_snapshot_that_names_another_recording_is_refused():
    asked = Asked(recording=RECORDING)
    asked.hello(private=True)
    asked.watch(3, FrameQ16, Audio)
    asked.ask(schema.Play(1), Done)
    asked.until(0.5)
    snapshot = asked.ask(schema.GetSnapshot(1), schema.Snapshot)
    elsewhere = Asked(recording=RECORDING[::-1].copy())
    elsewhere.hello(private=True)
    refusal = elsewhere.refused(schema.Resume(1, snapshot.state_bytes, snapshot.state))
    assert refusal.code == "bad_value"
    assert "recording" in refusal.reason
