"""The ranges that the 16-byte codes of `quantise` divide, and how many codes there are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

BYTES_PER_MOVER = 16
POSITION_CODES = 65535
"""Steps across the box on one axis; also of the opacity across 0..1."""
ROTATION_ZERO_CODE = 511
"""Code of a rotation component that is zero; the codes run from 0 to twice this."""
LOG_SCALE_CODES = 1023
"""Steps across the range of log-scales."""


MIN_POSITION_MARGIN_M = 1e-3
MIN_LOG_SCALE_MARGIN = 0.05


@dataclass(frozen=True)
class QuantisationBox:
    """The ranges that the codes of a bundle cover, the same for all its frames.

    Attributes:
        position_min_m, position_max_m: corners of the box of all centres, metres, in part space.
        log_scale_min, log_scale_max: range of the natural logarithms of the standard deviations in metres.
    """

    position_min_m: tuple[float, float, float]
    position_max_m: tuple[float, float, float]
    log_scale_min: float
    log_scale_max: float

    def __post_init__(self) -> None:
        low, high = np.asarray(self.position_min_m, float), np.asarray(self.position_max_m, float)
        if low.shape != (3,) or high.shape != (3,) or not (np.isfinite(high - low).all() and (low < high).all()):
            raise ValueError(
                f"QuantisationBox: expected position_min_m < position_max_m, three finite numbers each, "
                f"got {self.position_min_m} and {self.position_max_m}."
            )
        if not (math.isfinite(self.log_scale_max - self.log_scale_min) and self.log_scale_min < self.log_scale_max):
            raise ValueError(
                f"QuantisationBox: expected finite log_scale_min < log_scale_max, "
                f"got {self.log_scale_min} and {self.log_scale_max}."
            )

    @property
    def position_step_m(self) -> tuple[float, float, float]:
        """Metres a position code on each axis."""
        steps = [(b - a) / POSITION_CODES for a, b in zip(self.position_min_m, self.position_max_m, strict=True)]
        return steps[0], steps[1], steps[2]

    @property
    def log_scale_step(self) -> float:
        """Change of the log-scale a code."""
        return (self.log_scale_max - self.log_scale_min) / LOG_SCALE_CODES


def box_for(
    means_min_m: np.ndarray,
    means_max_m: np.ndarray,
    log_scale_min: float,
    log_scale_max: float,
    *,
    margin: float = 0.25,
) -> QuantisationBox:
    """A box with room around the extremes met so far: speech not heard yet moves things a little further.

    Args:
        means_min_m, means_max_m: (3,) extremes of the deformed centres, metres.
        log_scale_min, log_scale_max: extremes of the deformed log-scales.
        margin: room added on each side, as a share of the extent; at least 1 mm and 0.05 are added.

    Raises:
        ValueError: an extreme is not finite, or a minimum exceeds its maximum.
    """
    low, high = np.asarray(means_min_m, float), np.asarray(means_max_m, float)
    if not (low <= high).all() or not log_scale_min <= log_scale_max:
        raise ValueError(
            f"box_for: expected minima <= maxima, got {low.tolist()} to {high.tolist()} m "
            f"and log-scales {log_scale_min} to {log_scale_max}."
        )
    room = np.maximum(margin * (high - low), MIN_POSITION_MARGIN_M)
    log_room = max(margin * (log_scale_max - log_scale_min), MIN_LOG_SCALE_MARGIN)
    return QuantisationBox(
        position_min_m=_three_float32(low - room),
        position_max_m=_three_float32(high + room),
        log_scale_min=float(np.float32(log_scale_min - log_room)),
        log_scale_max=float(np.float32(log_scale_max + log_room)),
    )


def _three_float32(values: np.ndarray) -> tuple[float, float, float]:
    """float32 values, so that an engine that stores them as such decodes the same numbers."""
    x, y, z = (float(v) for v in values.astype(np.float32))
    return x, y, z


def coefficients(box: QuantisationBox) -> tuple[np.ndarray, np.ndarray, np.float32, np.float32]:
    """Minima and codes a unit, float32, for encoding."""
    return (
        np.array(box.position_min_m, np.float32),
        (1 / np.array(box.position_step_m)).astype(np.float32),
        np.float32(box.log_scale_min),
        np.float32(1 / box.log_scale_step),
    )


def decoding(box: QuantisationBox) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position minima and steps, float32, and the (1024,) float32 scale of every log-scale code."""
    scale_of_code = np.exp(box.log_scale_min + np.arange(LOG_SCALE_CODES + 1) * box.log_scale_step)
    return (
        np.array(box.position_min_m, np.float32),
        np.array(box.position_step_m).astype(np.float32),
        scale_of_code.astype(np.float32),
    )
