"""What a server counts while it serves, in memory that does not grow."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

RECENT_FRAMES = 16_384  # percentiles are over these, eleven minutes at 25 Hz


@dataclass
class Recent:
    """The last values of a series, and the largest of all."""

    values: np.ndarray = field(default_factory=lambda: np.zeros(RECENT_FRAMES, np.float32))
    count: int = 0
    largest: float = 0.0

    def add(self, value: float) -> None:
        self.values[self.count % len(self.values)] = value
        self.largest = max(self.largest, value) if self.count else value
        self.count += 1

    def percentile(self, percent: float) -> float:
        """0 while there are no values."""
        kept = self.values[: min(self.count, len(self.values))]
        return float(np.percentile(kept, percent)) if len(kept) else 0.0


class RecentRate:
    """How many events a second there were of late."""

    def __init__(self, window_s: float = 2.0, most: int = 1024) -> None:
        """Remember at most so many events: 1024 in 2 s are more frames than any session sends."""
        self._window_s = window_s
        self._at_s = np.full(most, -np.inf)
        self._count = 0

    def add(self, now_s: float) -> None:
        self._at_s[self._count % len(self._at_s)] = now_s
        self._count += 1

    def a_second(self, now_s: float) -> float:
        return float(np.count_nonzero(self._at_s > now_s - self._window_s)) / self._window_s


@dataclass
class ServeStatistics:
    """How well a session keeps time.

    Lateness is counted from the time a frame was due to leave, which is the lead before its presentation; a frame
    is late when it leaves after its presentation time, that is when its lateness exceeds the lead.
    """

    frames_sent: int = 0
    frames_late: int = 0
    frames_dropped: int = 0
    frames_refused: int = 0
    frames_superseded: int = 0
    audio_chunks_sent: int = 0
    lateness_s: Recent = field(default_factory=Recent)
    compute_s: Recent = field(default_factory=Recent)
    rate: RecentRate = field(default_factory=RecentRate)

    def frame_sent(
        self, now_s: float, lateness_s: float | None, lead_s: float, compute_s: float, *, again: bool
    ) -> None:
        """Count a frame.

        Args:
            now_s: the steady clock.
            lateness_s: None where it was not due before something else happened.
            lead_s: lateness from which it is late.
            compute_s: what it took.
            again: whether one of the same number was sent before.
        """
        self.frames_sent += 1
        self.frames_superseded += again
        if lateness_s is not None:
            self.frames_late += lateness_s > lead_s
            self.lateness_s.add(lateness_s)
        self.compute_s.add(compute_s)
        self.rate.add(now_s)

    def summary(self) -> str:
        """One line for a person."""
        return (
            f"{self.frames_sent} frames sent, {self.frames_late} late, {self.frames_dropped} dropped, "
            f"{self.frames_refused} refused, "
            f"{self.audio_chunks_sent} pieces of sound; lateness p50 {1e3 * self.lateness_s.percentile(50):.1f} ms, "
            f"p99 {1e3 * self.lateness_s.percentile(99):.1f} ms, max {1e3 * self.lateness_s.largest:.1f} ms; "
            f"compute p50 {1e3 * self.compute_s.percentile(50):.1f} ms, "
            f"p99 {1e3 * self.compute_s.percentile(99):.1f} ms a frame"
        )
