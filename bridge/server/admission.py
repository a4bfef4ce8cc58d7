"""Whether one more session can run without making the others late: measured costs against the time there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np

from gstalker.bridge.errors import RequestRefused

LOAD_WINDOW_S = 2.0
_SLOT_S = 0.1


class FrameCost:
    """What one frame of an avatar takes: the mean of the last frames, older ones fading out over about twenty."""

    def __init__(self) -> None:
        self.mean_s = 0.0
        self._count = 0

    def add(self, compute_s: float) -> None:
        self._count = min(self._count + 1, 20)
        self.mean_s += (compute_s - self.mean_s) / self._count


class BusyTime:
    """How much of the last two seconds was spent computing, in slots of a tenth of a second."""

    def __init__(self, steady: Callable[[], float] = time.perf_counter) -> None:
        self._steady = steady
        self._busy_s = np.zeros(round(LOAD_WINDOW_S / _SLOT_S))
        self._slot = self._slot_of(steady())

    def add(self, spent_s: float) -> None:
        """Count work that has just ended."""
        self._forget()
        self._busy_s[self._slot % len(self._busy_s)] += spent_s

    def load(self) -> float:
        """Share of the window, 0 to 1."""
        self._forget()
        return min(1.0, float(self._busy_s.sum()) / LOAD_WINDOW_S)

    def _forget(self) -> None:
        now = self._slot_of(self._steady())
        for slot in range(self._slot + 1, min(now, self._slot + len(self._busy_s)) + 1):
            self._busy_s[slot % len(self._busy_s)] = 0.0
        self._slot = now

    @staticmethod
    def _slot_of(now_s: float) -> int:
        return int(now_s / _SLOT_S)


def seconds_a_second(cost: FrameCost, fps: int, frame_divisor: int) -> float:
    """What a session asks of one thread, as a share of the time."""
    return cost.mean_s * fps / frame_divisor


def check(wanted: float, running: Iterable[float], measured: float, share: float) -> None:
    """Refuse a session that asks for more than is left.

    Args:
        wanted: what the new session asks for, as a share of the time.
        running: what each running session asks for.
        measured: share of the last two seconds that was spent on frames; more than the sum where other programs
            hold frames up.
        share: how much of the time frames may take.

    Raises:
        RequestRefused: busy.
    """
    used = max(sum(running), measured)
    if used + wanted > share:
        raise RequestRefused(
            "busy",
            f"expected room for {100 * wanted:.0f} % more work, {100 * used:.0f} % of the time is taken and at most "
            f"{100 * share:.0f} % may be. Ask again later, share a session, or start another server.",
            LOAD_WINDOW_S,
        )


def session_limit(wanted: float, running: Iterable[float], share: float, highest: int) -> int:
    """How many sessions could run as things stand: those that do, and as many more as there is time for."""
    costs = [c for c in running if c > 0]
    more = highest if wanted <= 0 else int(max(0.0, share - sum(costs)) / wanted)
    return min(highest, len(costs) + more)
