from __future__ import annotations

import numpy as np
from numba import njit

from gstalker.kernels.simd import (
    LANES,
    any_lane,
    lane_numbers,
    lanes_exp2,
    lanes_min,
    load,
    select,
    splat,
    store,
    sum_lanes,
)


@njit
def exp2_all(values, results):
    for at in range(0, len(values), LANES):
        store(results, at, lanes_exp2(load(values, at)))


def test_exp2_is_within_three_parts_in_ten_million():
    """Half a unit in the last place is 0.6e-7; the polynomial and its rounding take the rest."""
    exponents = np.linspace(-120, 120, 800_000, dtype=np.float32)
    exponents[: 8 * LANES] = np.arange(-32, 32)
    got = np.empty_like(exponents)
    exp2_all(exponents, got)
    relative = np.abs(got / np.exp2(exponents.astype(np.float64)) - 1)
    worst = int(np.argmax(relative))
    assert relative[worst] <= 3e-7, f"2^{exponents[worst]} is off by {relative[worst]:.2e} of itself"


def test_exp2_far_below_its_range_stays_tiny_and_finite():
    exponents = np.full(LANES, -1e30, np.float32)
    got = np.empty_like(exponents)
    exp2_all(exponents, got)
    assert (got > 0).all()
    assert (got <= 2.0**-119).all()


@njit
def every_operator(a, b, results, flags):
    x, y = load(a, 0), load(b, 0)
    store(results, 0 * LANES, x + y)
    store(results, 1 * LANES, x - y)
    store(results, 2 * LANES, x * y)
    store(results, 3 * LANES, x / y)
    store(results, 4 * LANES, lanes_min(x, y))
    store(results, 5 * LANES, select((x >= y) & (x > splat(np.float32(0))), x, y))
    store(results, 6 * LANES, lane_numbers() + splat(np.float32(100)))
    flags[0] = any_lane(x > splat(np.float32(1e9)))
    flags[1] = any_lane(x >= load(a, 0))
    return sum_lanes(x)


def test_every_operator_is_numpys_lane_by_lane():
    """Single operations round once, so they are equal to NumPy's to the bit; the sum has an order of its own."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=LANES).astype(np.float32)
    b = rng.normal(size=LANES).astype(np.float32)
    a[0] = b[0]
    results, flags = np.empty(7 * LANES, np.float32), np.zeros(2, np.bool_)
    total = every_operator(a, b, results, flags)
    expected = [
        a + b,
        a - b,
        a * b,
        a / b,
        np.minimum(a, b),
        np.where((a >= b) & (a > 0), a, b),
        100 + np.arange(LANES),
    ]
    np.testing.assert_array_equal(results.reshape(7, LANES), np.array(expected, np.float32))
    assert not flags[0]
    assert flags[1]
    assert abs(total - a.sum(dtype=np.float64)) < 1e-6


@njit
def one_lane_is_enough(values):
    return any_lane(load(values, 0) > splat(np.float32(0)))


def test_any_lane_sees_each_lane():
    for lane in range(LANES):
        values = np.zeros(LANES, np.float32)
        assert not one_lane_is_enough(values)
        values[lane] = 1
        assert one_lane_is_enough(values)
