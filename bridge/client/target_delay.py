"""How long after its presentation time a client plays: not at all while messages come with time to spare.

Messages leave `lead_s` early so that what is on its way longer than usual still comes in time. Where road, waiting and
the sound device's own latency together need more than that, everything is played later by what is missing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

_KEPT = 500  # about ten seconds of frames and sound
_AGAIN = 10  # messages between two looks at all of them


@dataclass(frozen=True)
class DelayOptions:
    """How the target delay follows what comes."""

    quantile: float = 0.99  # the share of messages that must come in time
    margin_s: float = 0.01  # and this much earlier than needed
    largest_s: float = 0.5  # beyond it what is late is left out
    falls: float = 0.005  # seconds a second: slow enough to be followed by resampling


class TargetDelay:
    """The delay to play with, from how late messages come. Rises at once and falls slowly.

    Attributes:
        delay_s: after the presentation time, 0 or more.
    """

    def __init__(self, lead_s: float, options: DelayOptions) -> None:
        self._lead_s, self._options = lead_s, options
        self._late_s: deque[float] = deque(maxlen=_KEPT)
        self._since_look = 0
        self._quantile_s = 0.0
        self._moved_at_s: float | None = None
        self.delay_s = 0.0

    @property
    def jitter_s(self) -> float:
        """The stated quantile of how long after its due time of leaving a message came."""
        return self._quantile_s

    def arrived(self, late_s: float) -> None:
        """A message came so long after (presentation time - lead), on the session's clock."""
        self._late_s.append(late_s)
        self._since_look += 1
        if self._since_look >= _AGAIN or len(self._late_s) <= _AGAIN or late_s > self._quantile_s:
            self._since_look = 0
            self._quantile_s = float(np.quantile(self._late_s, self._options.quantile, method="lower"))

    def follow(self, now_s: float, device_latency_s: float) -> float:
        """The delay now, where sound leaves the buffer so long before it is heard."""
        wanted_s = self._quantile_s + self._options.margin_s + device_latency_s - self._lead_s
        wanted_s = min(max(0.0, wanted_s), self._options.largest_s) if self._late_s else 0.0
        passed_s = 0.0 if self._moved_at_s is None else max(0.0, now_s - self._moved_at_s)
        self._moved_at_s = now_s
        self.delay_s = max(wanted_s, self.delay_s - self._options.falls * passed_s)
        return self.delay_s
