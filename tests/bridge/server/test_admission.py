"""What one more session may cost."""

from __future__ import annotations

import pytest
from helpers.session_run import TurnedClock

from gstalker.bridge.errors import RequestRefused
from gstalker.bridge.server.admission import BusyTime, FrameCost, check, seconds_a_second, session_limit


def test_the_cost_of_a_frame_is_the_mean_of_the_last():
    cost = FrameCost()
    cost.add(0.010)
    assert cost.mean_s == 0.010
    for _ in range(200):
        cost.add(0.004)
    assert cost.mean_s == pytest.approx(0.004, rel=1e-3)
    assert seconds_a_second(cost, 25, 1) == pytest.approx(0.1, rel=1e-3)
    assert seconds_a_second(cost, 25, 5) == pytest.approx(0.02, rel=1e-3)


def test_a_session_is_let_in_up_to_the_share_and_not_beyond():
    check(0.25, [0.25, 0.25], measured=0.3, share=0.8)
    with pytest.raises(RequestRefused, match="25 % more work, 75 % of the time is taken and at most 80 % may be") as no:
        check(0.25, [0.25, 0.25, 0.25], measured=0.3, share=0.8)
    assert no.value.code == "busy"
    assert no.value.retry_after_s > 0


def test_a_machine_that_is_busier_than_its_sessions_explain_lets_nobody_in():
    with pytest.raises(RequestRefused, match="70 % of the time is taken"):
        check(0.25, [0.25], measured=0.7, share=0.8)


def test_the_limit_says_how_many_fit():
    assert session_limit(0.1, [0.1, 0.1, 0.0], share=0.8, highest=16) == 8
    assert session_limit(0.1, [0.1, 0.1], share=0.8, highest=4) == 4
    assert session_limit(0.5, [0.5, 0.5], share=0.8, highest=16) == 2
    assert session_limit(0.0, [], share=0.8, highest=16) == 16


def test_load_is_the_share_of_the_last_two_seconds():
    clock = TurnedClock()
    busy = BusyTime(clock)
    assert busy.load() == 0.0
    for _ in range(40):
        clock.now_s += 0.1
        busy.add(0.03)
    assert busy.load() == pytest.approx(0.3)
    clock.now_s += 1.0
    assert busy.load() == pytest.approx(0.15)
    clock.now_s += 100.0
    assert busy.load() == 0.0
    busy.add(50.0)
    assert busy.load() == 1.0
