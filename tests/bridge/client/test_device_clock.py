"""Which sample is being heard, from what a device says of itself, in simulated time."""

from __future__ import annotations

import numpy as np
import pytest

from gstalker.bridge.client.device_clock import OVERDUE_S, DeviceClock

RATE_HZ = 48_000
BLOCK = 480
LATENCY_S = 0.03  # that the device holds


def run(
    clock: DeviceClock, seconds: float, drift: float, jitter_s: float, first: int = 0, start_s: float = 50.0
) -> int:
    """A device whose samples take (1 + drift) times as long as they should; the next sample's number."""
    rng = np.random.default_rng(0)
    for sample in range(first, first + round(seconds * RATE_HZ), BLOCK):
        heard_at_s = start_s + sample / RATE_HZ * (1 + drift)
        clock.add(sample, heard_at_s + rng.normal(0, jitter_s), heard_at_s - LATENCY_S)
    return first + round(seconds * RATE_HZ)


@pytest.mark.parametrize("drift", [-500e-6, 0.0, 200e-6])
@pytest.mark.parametrize("jitter_s", [0.0, 1e-3, 3e-3])
def test_the_sample_being_heard_is_known_to_a_millisecond_within_a_second(drift: float, jitter_s: float):
    clock = DeviceClock(RATE_HZ)
    # 20 readings leave sqrt(1 / 20) = 0.22 of the jitter; a drift that cannot be seen yet costs half a second of it.
    for _ in range(3):
        first = run(clock, 1.0, drift, jitter_s)
        true_s = 50.0 + first / RATE_HZ * (1 + drift)
        assert abs(clock.heard_at_s(first) - true_s) < 0.3 * jitter_s + 0.3e-3
        assert abs(clock.sample_at(true_s) - first) / RATE_HZ < 0.3 * jitter_s + 0.3e-3
        clock.reset()


def test_the_rate_is_found_within_a_minute():
    clock = DeviceClock(RATE_HZ)
    run(clock, 60, 200e-6, 1e-3)
    # 400 readings of 1 ms over 20 s: 1e-3 / (20 / sqrt(12)) / sqrt(400) = 9e-6 is one standard deviation.
    assert clock.drift == pytest.approx(200e-6, abs=30e-6)
    assert clock.skips == 0


def test_a_device_that_left_out_a_second_is_known_anew_at_the_third_block():
    clock = DeviceClock(RATE_HZ)
    first = run(clock, 5, 0.0, 1e-3)
    blocks = [first, first + BLOCK, first + 2 * BLOCK]
    # It asks in time and says all of a sudden that the sound will take a second longer.
    added = [clock.add(sample, 51.0 + sample / RATE_HZ, 50.0 + sample / RATE_HZ - LATENCY_S) for sample in blocks]
    assert added == [False, False, True]
    assert clock.skips == 1
    assert abs(clock.heard_at_s(first) - (51.0 + first / RATE_HZ)) < 1e-9


def test_one_reading_that_came_late_itself_changes_nothing():
    clock = DeviceClock(RATE_HZ)
    first = run(clock, 5, 0.0, 0.1e-3)
    for late_s in (0.4, 0.0, 0.0, -0.2, 0.3, 0.0):
        assert not clock.add(first, 50.0 + first / RATE_HZ + late_s, 50.0 + first / RATE_HZ - LATENCY_S)
        first += 5 * BLOCK
    assert clock.skips == 0
    assert abs(clock.heard_at_s(first) - (50.0 + first / RATE_HZ)) < 0.2e-3


def test_a_device_that_left_out_one_block_is_known_anew_within_some_blocks():
    clock = DeviceClock(RATE_HZ)
    first = run(clock, 5, 0.0, 0.5e-3)
    after = run(clock, 1, 0.0, 0.5e-3, first, 50.0 + 0.01)
    assert clock.skips == 1
    assert abs(clock.heard_at_s(after) - (50.01 + after / RATE_HZ)) < 0.5e-3


def test_a_device_that_left_samples_out_has_the_same_quartz_afterwards():
    clock = DeviceClock(RATE_HZ)
    first = run(clock, 20, 400e-6, 0.5e-3)
    left_out_s = 1.0
    after = run(clock, 1, 400e-6, 0.5e-3, first, 50.0 + left_out_s)
    true_s = 50.0 + left_out_s + after / RATE_HZ * (1 + 400e-6)
    assert clock.skips == 1
    assert clock.drift == pytest.approx(400e-6, abs=60e-6)  # two errors of 20 ppm, and what was known before
    assert abs(clock.heard_at_s(after) - true_s) < 0.4e-3
    clock.reset()
    assert clock.drift == 0.0


def test_a_device_that_says_that_it_ran_dry_is_believed_at_once():
    clock = DeviceClock(RATE_HZ)
    first = run(clock, 5, 0.0, 0.5e-3)
    due_s = 50.0 + first / RATE_HZ
    assert clock.add(first, due_s + 0.2, due_s - LATENCY_S, underrun=True)
    assert abs(clock.heard_at_s(first) - (due_s + 0.2)) < 1e-9


def test_a_device_that_asks_after_all_it_had_was_over_is_known_anew_at_once():
    clock = DeviceClock(RATE_HZ)
    first = run(clock, 5, 0.0, 0.5e-3)
    resumed_s = 50.0 + first / RATE_HZ + 0.3
    assert clock.add(first, resumed_s, resumed_s)
    assert clock.skips == 1
    assert clock.heard_at_s(first) == resumed_s


def test_how_long_a_device_is_trusted_follows_its_own_rhythm_and_no_stop_of_it():
    clock = DeviceClock(RATE_HZ)
    burst, asked_s = 8, 0.0
    for n in range(50):  # eight blocks, a millisecond apart, every 80 ms
        for block in range(burst):
            asked_s = 50.0 + n * burst * BLOCK / RATE_HZ + 0.0005 * block
            sample = (n * burst + block) * BLOCK
            clock.add(sample, 50.1 + sample / RATE_HZ, asked_s)
    assert clock.rhythm_s == pytest.approx(0.08 - 0.0035, abs=1e-6)  # from the last of a burst to the next one's first
    assert clock.trusted_until_s == pytest.approx(asked_s + clock.rhythm_s + OVERDUE_S)
    usual_s = clock.rhythm_s
    clock.add(50 * burst * BLOCK, 60.0, 60.0)
    assert clock.rhythm_s <= 1.1 * usual_s + 1e-9
