"""How loud the speech is around each video frame: what a mouth that follows the voice must correlate with."""

from __future__ import annotations

import numpy as np

from gstalker.runtime.dataset import AUDIO_RATE_HZ, FPS

WINDOW_S = 0.08
FLOOR_DB = 40.0  # quieter than this below the loud parts is silence, whose level means nothing
LAGS_S = np.round(np.arange(-40, 41) * 0.01, 2)  # +-400 ms in steps of 10 ms


def loudness_db(samples: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Level of the sound at given times, in dB above the silence floor: 0 is silence, FLOOR_DB loud speech.

    Root mean square over a Hann window of 80 ms, counted from the 95th percentile of the whole sound.

    Args:
        samples: (S,) float32, 16 kHz, -1..1.
        times_s: any shape.

    Returns:
        The shape of times_s, float64; NaN where the time lies outside of the sound.
    """
    hop = AUDIO_RATE_HZ // 100
    window = np.hanning(int(WINDOW_S * AUDIO_RATE_HZ))
    energy = np.convolve(np.asarray(samples, np.float64) ** 2, window / window.sum(), mode="same")[::hop]
    level = 10.0 * np.log10(np.maximum(energy, 1e-12))
    level = np.clip(level - np.percentile(level, 95) + FLOOR_DB, 0.0, None)
    times_s = np.asarray(times_s, np.float64)
    inside = (times_s >= 0.0) & (times_s <= len(samples) / AUDIO_RATE_HZ)
    return np.where(inside, np.interp(times_s * 100.0, np.arange(len(level)), level), np.nan)


def frame_loudness_db(samples: np.ndarray, frame_count: int) -> np.ndarray:
    """(T,) level at each frame, dB above silence."""
    return loudness_db(samples, np.arange(frame_count) / FPS)


def shifted_loudness_db(samples: np.ndarray, frame_count: int) -> np.ndarray:
    """(L, T): row i is the level LAGS_S[i] before each frame, NaN outside of the sound."""
    return loudness_db(samples, np.arange(frame_count)[None, :] / FPS - LAGS_S[:, None])
