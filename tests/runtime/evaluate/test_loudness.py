"""Loudness of speech at video frames."""

from __future__ import annotations

import numpy as np

from gstalker.runtime.evaluate.loudness import FLOOR_DB, LAGS_S, frame_loudness_db, shifted_loudness_db

RATE = 16_000


def burst(start_s: float, end_s: float, length_s: float = 2.0) -> np.ndarray:
    """Noise between two times, silence elsewhere."""
    samples = np.zeros(round(length_s * RATE), np.float32)
    part = slice(round(start_s * RATE), round(end_s * RATE))
    samples[part] = np.random.default_rng(1).uniform(-0.5, 0.5, len(samples[part]))
    return samples


def test_sound_is_loud_and_silence_is_zero():
    level = frame_loudness_db(burst(0.8, 1.2), 50)
    assert np.all(level[22:29] > FLOOR_DB - 6)
    assert np.all(level[:18] == 0)
    assert np.all(level[33:] == 0)


def test_the_level_does_not_depend_on_the_recording_level():
    quiet, loud = (frame_loudness_db(g * burst(0.4, 1.6), 50) for g in (0.05, 1.0))
    np.testing.assert_allclose(quiet, loud, atol=1e-3)


def test_a_row_of_the_shifted_level_is_the_level_earlier():
    samples = burst(0.8, 1.2)
    shifted = shifted_loudness_db(samples, 50)
    row = int(np.flatnonzero(LAGS_S == 0.2)[0])  # 5 frames
    np.testing.assert_allclose(shifted[row, 5:], frame_loudness_db(samples, 50)[:-5], atol=1e-9)
    assert np.isnan(shifted[row, :5]).all(), "before the sound nothing is known"
    np.testing.assert_allclose(shifted[LAGS_S == 0.0][0], frame_loudness_db(samples, 50))
