"""The session's clock from pings, in simulated time: offsets, drifts, jitter, restarts and sleeping laptops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gstalker.bridge.client.clock_estimator import CAPACITY, ClockEstimator


class World:
    """Two clocks and the network between them."""

    def __init__(self, offset_s: float, drift: float, seed: int, *, least_s: float = 0.2e-3, jitter_s: float = 2e-3):
        self.offset_s, self.drift = offset_s, drift
        self.rng = np.random.default_rng(seed)
        self.least_s, self.jitter_s = least_s, jitter_s
        self.now_s = 1e5  # a machine that has been up for a day

    def session_s(self, local_s: float) -> float:
        return (local_s - 1e5) * (1 + self.drift) + self.offset_s

    def ping(self, clock: ClockEstimator) -> bool:
        there_s, back_s = self.least_s / 2 + self.rng.exponential(self.jitter_s, 2)
        sent_s = self.now_s
        return clock.add(sent_s, sent_s + there_s + back_s, self.session_s(sent_s + there_s))

    def run(self, clock: ClockEstimator, seconds: int) -> None:
        for _ in range(seconds):
            self.ping(clock)
            self.now_s += 1.0


@settings(deadline=None, max_examples=30)
@given(
    offset_s=st.floats(-1e4, 1e4),
    drift=st.floats(-500e-6, 500e-6),
    jitter_s=st.sampled_from([1e-5, 1e-3, 10e-3]),
    seed=st.integers(0, 10_000),
)
def test_after_half_a_minute_the_clock_is_known_within_what_is_stated(offset_s, drift, jitter_s, seed):
    world, clock = World(offset_s, drift, seed, jitter_s=jitter_s), ClockEstimator()
    world.run(clock, 30)
    error_s = abs(clock.session_time_s(world.now_s) - world.session_s(world.now_s))
    assert clock.jumps == 0
    assert error_s <= clock.uncertainty_s(world.now_s)
    # Measured over 1200 worlds: worst 0.75 times the mean jitter of one way, 0.65 times the uncertainty.
    assert error_s <= 1.5 * jitter_s + 0.05e-3


def test_drift_is_found_to_some_millionths():
    world, clock = World(3.0, 200e-6, 1, jitter_s=0.5e-3), ClockEstimator()
    world.run(clock, 120)
    assert clock.drift == pytest.approx(200e-6, abs=10e-6)
    assert abs(clock.session_time_s(world.now_s + 10) - world.session_s(world.now_s + 10)) < 0.5e-3


def test_one_pong_is_enough_to_begin_with():
    world, clock = World(-7.0, 0.0, 2), ClockEstimator()
    world.ping(clock)
    assert abs(clock.session_time_s(world.now_s) - world.session_s(world.now_s)) <= clock.uncertainty_s(world.now_s)


def test_the_local_time_of_a_session_time_is_the_inverse():
    world, clock = World(123.0, 400e-6, 3), ClockEstimator()
    world.run(clock, 60)
    assert clock.local_time_s(clock.session_time_s(world.now_s + 5)) == pytest.approx(world.now_s + 5, abs=1e-7)


def test_a_restarted_session_is_noticed_at_the_first_pong_and_known_from_it():
    world, clock = World(500.0, 100e-6, 4), ClockEstimator()
    world.run(clock, 40)
    world.offset_s -= 480.0
    assert world.ping(clock)
    assert clock.jumps == 1
    assert abs(clock.session_time_s(world.now_s) - world.session_s(world.now_s)) < 0.02


def test_a_laptop_that_slept_with_a_clock_that_stood_is_noticed():
    world, clock = World(0.0, 0.0, 5), ClockEstimator()
    world.run(clock, 20)
    world.offset_s += 3600.0  # CLOCK_MONOTONIC stands while the machine sleeps, the session went on
    assert world.ping(clock)
    world.run(clock, 5)
    assert clock.jumps == 1


def test_a_laptop_that_slept_with_a_clock_that_ran_on_is_no_jump():
    world, clock = World(0.0, 200e-6, 6), ClockEstimator()
    world.run(clock, 20)
    world.now_s += 8 * 3600
    world.run(clock, 5)
    assert abs(clock.session_time_s(world.now_s) - world.session_s(world.now_s)) < 5e-3


def test_a_ping_that_took_seconds_moves_nothing():
    world, clock = World(1.0, 0.0, 7), ClockEstimator()
    world.run(clock, 30)
    before_s = clock.session_time_s(world.now_s)
    assert not clock.add(world.now_s, world.now_s + 3.0, world.session_s(world.now_s + 2.9))
    assert abs(clock.session_time_s(world.now_s) - before_s) < 1e-3


def test_memory_is_bounded():
    world, clock = World(1.0, 0.0, 8), ClockEstimator()
    for _ in range(3 * CAPACITY):
        world.ping(clock)
        world.now_s += 0.1
    assert len(clock._line) == CAPACITY


def test_a_publication_serves_until_the_first_pong():
    world, clock = World(9.0, 0.0, 9), ClockEstimator()
    clock.add_one_way(world.now_s, world.session_s(world.now_s - 0.03))
    assert clock.known
    assert not clock.measured
    assert clock.uncertainty_s(world.now_s) >= 0.05
    assert abs(clock.session_time_s(world.now_s) - world.session_s(world.now_s)) < 0.05
    assert not world.ping(clock)
    assert clock.measured
    clock.add_one_way(world.now_s, 0.0)
    assert abs(clock.session_time_s(world.now_s) - world.session_s(world.now_s)) < 0.02


def test_what_cannot_be_a_pong_is_refused():
    clock = ClockEstimator()
    for times in ((2.0, 1.0, 0.0), (0.0, 1.0, float("nan")), (float("inf"), 1.0, 0.0)):
        with pytest.raises(ValueError, match="expected finite times with the answer after the question"):
            clock.add(*times)
    with pytest.raises(ValueError, match="expected a pong or a publication first"):
        clock.session_time_s(0.0)
    with pytest.raises(ValueError, match="expected a pong or a publication first"):
        clock.local_time_s(0.0)
