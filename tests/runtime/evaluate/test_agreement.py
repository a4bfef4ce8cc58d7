"""Correlation, amplitude and lag of curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstalker.runtime.evaluate.agreement import agreement, best_lag

RNG = np.random.default_rng(11)
REAL = [np.cumsum(RNG.normal(size=60)), np.cumsum(RNG.normal(size=30))]


def test_equal_curves_agree_fully():
    found = agreement(REAL, REAL)
    assert found.correlation == pytest.approx(1.0)
    assert found.amplitude_ratio == pytest.approx(1.0)
    assert found.error == 0.0
    assert found.frames == 90


@given(scale=st.floats(0.2, 3.0), first=st.floats(-5, 5), second=st.floats(-5, 5))
def test_a_smaller_motion_correlates_fully_and_shows_in_the_amplitude(scale, first, second):
    """Each clip may sit at a level of its own: only motion counts."""
    measured = [scale * REAL[0] + first, scale * REAL[1] + second]
    found = agreement(measured, REAL)
    assert found.correlation == pytest.approx(1.0)
    assert found.amplitude_ratio == pytest.approx(scale)


def test_an_averaged_mouth_has_a_small_amplitude():
    averaged = [np.convolve(r, np.ones(15) / 15, mode="same") * 0.3 for r in REAL]
    assert (agreement(averaged, REAL).amplitude_ratio or 1.0) < 0.4


def test_a_still_curve_gets_no_correlation():
    noise = [0.01 * RNG.normal(size=60), 0.01 * RNG.normal(size=30)]
    found = agreement(noise, REAL)
    assert found.correlation is None
    assert found.amplitude_ratio is not None
    assert found.amplitude_ratio < 0.05


def test_a_still_real_curve_gives_neither():
    found = agreement(REAL, [np.ones(60), np.ones(30)])
    assert found.correlation is None
    assert found.amplitude_ratio is None
    assert found.error is not None


def test_unknown_frames_are_left_out():
    holed = [r.copy() for r in REAL]
    holed[0][5:9] = np.nan
    found = agreement(holed, REAL)
    assert found.frames == 86
    assert found.correlation == pytest.approx(1.0)


def test_nothing_known_gives_nothing():
    found = agreement([np.full(4, np.nan)], [np.ones(4)])
    assert (found.correlation, found.amplitude_ratio, found.error, found.frames) == (None, None, None, 0)


@pytest.mark.parametrize("lag", [-0.2, 0.0, 0.12])
def test_a_known_lag_is_found(lag: float):
    lags = np.round(np.arange(-10, 11) * 0.04, 2)
    times = np.arange(80) / 25
    signal = np.sin(2 * np.pi * 0.9 * times[None] - 2 * np.pi * 0.9 * lags[:, None])
    curve = 3.0 + 0.5 * np.sin(2 * np.pi * 0.9 * (times - lag))
    found = best_lag([signal], [curve], lags)
    assert found.lag_s == pytest.approx(lag)
    assert found.correlation_at_lag == pytest.approx(1.0)
    assert found.correlation is not None
    assert found.correlation_at_lag is not None
    assert found.correlation <= found.correlation_at_lag


def test_a_lag_beyond_the_search_is_not_claimed():
    lags = np.round(np.arange(-5, 6) * 0.04, 2)
    times = np.arange(60) / 25
    signal = np.sin(2 * np.pi * 0.5 * (times[None] - lags[:, None]))
    found = best_lag([signal], [np.sin(2 * np.pi * 0.5 * (times - 0.4))], lags)
    assert found.correlation is not None
    assert (found.lag_s, found.correlation_at_lag) == (None, None)


def test_a_still_mouth_has_no_lag():
    found = best_lag([np.ones((3, 10))], [np.ones(10)], np.array([-0.1, 0.0, 0.1]))
    assert (found.correlation, found.lag_s, found.correlation_at_lag) == (None, None, None)
