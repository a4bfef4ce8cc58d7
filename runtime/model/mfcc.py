"""Mel-frequency cepstra as DeepSpeech 0.9 takes them, written from TensorFlow's documented operators.

A spectrum every 20 ms over 32 ms (periodic Hann), magnitudes summed through 40 mel triangles from 20 Hz to 8 kHz
(HTK scale), logarithm, DCT-II scaled by sqrt(2 / 40), the first 26 coefficients. Not yet compared with DeepSpeech
itself, whose weights no package index holds: small differences of scale are for the trained network behind it.
"""

from __future__ import annotations

import numpy as np

from gstalker.runtime.audio import SAMPLE_RATE_HZ

CEPSTRA = 26
CONTEXT = 9  # neighbours on each side
WINDOW_SAMPLES, HOP_SAMPLES = 512, 320
BANDS = 40
LOW_HZ, HIGH_HZ = 20.0, SAMPLE_RATE_HZ / 2
FLOOR = 1e-12


def mfcc(samples: np.ndarray) -> np.ndarray:
    """(T, 26) float32 of (S,) 16 kHz speech, T = 1 + (S - 512) // 320.

    Raises:
        ValueError: shorter than one spectrum.
    """
    if len(samples) < WINDOW_SAMPLES:
        raise ValueError(f"mfcc: expected at least {WINDOW_SAMPLES} samples, got {len(samples)}.")
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(samples, np.float64), WINDOW_SAMPLES)[::HOP_SAMPLES]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    magnitude = np.abs(np.fft.rfft(windows * hann, axis=1))
    logs = np.log(np.maximum(magnitude @ _triangles().T, FLOOR))
    angles = np.pi / BANDS * np.outer(np.arange(CEPSTRA), np.arange(BANDS) + 0.5)
    return (np.sqrt(2.0 / BANDS) * logs @ np.cos(angles).T).astype(np.float32)


def mfcc_with_context(samples: np.ndarray) -> np.ndarray:
    """(T, 19, 26) float32: each row with its nine neighbours before and after, zeros beyond the ends."""
    rows = np.pad(mfcc(samples), ((CONTEXT, CONTEXT), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(rows, 2 * CONTEXT + 1, axis=0).transpose(0, 2, 1).copy()


def _triangles() -> np.ndarray:
    """(40, 257) triangles of height 1, evenly spaced on the HTK scale."""
    low, high = (1127.0 * np.log1p(hz / 700.0) for hz in (LOW_HZ, HIGH_HZ))
    corners = np.linspace(low, high, BANDS + 2)
    bins_hz = np.arange(WINDOW_SAMPLES // 2 + 1) * SAMPLE_RATE_HZ / WINDOW_SAMPLES
    mel = 1127.0 * np.log1p(bins_hz / 700.0)
    rising = (mel - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - mel) / (corners[2:] - corners[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rising, falling))
