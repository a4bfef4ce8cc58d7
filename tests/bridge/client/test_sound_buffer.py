"""The jitter buffer of the sound: what comes in any order leaves in order, holes are faded, what is void is gone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gstalker.bridge.client.sound_buffer import SoundBuffer, sinc_table

RATE_HZ = 16_000
PIECE = 640


def tone(hz: float, samples: np.ndarray) -> np.ndarray:
    return np.round(0.5 * 32768 * np.sin(2 * np.pi * hz / RATE_HZ * samples)).astype(np.int16)


def filled(hz: float = 440.0, pieces: int = 25) -> SoundBuffer:
    buffer = SoundBuffer(RATE_HZ, 4.0)
    for n in range(pieces):
        buffer.put(0, n * PIECE, tone(hz, np.arange(n * PIECE, (n + 1) * PIECE)), 0)
    return buffer


@pytest.mark.parametrize("hz", [200.0, 1000.0, 3000.0, 6000.0])
@pytest.mark.parametrize("step", [1 / 3, 0.3628, 1.005, 0.995])
def test_a_tone_read_at_another_rate_is_the_tone_to_sixty_decibels(hz: float, step: float):
    positions = 1000 + step * np.arange(4000)
    sound, gain = filled(hz).read(positions)
    error = sound - 0.5 * np.sin(2 * np.pi * hz / RATE_HZ * positions)
    assert (gain == 1).all()
    assert 20 * np.log10(0.5 / np.sqrt(2) / np.sqrt((error**2).mean())) > 60


def test_at_whole_positions_the_very_samples_come_back():
    sound, _ = filled().read(np.arange(1000.0, 2000.0))
    np.testing.assert_array_equal(np.round(sound * 32768), tone(440, np.arange(1000, 2000)))


def test_the_weights_of_every_phase_add_up_to_one():
    np.testing.assert_allclose(sinc_table().sum(axis=1), 1, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(order=st.permutations(range(12)), twice=st.lists(st.integers(0, 11), max_size=4))
def test_the_order_of_arrival_does_not_matter(order: list[int], twice: list[int]):
    buffer = SoundBuffer(RATE_HZ, 4.0)
    for n in [*order, *twice]:
        buffer.put(0, n * PIECE, tone(440, np.arange(n * PIECE, (n + 1) * PIECE)), 0)
    assert buffer.present(0, 12 * PIECE).all()
    np.testing.assert_array_equal(
        buffer.read(np.arange(200, 7000) + 0.3)[0], filled().read(np.arange(200, 7000) + 0.3)[0]
    )


def test_a_hole_is_faded_over_five_milliseconds_on_both_sides():
    buffer = SoundBuffer(RATE_HZ, 4.0)
    for n in (0, 1, 3, 4):
        buffer.put(0, n * PIECE, np.full(PIECE, 16_384, np.int16), 0)
    sound, gain = buffer.read(np.arange(100.0, 3000.0))
    heard = sound * gain
    assert np.abs(np.diff(heard)).max() < 0.02  # 0.5 over 80 samples is 0.006; the filter rings a little at the edge
    hole = slice(2 * PIECE - 100, 3 * PIECE - 100)
    assert (heard[hole] == 0).all()
    assert heard[: 2 * PIECE - 100 - 80 - 24].min() == pytest.approx(0.5, abs=1e-3)


def test_what_was_cut_is_gone_also_where_it_comes_after_the_cut():
    buffer = filled(pieces=10)
    assert buffer.end(0, 3200, played=0) == 3200
    assert buffer.present(0, 3200).all()
    assert not buffer.present(3200, 3200).any()
    assert buffer.put(0, 6400, np.ones(PIECE, np.int16), 0) == (0, 0, PIECE)
    assert buffer.put(0, 3000, np.ones(PIECE, np.int16), 0) == (200, 0, 440)
    assert buffer.put(1, 6400, np.ones(PIECE, np.int16), 0) == (PIECE, 0, 0)  # the next utterance


def test_a_cut_of_what_is_being_played_fades():
    buffer = filled(pieces=10)
    buffer.end(0, 1000, played=2000)
    assert buffer.present(2000, 80).all()
    assert not buffer.present(2080, 100).any()


def test_what_comes_too_late_and_what_comes_absurdly_early_is_counted():
    buffer = SoundBuffer(RATE_HZ, 2.0)
    assert buffer.put(0, 0, np.ones(PIECE, np.int16), 640) == (0, 640, 0)
    assert buffer.put(0, 320, np.ones(PIECE, np.int16), 640) == (320, 320, 0)
    assert buffer.put(0, 10 * 16_000, np.ones(PIECE, np.int16), 640) == (0, 0, 640)


def test_the_memory_of_ends_is_bounded_and_clearing_forgets():
    buffer = filled(pieces=2)
    for speech_id in range(500):
        buffer.end(speech_id, 0, 0)
    assert len(buffer._ends) == 64
    buffer.clear()
    assert not buffer.present(0, 1280).any()
    assert buffer.put(499, 0, np.ones(PIECE, np.int16), 0) == (PIECE, 0, 0)
