"""What a server takes back leaves no trace, what it stands by comes out once and in order of time."""

from __future__ import annotations

import numpy as np

from gstalker.bridge.client.client import Received
from gstalker.bridge.client.settling import Settling
from gstalker.bridge.schema import Audio, FrameQ16, SpeechEnd

POSE = (1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)


def frame(sequence: int, index: int, sent_at_s: float) -> Received:
    movers = np.zeros((1, 16), np.uint8)
    return Received(FrameQ16(1, sequence, index, index / 25, sent_at_s, POSE, POSE, 1, movers), 0.0)


def sound(sequence: int, index: int, speech_id: int = 0) -> Received:
    pcm = np.arange(640, dtype=np.int16)
    return Received(Audio(1, sequence, speech_id, index / 25, index / 25 - 0.2, 640, pcm), 0.0)


def test_frames_come_out_when_the_server_s_clock_has_passed_them():
    settling = Settling(16_000)
    for index in range(10):
        settling.put(frame(index, index, index / 25 - 0.2))
    assert [r.message.index for r in settling.settled()] == [0, 1, 2, 3]  # type: ignore[attr-defined]
    assert settling.settled() == []
    assert [r.message.index for r in settling.rest()] == [4, 5, 6, 7, 8, 9]  # type: ignore[attr-defined]
    assert settling.rest() == []


def test_of_a_time_that_was_sent_twice_only_the_newer_frame_is_kept():
    settling = Settling(16_000)
    for index in range(8):
        settling.put(frame(index, index, 0.0))
    for sequence, index in ((8, 5), (9, 6)):
        settling.put(frame(sequence, index, 0.1))
    assert settling.frames_superseded == 3
    kept = [(r.message.index, r.message.sequence) for r in settling.rest()]  # type: ignore[attr-defined]
    assert kept == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 8), (6, 9)]


def test_the_sound_behind_a_cut_is_left_out_to_the_sample():
    settling = Settling(16_000)
    for index in range(5):
        settling.put(sound(index, index))
    settling.put(sound(5, 4, speech_id=1))  # the next utterance already
    settling.put(Received(SpeechEnd(1, 0, 0, 1700 / 16_000, True), 0.0))
    kept = [(r.message.sequence, r.message.sample_count) for r in settling.rest()]  # type: ignore[attr-defined]
    assert kept == [(0, 640), (1, 640), (2, 420), (5, 640)]
    assert settling.void_sequences == [3, 4]
    assert settling.samples_void == 220 + 2 * 640
