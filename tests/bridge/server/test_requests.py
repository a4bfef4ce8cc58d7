"""Every request has its answer, and every refusal its code; no sockets, and a clock that the test turns."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.asked_server import Asked

from gstalker.bridge import schema
from gstalker.bridge.codec import decode, encode
from gstalker.bridge.schema import (
    Applied,
    Audio,
    Done,
    FrameF32,
    FrameQ16,
    Pong,
    SpeechEnd,
    SpeechState,
    Stats,
)
from gstalker.bridge.server.options import Limits

pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")

RECORDING = np.full(16_000 * 4, 0.25, np.float32)
PCM = np.full((8_000, 1), 5000, np.int16)


def test_hello_brings_a_client_into_the_first_avatars_shared_session():
    asked = Asked(recording=RECORDING)
    welcome = asked.hello()
    assert (welcome.session_id, welcome.avatar_name) == (1, "made")
    assert welcome.avatar_names == ("made", "other")
    assert welcome.can_play
    assert welcome.client_lease_s == 5.0
    assert welcome.speech_capacity_s > 0
    assert welcome.publication_port == 5556
    assert welcome.server_id == asked.hello(b"b").server_id != Asked().hello().server_id
    assert asked.hello(b"c", avatar_name="other").session_id == 2
    assert not Asked().hello().can_play


def test_a_private_session_is_another_one_each_time_and_can_be_joined():
    asked = Asked()
    first, second = asked.hello(b"a", private=True), asked.hello(b"b", private=True)
    assert (first.session_id, second.session_id) == (3, 4)
    assert asked.hello(b"c", session_id=3).session_id == 3
    assert asked.ask(schema.GetStats(1), Stats, b"c").session_clients == 2


@pytest.mark.parametrize(
    ("hello", "code", "text"),
    [
        (("", 99, False), "unknown_session", "expected a session that exists, got 99"),
        (("nobody", 0, False), "unknown_avatar", "expected one of the avatars made, other, got 'nobody'"),
        (("nobody", 0, True), "unknown_avatar", "expected one of the avatars"),
        (("other", 1, False), "bad_value", "expected session 1's avatar made, got 'other'"),
    ],
)
def test_a_greeting_that_leads_nowhere_is_refused(hello: tuple[str, int, bool], code: str, text: str):
    asked = Asked()
    refusal = asked.refused(schema.Hello(1, "", *hello))
    assert refusal.code == code
    assert text in refusal.reason
    assert asked.refused(schema.Play(2)).code == "greet_first"


SOUND = schema.PushSpeech(1, 0, 0, 8000, 1, PCM)
WEIGHTS = schema.SetExpression(1, 0.0, 9, np.zeros(9, np.float32), np.ones(9, np.uint8))
BEFORE_HELLO = [
    *(schema.Leave(1), schema.Ping(1, 0.0), schema.Play(1), schema.Stop(1), schema.OpenSpeech(1, 16_000, 1, False)),
    *(SOUND, schema.CloseSpeech(1, 0), WEIGHTS, schema.SetEmotion(1, "", 1.0, 0.0)),
    *(schema.SetGaze(1, True, 0.0, 0.0, 0.0), schema.SetHeadPose(1, True, (0.0,) * 3, (0.0,) * 3, 0.0)),
    *(schema.SetIdle(1, True, 0), schema.SetRate(1, 1), schema.GetStats(1), schema.GetSnapshot(1)),
    *(schema.Resume(1, 1, np.zeros(1, np.uint8)), schema.Shutdown(1)),
]


@pytest.mark.parametrize("request_", BEFORE_HELLO, ids=lambda r: r.TOPIC)
def test_nothing_comes_before_hello(request_: schema.Request):
    assert {type(r) for r in BEFORE_HELLO} == set(schema.REQUESTS) - {schema.Hello}
    asked = Asked()
    refusal = asked.refused(request_)
    assert refusal.code == "greet_first"
    assert "expected hello before anything else" in refusal.reason


def test_every_request_is_answered_by_what_its_documentation_says():
    asked = Asked(recording=RECORDING, allow_shutdown=True)
    asked.hello(private=True)
    asked.watch(3)
    asked.until(1.0)
    opened = asked.ask(schema.OpenSpeech(5, 16_000, 1, False), schema.SpeechOpened)
    state = schema.Snapshot(1, 1, np.zeros(1, np.uint8))
    answers = {
        schema.Ping(7, 1.5): Pong,
        schema.Play(7): Done,
        schema.Stop(7): Done,
        schema.PushSpeech(7, opened.speech_id, 0, 8000, 1, PCM): schema.Refusal,  # the stop cut it
        WEIGHTS: Applied,
        schema.SetEmotion(7, "", 1.0, 0.0): Applied,
        schema.SetHeadPose(7, True, (0.0,) * 3, (0.0,) * 3, 0.0): Applied,
        schema.SetIdle(7, False, 3): Done,
        schema.SetRate(7, 2): Done,
        schema.GetStats(7): Stats,
        schema.GetSnapshot(7): type(state),
        schema.Leave(7): Done,
    }
    for request, expected in answers.items():
        asked.ask(request, expected)
    asked.hello()
    asked.ask(schema.Shutdown(8), Done)
    assert asked.requests.shutdown_asked


def test_a_ping_tells_the_sessions_clock():
    asked = Asked(lead_s=0.2)
    asked.hello()
    pong = asked.ask(schema.Ping(1, 12.5), Pong)
    assert (pong.client_time_s, pong.stream_time_s, pong.running) == (12.5, -0.2, False)
    asked.watch(1)
    asked.until(1.0)
    pong = asked.ask(schema.Ping(1, 13.5), Pong)
    assert (pong.stream_time_s, pong.running) == (pytest.approx(0.8, abs=1e-6), True)


def test_pushed_speech_is_heard_and_seen_at_the_same_times():
    asked = Asked()
    asked.hello(private=True)
    asked.watch(3, FrameF32, Audio, SpeechEnd)
    asked.until(1.0)
    opened = asked.ask(schema.OpenSpeech(1, 16_000, 1, False), schema.SpeechOpened)
    sine = (9000 * np.sin(np.arange(16_000) / 12)).astype(np.int16)[:, None]
    for first in range(0, 16_000, 4000):
        piece = schema.PushSpeech(2, opened.speech_id, first, 4000, 1, sine[first : first + 4000])
        state = asked.ask(piece, SpeechState)
        assert state.received_s == state.waiting_s == pytest.approx((first + 4000) / 16_000)
    asked.ask(schema.CloseSpeech(3, opened.speech_id), SpeechState)
    asked.until(2.0)
    pcm = np.concatenate([a.pcm for a in asked.of(Audio, 3)])
    np.testing.assert_array_equal(pcm, sine[:, 0])
    (end,) = asked.of(SpeechEnd, 3)
    assert end.time_s == pytest.approx(asked.of(Audio, 3)[0].time_s + 1.0)
    assert not end.cut
    stats = asked.ask(schema.GetStats(4), Stats)
    assert (stats.audio_chunks_sent, stats.speech_starved, stats.speech_waiting_s) == (25, 0, 0.0)
    # The mouth moves with it and not before: 3 frames of anticipation and 28 mel frames of look-ahead.
    frames = {f.index: f.means for f in asked.of(FrameF32, 3)}
    first = round(asked.of(Audio, 3)[0].time_s * 25)
    still, spoken = frames[first - 9], frames[first + 6]
    assert np.abs(spoken - still).max() > 10 * np.abs(frames[first - 10] - still).max() / 2 > 0


def test_an_interrupting_utterance_cuts_the_one_before():
    asked = Asked(recording=RECORDING)
    asked.hello()
    asked.watch(1, Audio)
    asked.until(1.0)
    opened = asked.ask(schema.OpenSpeech(1, 16_000, 1, True), schema.SpeechOpened)
    asked.ask(schema.PushSpeech(2, opened.speech_id, 0, 8000, 1, PCM), SpeechState)
    asked.ask(schema.CloseSpeech(3, opened.speech_id), SpeechState)
    asked.until(2.0)
    ends = asked.of(SpeechEnd, 1)
    assert [(e.speech_id, e.cut) for e in ends] == [(0, True), (opened.speech_id, False)]
    second = [a for a in asked.of(Audio, 1) if a.speech_id == opened.speech_id]
    assert second[0].time_s - ends[0].time_s == pytest.approx(3 * 0.04)


def test_one_sessions_speech_and_face_leave_the_others_alone():
    asked = Asked(recording=RECORDING)
    asked.hello(b"a", private=True)
    asked.hello(b"b", private=True)
    asked.watch(3, FrameQ16, Audio)
    asked.watch(4, FrameQ16, Audio)
    asked.ask(schema.Play(1), Done, b"a")
    weights = np.full(9, 0.5, np.float32)
    asked.ask(schema.SetExpression(2, 0.0, 9, weights, np.ones(9, np.uint8)), Applied, b"a")
    asked.until(1.0)
    assert asked.of(Audio, 3)
    assert not asked.of(Audio, 4)
    pairs = list(zip(asked.of(FrameQ16, 3), asked.of(FrameQ16, 4), strict=True))
    assert len(pairs) > 20
    assert all((one.movers != other.movers).any() for one, other in pairs)
    asked.ask(schema.Stop(3), Done, b"b")
    assert not asked.of(SpeechEnd, 3)


def test_a_weight_beyond_what_was_trained_is_limited_and_said():
    asked = Asked()
    asked.hello()
    weights = np.full(9, 2.0, np.float32)
    applied = asked.ask(schema.SetExpression(1, 0.0, 9, weights, np.ones(9, np.uint8)), Applied)
    assert applied.limited
    assert "2 to 0.9" in applied.detail
    held_less = schema.SetExpression(1, 0.0, 9, np.full(9, 0.4, np.float32), np.ones(9, np.uint8))
    assert not asked.ask(held_less, Applied).limited
    turned = asked.ask(schema.SetHeadPose(1, True, (0.0, 1.5, 0.0), (0.0, 0.0, 0.0), 0.2), Applied)
    assert turned.limited


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (schema.Play(5), "no_speech", "expected a server with --audio"),
        (schema.SetExpression(5, 0.0, 2, np.zeros(2, np.float32), np.ones(2, np.uint8)), "bad_value", "expected 9"),
        (
            schema.SetExpression(5, 0.0, 9, np.zeros(9, np.float32), np.full(9, 7, np.uint8)),
            "bad_value",
            "0 or 1, got 7",
        ),
        (schema.SetEmotion(5, "bored", 1.0, 0.0), "bad_value", "got 'bored'"),
        (schema.SetGaze(5, True, 0.1, 0.1, 0.0), "not_supported", "eyes"),
        (schema.PushSpeech(5, 77, 0, 8000, 1, PCM), "unknown_speech", "77"),
        (schema.CloseSpeech(5, 77), "unknown_speech", "77"),
        (schema.Resume(5, 1, np.zeros(1, np.uint8)), "not_allowed", "expected a private session"),
        (schema.Shutdown(5), "not_allowed", "--allow-shutdown"),
    ],
    ids=lambda v: v.TOPIC if isinstance(v, schema.Request) else None,
)
def test_what_cannot_be_is_refused_with_its_code(request_: schema.Request, code: str, text: str):
    asked = Asked()
    asked.hello()
    refusal = asked.refused(request_)
    assert refusal.code == code
    assert text in refusal.reason
    assert asked.requests.refused == {code: 1}
    assert asked.ask(schema.GetStats(6), Stats).requests_refused == 1


def test_sound_with_a_hole_or_of_other_channels_is_refused():
    asked = Asked()
    asked.hello()
    speech_id = asked.ask(schema.OpenSpeech(1, 16_000, 1, False), schema.SpeechOpened).speech_id
    assert asked.refused(schema.PushSpeech(2, speech_id, 10, 8000, 1, PCM)).code == "sound_hole"
    stereo = np.zeros((8000, 2), np.int16)
    assert asked.refused(schema.PushSpeech(2, speech_id, 0, 8000, 2, stereo)).code == "bad_value"
    asked.ask(schema.CloseSpeech(3, speech_id), SpeechState)
    assert asked.refused(schema.PushSpeech(4, speech_id, 0, 8000, 1, PCM)).code == "unknown_speech"


def test_more_sound_than_is_held_or_than_a_second_may_bring_is_refused_with_when_to_try_again():
    limits = Limits(speech_capacity_s=2.0, sound_s_a_second=1.0, sound_burst_s=3.0)
    asked = Asked(limits=limits)
    asked.hello()
    speech_id = asked.ask(schema.OpenSpeech(1, 16_000, 1, False), schema.SpeechOpened).speech_id
    for piece in range(4):
        asked.ask(schema.PushSpeech(2, speech_id, 8000 * piece, 8000, 1, PCM), SpeechState)
    full = asked.refused(schema.PushSpeech(2, speech_id, 32_000, 8000, 1, PCM))
    assert (full.code, full.retry_after_s) == ("speech_full", pytest.approx(0.5))
    fast = [asked.refused(schema.PushSpeech(2, speech_id, 32_000, 8000, 1, PCM)) for _ in range(2)][-1]
    assert fast.code == "too_fast"
    assert fast.retry_after_s > 0


def test_too_many_requests_a_second_are_refused_and_time_heals():
    asked = Asked(limits=Limits(requests_a_second=10, request_burst=20))
    asked.hello()
    for _ in range(20):
        asked.ask(schema.Ping(1, 0.0), Pong)
    refusal = asked.refused(schema.Ping(1, 0.0))
    assert refusal.code == "too_fast"
    asked.clock.now_s += refusal.retry_after_s + 1e-6
    asked.ask(schema.Ping(1, 0.0), Pong)


def test_statistics_tell_of_the_session_and_the_server():
    asked = Asked(recording=RECORDING, lead_s=0.2)
    asked.hello()
    asked.watch(1, FrameQ16, Audio)
    asked.until(3.0)
    stats = asked.ask(schema.GetStats(3), Stats)
    assert (stats.request_id, stats.speaking) == (3, True)
    assert stats.frames_sent == stats.audio_chunks_sent == 76
    assert stats.frames_per_second == pytest.approx(25, abs=1)
    assert stats.stream_time_s == pytest.approx(2.8, abs=1e-6)
    assert stats.backend == "fused"
    assert (stats.clients, stats.session_clients, stats.sessions) == (1, 1, 2)
    assert stats.speech_waiting_s == pytest.approx(1.0, abs=0.35)


def test_what_is_no_request_is_refused_without_a_number():
    asked = Asked()
    for data, code in (
        (b"GET / HTTP/1.1" + b" " * 30, "malformed"),
        (bytes(encode(schema.StreamEnd(1, 0, 1, 1.0))), "not_a_request"),
        (bytes(encode(schema.Play(9), wire_version=99)), "wire_version"),
    ):
        answered = asked.requests.answer(b"a", data)
        refusal = decode(answered.data)
        assert isinstance(refusal, schema.Refusal)
        assert (refusal.code, refusal.request_id) == (code, 0)
        assert answered.sound == (code != "malformed")
    asked.requests.refuse_shapeless()
    assert asked.requests.refused.total() == 4


def test_a_mistake_of_ours_is_answered_and_the_server_lives(monkeypatch: pytest.MonkeyPatch):
    asked = Asked()
    asked.hello()

    def fails() -> None:
        raise ValueError("expected\x1b something else")

    monkeypatch.setattr(asked.table.get(1), "stop", fails)
    refusal = asked.refused(schema.Stop(8))
    assert refusal.code == "failed"
    assert refusal.reason == "stop could not be carried out: expected? something else"
    asked.ask(schema.Ping(9, 0.0), Pong)


def test_a_device_of_an_odd_name_does_not_spoil_the_statistics():
    asked = Asked()
    asked.hello()
    asked.requests.source = lambda: "Mic\x07rophone: running"
    assert asked.ask(schema.GetStats(1), Stats).source == "Mic?rophone: running"


def test_every_code_is_one_that_is_documented():
    asked = Asked(limits=Limits(client_count=1, requests_a_second=1, request_burst=1))
    asked.hello()
    for _ in range(3):
        asked.refused(schema.Play(1))
    assert set(asked.requests.refused) <= set(schema.REFUSAL_CODES)
