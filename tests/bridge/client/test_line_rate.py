"""A client asks for as many frames as its line carries, on a simulated line that lets messages wait and drops them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from gstalker.bridge.client.line_rate import LineRate, RateOptions

FPS = 25
FRAME_BYTES, SOUND_BYTES = 8000, 1300
ROAD_S, JITTER_S = 0.03, 0.02
HOLDS_BYTES = 100_000  # on the way at most: what comes then is dropped


@dataclass
class ThinLine:
    """A server that sends every `divisor`-th frame and all sound, and a line of so many bytes a second."""

    bytes_per_s: float
    seed: int = 0
    now_s: float = 0.0
    free_s: float = 0.0  # when the line has passed on what was given to it
    sequence: int = 0
    came: list[tuple[float, float, int]] = field(default_factory=list)  # when, of which frame's time, at which divisor

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.rate = LineRate(FPS)
        self._under_way: list[tuple[float, int, float]] = []

    def run(self, seconds: float, stalls: tuple[float, ...] = ()) -> None:
        """On for so long; nothing passes for 0.4 s from each of the stalls' times on."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            index = round(self.now_s * FPS)
            self._give(SOUND_BYTES, stalls)
            if index % self.rate.divisor == 0:
                came_s = self._give(FRAME_BYTES, stalls)
                if came_s is not None:
                    self._under_way.append((came_s, self.sequence, self.now_s))
                self.sequence += 1
            self.now_s += 1 / FPS
            while self._under_way and self._under_way[0][0] <= self.now_s:
                came_s, sequence, sent_s = self._under_way.pop(0)
                self.rate.frame(sequence, sent_s, came_s)
                self.came.append((came_s, sent_s, self.rate.divisor))

    def _give(self, size: int, stalls: tuple[float, ...]) -> float | None:
        if (self.free_s - self.now_s) * self.bytes_per_s > HOLDS_BYTES:
            return None
        self.free_s = max(self.free_s, self.now_s) + size / self.bytes_per_s
        for stall_s in stalls:
            if stall_s <= self.free_s < stall_s + 0.4:
                self.free_s = stall_s + 0.4
        last_s = self._under_way[-1][0] if self._under_way else 0.0
        return max(last_s, self.free_s + ROAD_S + self.rng.uniform(0, JITTER_S))

    def divisors(self, since_s: float) -> list[int]:
        return [divisor for came_s, _, divisor in self.came if came_s >= since_s]

    def waits_s(self, since_s: float) -> np.ndarray:
        return np.array([came_s - sent_s for came_s, sent_s, _ in self.came if came_s >= since_s])


@pytest.mark.parametrize("seed", range(4))
def test_on_a_line_that_carries_all_of_them_every_frame_is_asked_for_whatever_the_jitter(seed: int):
    line = ThinLine(1e6, seed)
    line.run(120.0)
    assert set(line.divisors(0.0)) == {1}


def test_a_line_that_stalls_now_and_then_is_not_asked_for_less():
    line = ThinLine(1e6)
    line.run(60.0, stalls=(10.0, 12.0, 14.0, 30.0, 45.3))
    assert line.rate.lowered == 0


@pytest.mark.parametrize("share", [0.35, 0.5, 0.8])
def test_on_a_line_that_became_too_thin_frames_come_in_time_again_within_seconds(share: float):
    line = ThinLine(1e6)
    line.run(10.0)
    sent_per_s = FPS * (FRAME_BYTES + SOUND_BYTES)
    line.bytes_per_s = share * sent_per_s
    line.run(60.0)
    # Measured: 2.5 s until the wish is there, then what waits drains. A try for more lets some wait again, briefly.
    assert (line.waits_s(18.0) < 0.5).mean() > 0.9
    carried = share * sent_per_s / (SOUND_BYTES * FPS + FRAME_BYTES * FPS / np.array(line.divisors(18.0)))
    assert np.median(carried) >= 1.0
    assert line.rate.raised <= 12, "it tries again and again"


def test_on_a_line_that_is_free_again_every_frame_is_asked_for_again():
    line = ThinLine(1e6)
    line.run(5.0)
    line.bytes_per_s = 0.5 * FPS * (FRAME_BYTES + SOUND_BYTES)
    line.run(15.0)
    assert line.rate.divisor > 1
    line.bytes_per_s = 1e6
    line.run(60.0)
    assert line.rate.divisor == 1
    assert set(line.divisors(line.now_s - 20.0)) == {1}


def test_tries_for_more_become_rare_where_they_fail():
    line = ThinLine(0.3 * FPS * (FRAME_BYTES + SOUND_BYTES))
    line.run(300.0)
    changes = np.flatnonzero(np.diff([divisor for _, _, divisor in line.came]) < 0)
    tried_s = [line.came[i][0] for i in changes]
    assert len(tried_s) >= 2
    assert max(np.diff(tried_s)) > 6 * RateOptions().try_s
    assert max(divisor for _, _, divisor in line.came) <= RateOptions().largest_divisor


def test_a_session_s_clock_that_was_set_anew_begins_anew():
    line = ThinLine(0.3 * FPS * (FRAME_BYTES + SOUND_BYTES))
    line.run(15.0)
    assert line.rate.divisor > 1
    line.rate.frame(line.sequence, 0.0, 0.05)
    assert line.rate.divisor == 1
