"""The pitch of a short piece of speech.

YIN: de Cheveigne, Kawahara 2002, YIN, a fundamental frequency estimator for speech and music, J. Acoust. Soc. Am.
111(4), 1917-1930; steps 1 to 5.
"""

from __future__ import annotations

import numpy as np

from gstalker.runtime.audio import SAMPLE_RATE_HZ

LOWEST_HZ, HIGHEST_HZ = 65.0, 500.0
DIP = 0.15  # of the normalised difference: below, a lag is a period
LONGEST_LAG = int(SAMPLE_RATE_HZ / LOWEST_HZ)
SHORTEST_LAG = int(SAMPLE_RATE_HZ / HIGHEST_HZ)
PITCH_SAMPLES = 1024  # 64 ms: three periods of the lowest voices beside the longest lag


def pitch_hz(samples: np.ndarray) -> float:
    """The pitch of (PITCH_SAMPLES,) samples at 16 kHz, of any scale; 0 where nothing repeats.

    Raises:
        ValueError: another number of samples.
    """
    x = np.asarray(samples, np.float64)
    if x.shape != (PITCH_SAMPLES,):
        raise ValueError(f"pitch_hz: expected ({PITCH_SAMPLES},) samples, got {x.shape}.")
    window = PITCH_SAMPLES - LONGEST_LAG
    power = np.concatenate([[0.0], np.cumsum(x * x)])
    energies = power[window : window + LONGEST_LAG + 1] - power[: LONGEST_LAG + 1]
    difference = energies[0] + energies - 2.0 * np.correlate(x, x[:window], mode="valid")
    return period_pitch_hz(normalised_difference(difference))


def normalised_difference(difference: np.ndarray) -> np.ndarray:
    """(L,) squared differences at lags 0.. to the same over their mean so far; 1 at lag 0 and in silence."""
    sums = np.cumsum(difference[1:])
    lags = np.arange(1, len(difference))
    ratio = np.divide(difference[1:] * lags, sums, out=np.ones(len(lags)), where=sums > 1e-9)
    return np.concatenate([[1.0], ratio])


def period_pitch_hz(normalised: np.ndarray) -> float:
    """The pitch of the first dip below DIP, its lowest point found between samples; 0 where there is none."""
    low = np.flatnonzero(normalised[SHORTEST_LAG:-1] < DIP)
    if not len(low):
        return 0.0
    lag = SHORTEST_LAG + int(low[0])
    while lag + 2 < len(normalised) and normalised[lag + 1] < normalised[lag]:
        lag += 1
    before, here, after = normalised[lag - 1 : lag + 2]
    curve = before - 2 * here + after
    offset = 0.5 * (before - after) / curve if curve > 1e-12 else 0.0
    return SAMPLE_RATE_HZ / (lag + min(max(offset, -0.5), 0.5))
