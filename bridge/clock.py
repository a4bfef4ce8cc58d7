"""The stream clock: presentation time 0 is when the first frame is to be seen and heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StreamClock:
    """Seconds since the first presentation; negative while the first frames are on their way.

    Attributes:
        started_s: the steady clock when the stream started.
        lead_s: how long before its presentation time a message leaves.
        steady: a clock that only goes forward, seconds.
    """

    started_s: float
    lead_s: float
    steady: Callable[[], float] = time.perf_counter

    @classmethod
    def start(
        cls, lead_s: float, steady: Callable[[], float] = time.perf_counter, *, first_time_s: float = 0.0
    ) -> StreamClock:
        """A clock on which the message for the first presentation time is due to leave now."""
        return cls(started_s=steady() - first_time_s, lead_s=lead_s, steady=steady)

    def now_s(self) -> float:
        return self.steady() - self.started_s - self.lead_s

    def wait_s(self, time_s: float) -> float:
        """Seconds until a message for this presentation time is due to leave; negative once it is overdue."""
        return time_s - self.lead_s - self.now_s()
