"""How well one curve over time follows another: correlation, amplitude ratio, lag.

Clips differ in their mean level (a head nearer to the camera has a wider mouth), which says nothing about
speech: curves are centred clip by clip and then pooled, so that long clips count more than short ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Below this share of the real spread a curve is what the detector makes of a still face, so it gets no
# correlation (measured on a real speaker: 0.10 for the lips of a static model whose head follows the tracks).
STILL_AMPLITUDE = 0.15
_NO_SPREAD = 1e-9


@dataclass(frozen=True)
class Agreement:
    """A measured curve against the real one, pooled over clips.

    Attributes:
        correlation: Pearson's; None where either curve stands still.
        amplitude_ratio: spread (standard deviation) of the measured over that of the real one; an averaged
            mouth correlates well and shows here. None where the real one stands still.
        error: mean absolute difference of the uncentred curves, in their unit; None with no frames.
        frames: how many frames both curves know.
    """

    correlation: float | None
    amplitude_ratio: float | None
    error: float | None
    frames: int


def agreement(measured: Sequence[np.ndarray], real: Sequence[np.ndarray]) -> Agreement:
    """Compare curves of one unit.

    Args:
        measured, real: one (T,) array a clip, of equal lengths; NaN where unknown.
    """
    pairs = _known_pairs(measured, real)
    if not pairs:
        return Agreement(None, None, None, 0)
    error = float(np.concatenate([np.abs(m - r) for m, r in pairs]).mean())
    m, r = _centred(pairs)
    if r.std() < _NO_SPREAD:
        return Agreement(None, None, error, len(m))
    ratio = float(m.std() / r.std())
    return Agreement(None if ratio < STILL_AMPLITUDE else _pearson(m, r), ratio, error, len(m))


@dataclass(frozen=True)
class Lag:
    """Where a curve fits a driving signal best.

    Attributes:
        correlation: with no shift; None where either stands still.
        lag_s: the shift with the highest correlation; positive: the curve comes after the signal. None where
            that is the first or the last shift tried: the true one lies beyond, or there is none.
        correlation_at_lag: the highest correlation.
    """

    correlation: float | None
    lag_s: float | None
    correlation_at_lag: float | None


def best_lag(signals: Sequence[np.ndarray], curves: Sequence[np.ndarray], lags_s: np.ndarray) -> Lag:
    """Search the shift that fits best.

    Args:
        signals: one (L, T) array a clip: row i is the driving signal read lags_s[i] before each frame, NaN
            where that lies outside of the clip.
        curves: one (T,) array a clip, NaN where unknown; any unit.
        lags_s: (L,) seconds, holding 0.
    """
    lags_s = np.asarray(lags_s, np.float64)
    correlations = np.full(len(lags_s), np.nan)
    for i in range(len(lags_s)):
        pairs = _known_pairs(curves, [s[i] for s in signals])
        if pairs:
            correlations[i] = _pearson(*_centred(pairs))
    if not np.isfinite(correlations).any():
        return Lag(None, None, None)
    zero, best = int(np.argmin(np.abs(lags_s))), int(np.nanargmax(correlations))
    at_zero = float(correlations[zero]) if np.isfinite(correlations[zero]) else None
    if best in (0, len(lags_s) - 1):
        return Lag(at_zero, None, None)
    return Lag(at_zero, float(lags_s[best]), float(correlations[best]))


def _known_pairs(measured: Sequence[np.ndarray], real: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    pairs = []
    for m, r in zip(measured, real, strict=True):
        known = np.isfinite(m) & np.isfinite(r)
        if known.sum() >= 2:
            pairs.append((np.asarray(m, np.float64)[known], np.asarray(r, np.float64)[known]))
    return pairs


def _centred(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.concatenate([m - m.mean() for m, _ in pairs]),
        np.concatenate([r - r.mean() for _, r in pairs]),
    )


def _pearson(m: np.ndarray, r: np.ndarray) -> float:
    """Of centred curves; NaN where either stands still."""
    if m.std() < _NO_SPREAD or r.std() < _NO_SPREAD:
        return float("nan")
    return float(np.mean(m * r) / (m.std() * r.std()))
