"""One clock as a straight line of another: a robust fit through the newest readings of both, in bounded memory.

Quartz clocks differ by at most a few hundred parts in a million and change that by less than one in a minute, so a
line through the last minutes foretells the next seconds to microseconds. A known prior for the slope keeps the first
second, in which a slope cannot be seen, from inventing one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

USUAL_DRIFT = 300e-6  # one standard deviation of the rates of two clocks, before anything is measured
KEPT_DRIFT = 20e-6  # and of what it may have changed by where only the offset is found anew
_HUBER = 2.0  # readings further off than this many standard deviations lose weight in proportion
_ROUNDS = 4


class ClockLine:
    """Foretells `other = own + offset + drift * (own - newest own)`."""

    def __init__(self, span_s: float, capacity: int, errors_s: Callable[[np.ndarray], np.ndarray]) -> None:
        """Start with no reading.

        Args:
            span_s: readings older than this, on the own clock, are forgotten.
            capacity: how many readings are kept at most.
            errors_s: standard errors (> 0) of all readings kept, from what `add` was told of each.
        """
        self._span_s, self._errors_s = span_s, errors_s
        self._readings: deque[tuple[float, float, float]] = deque(maxlen=capacity)
        self.clear()

    def clear(self, *, keep_drift: bool = False) -> None:
        """Forget everything, or all but how much faster the other clock runs."""
        self._readings.clear()
        self.reference_s = self.offset_s = 0.0
        if not keep_drift:
            self.drift = 0.0
        self._drift_before, self._drift_error = self.drift, KEPT_DRIFT if keep_drift else USUAL_DRIFT
        self._covariance = np.diag([np.inf, self._drift_error**2])

    def __len__(self) -> int:
        return len(self._readings)

    def add(self, own_s: float, other_s: float, quality: float) -> None:
        """One reading of both clocks, and what tells its error; fits anew."""
        self._readings.append((own_s, other_s - own_s, quality))
        while self._readings[0][0] < own_s - self._span_s:
            self._readings.popleft()
        self._fit()

    def at(self, own_s: float) -> float:
        """What the other clock shows when the own one shows this; needs a reading."""
        return own_s + self.offset_s + self.drift * (own_s - self.reference_s)

    def inverse(self, other_s: float) -> float:
        """What the own clock shows when the other one shows this."""
        own_s = other_s - self.offset_s
        return self.reference_s + (own_s - self.reference_s) / (1 + self.drift)

    def error_s(self, own_s: float) -> float:
        """One standard deviation of `at`; infinite without a reading."""
        if not self._readings:
            return float("inf")
        lever = np.array([1.0, own_s - self.reference_s])
        return float(np.sqrt(lever @ self._covariance @ lever))

    def _fit(self) -> None:
        own, difference, quality = np.array(self._readings).T
        error = self._errors_s(quality)
        self.reference_s = float(own[-1])
        base = float(difference[-1])  # subtracted, so that days of uptime cost no digits
        design = np.stack([np.ones_like(own), own - self.reference_s], axis=1)
        prior = np.diag([0.0, self._drift_error**-2])
        pull = prior @ np.array([0.0, self._drift_before])
        trust, solution = np.ones_like(own), np.zeros(2)
        for _ in range(_ROUNDS):
            weighted = design * (trust / error**2)[:, None]
            self._covariance = np.linalg.inv(design.T @ weighted + prior)
            solution = self._covariance @ (weighted.T @ (difference - base) + pull)
            residual = np.abs(difference - base - design @ solution) / error
            trust = _HUBER / np.maximum(residual, _HUBER)
        self.offset_s, self.drift = base + float(solution[0]), float(solution[1])
