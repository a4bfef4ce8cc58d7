"""So much a second and no more, with a burst: a token bucket."""

from __future__ import annotations


class RateLimit:
    """Holds at most `burst` and gains `a_second` every second."""

    def __init__(self, a_second: float, burst: float, now_s: float) -> None:
        self.a_second, self.burst = a_second, burst
        self._left = burst
        self._at_s = now_s

    def take(self, amount: float, now_s: float) -> float:
        """Take an amount; 0 where it was there, otherwise nothing is taken and the seconds until it will be."""
        self._left = min(self.burst, self._left + (now_s - self._at_s) * self.a_second)
        self._at_s = now_s
        if amount <= self._left:
            self._left -= amount
            return 0.0
        return (min(amount, self.burst) - self._left) / self.a_second
