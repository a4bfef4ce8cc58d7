"""Pushed speech: what is asked when, how it waits for room, and what becomes of refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstalker.bridge.client.pushed_speech import AHEAD_S, PIECE_S, PushedSpeech, to_pcm
from gstalker.bridge.schema import CloseSpeech, OpenSpeech, PushSpeech, Refusal, SpeechOpened, SpeechState
from gstalker.runtime.errors import InputError

RATE_HZ = 24_000


class Server:
    """Takes speech and speaks it at one second a second."""

    def __init__(self, capacity_s: float = 60.0) -> None:
        self.capacity_s = capacity_s
        self.pcm: list[np.ndarray] = []
        self.most_waiting_s = 0.0
        self.began_s = 0.0
        self.closed = False

    def answer(self, request, now_s: float):
        if isinstance(request, OpenSpeech):
            self.began_s = now_s
            return SpeechOpened(request.request_id, 7)
        assert request.speech_id == 7
        waiting_s = self.received_s - min(self.received_s, now_s - self.began_s)
        if isinstance(request, PushSpeech):
            assert request.first_sample == sum(len(p) for p in self.pcm)
            if waiting_s + request.sample_count / RATE_HZ > self.capacity_s:
                return Refusal(request.request_id, "speech_full", "full.", 0.3)
            self.pcm.append(request.pcm)
            waiting_s += request.sample_count / RATE_HZ
        self.closed = isinstance(request, CloseSpeech)
        self.most_waiting_s = max(self.most_waiting_s, waiting_s)
        return SpeechState(request.request_id, 7, self.received_s, waiting_s)

    @property
    def received_s(self) -> float:
        return sum(len(p) for p in self.pcm) / RATE_HZ


def run(speech: PushedSpeech, server: Server, seconds: float = 60.0) -> float:
    """Ask ten times a second until it is finished; the time that took."""
    now_s = 100.0
    while not speech.finished and now_s < 100.0 + seconds:
        for _ in range(5):
            request = speech.next_request(1, now_s)
            if request is None:
                break
            speech.answered(request, server.answer(request, now_s), now_s, "tcp://server")
        now_s += 0.1
    return now_s - 100.0


@given(cuts=st.lists(st.integers(1, 40_000), max_size=6))
def test_every_sample_arrives_once_and_in_order_however_it_was_cut(cuts: list[int]):
    samples = np.random.default_rng(0).integers(-32_768, 32_767, 60_000).astype(np.int16)
    speech, server = PushedSpeech(RATE_HZ, 1, False, 60.0), Server()
    for piece in np.split(samples, sorted(cuts)):
        speech.add(piece)
    speech.close()
    run(speech, server)
    assert speech.finished
    assert server.closed
    assert not speech.cut
    np.testing.assert_array_equal(np.concatenate(server.pcm)[:, 0], samples)
    assert max(len(p) for p in server.pcm) <= PIECE_S * RATE_HZ


def test_no_more_waits_at_the_server_than_some_seconds():
    speech, server = PushedSpeech(RATE_HZ, 1, False, 60.0), Server()
    speech.add(np.zeros(20 * RATE_HZ, np.int16))
    speech.close()
    took_s = run(speech, server)
    assert server.most_waiting_s <= AHEAD_S + PIECE_S + 0.01
    assert took_s == pytest.approx(20 - AHEAD_S, abs=0.5)  # the last seconds still wait at the server
    assert speech.received_s == pytest.approx(20)


def test_a_small_server_is_never_filled_beyond_its_room():
    speech, server = PushedSpeech(RATE_HZ, 1, False, capacity_s=1.0), Server(capacity_s=1.0)
    speech.add(np.zeros(3 * RATE_HZ, np.int16))
    speech.close()
    run(speech, server)
    assert server.closed
    assert server.most_waiting_s <= 1.0


def test_a_full_server_is_asked_again_after_the_time_it_names():
    speech, server = PushedSpeech(RATE_HZ, 1, False, 60.0), Server(capacity_s=0.5)
    speech.add(np.zeros(2 * RATE_HZ, np.int16))
    speech.close()
    run(speech, server)
    assert server.closed
    assert speech.refusal is None
    assert server.received_s == pytest.approx(2.0)


def test_an_iterator_is_drawn_from_only_as_sound_is_needed():
    drawn = 0

    def voice():
        nonlocal drawn
        for _ in range(100):
            drawn += 1
            yield np.zeros(RATE_HZ // 2, np.float32)

    speech, server = PushedSpeech(RATE_HZ, 1, False, 60.0), Server()
    speech.add_all(voice())
    run(speech, server, seconds=1.0)
    assert drawn <= 2 * (AHEAD_S + 1.0) + 2
    assert not speech.finished


def test_the_end_of_an_iterator_closes_the_utterance():
    speech, server = PushedSpeech(RATE_HZ, 2, True, 60.0), Server()
    speech.add_all(iter([np.zeros((4800, 2), np.int16)] * 3))
    run(speech, server)
    assert server.closed
    assert server.received_s == pytest.approx(0.6)


def test_a_stop_ends_it_without_an_error_and_any_other_refusal_is_kept():
    for code, cut in (("unknown_speech", True), ("sound_hole", False)):
        speech, server = PushedSpeech(RATE_HZ, 1, False, 60.0), Server()
        speech.add(np.zeros(RATE_HZ, np.int16))
        request = speech.next_request(1, 0.0)
        assert isinstance(request, OpenSpeech)
        speech.answered(request, server.answer(request, 0.0), 0.0, "tcp://server")
        request = speech.next_request(2, 0.0)
        assert request is not None
        speech.answered(request, Refusal(2, code, "no.", 0.0), 0.0, "tcp://server")
        assert speech.finished
        assert speech.cut is cut
        if not cut:
            assert speech.refusal is not None
            assert speech.refusal.code == code
            assert str(speech.refusal) == "tcp://server: refused push_speech: no."
        assert speech.next_request(3, 10.0) is None


def test_a_lost_connection_ends_it():
    speech = PushedSpeech(RATE_HZ, 1, False, 60.0)
    speech.add(np.zeros(RATE_HZ, np.int16))
    assert speech.queued_s == pytest.approx(1.0)
    speech.abandon()
    assert speech.cut
    assert speech.finished
    assert speech.queued_s == 0


def test_only_one_request_is_under_way():
    speech = PushedSpeech(RATE_HZ, 1, False, 60.0)
    assert speech.next_request(1, 0.0) is not None
    assert speech.next_request(2, 0.0) is None


def test_floats_become_sixteen_bits():
    pcm = to_pcm(np.array([0.0, 0.5, -1.0, 2.0]), 1)
    assert pcm.tolist() == [[0], [16384], [-32767], [32767]]


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (np.zeros((5, 2), np.int16), r"expected samples of shape \(S, 1\) or \(S,\), got \(5, 2\)"),
        (np.zeros(5, np.int32), "expected int16 or floating point samples, got int32"),
        (np.array([np.nan]), "expected finite samples, got NaN or infinity"),
    ],
)
def test_samples_that_are_no_sound_are_refused(samples: np.ndarray, text: str):
    with pytest.raises(InputError, match=text):
        PushedSpeech(RATE_HZ, 1, False, 60.0).add(samples)


def test_sound_after_the_end_is_refused():
    speech = PushedSpeech(RATE_HZ, 1, False, 60.0)
    speech.close()
    with pytest.raises(InputError, match=r"expected no more sound after close\(\), got some"):
        speech.add(np.zeros(5, np.int16))
