"""Several sessions on one thread, on a clock that the test turns: who is served first, and who suffers."""

from __future__ import annotations

import pytest
from helpers.session_run import Run, TurnedClock

from gstalker.bridge.schema import FrameQ16
from gstalker.bridge.server.scheduler import STEPS_A_ROUND, due_by_deadline, one_frame


class Several:
    """Sessions that share a thread: computing a frame of one moves the clock of all."""

    def __init__(self, count: int, takes_s: float, *, lead_s: float) -> None:
        self.clock = TurnedClock()
        self.runs = [Run(300, clock=self.clock, session_id=1 + n, lead_s=lead_s) for n in range(count)]
        for run in self.runs:
            run.maker.takes_s = takes_s

    def until(self, time_s: float) -> None:
        """Rounds as the server makes them."""
        end_s = self.clock.now_s + time_s
        while self.clock.now_s < end_s:
            sessions = [r.session for r in self.runs]
            due = due_by_deadline(sessions)
            for session in due:
                one_frame(session)
            if not due:
                self.clock.now_s = min(end_s, self.clock.now_s + max(1e-6, min(s.wait_s() for s in sessions)))


def test_the_earliest_deadline_comes_first_and_what_is_not_due_waits():
    several = Several(3, 0.0, lead_s=0.2)
    for number in (2, 0):  # the second one has not begun
        several.runs[number].start(play=False)
        several.clock.now_s += 0.03
    several.clock.now_s += 0.1
    third, first = several.runs[2].session, several.runs[0].session
    assert due_by_deadline([r.session for r in several.runs]) == [third, first]
    for _ in range(4):
        third.step()
    assert due_by_deadline([third, first]) == [first]


def test_while_there_is_time_no_session_is_late():
    several = Several(4, 0.009, lead_s=0.2)
    for number, run in enumerate(several.runs):
        run.start()
        several.clock.now_s += 0.003 * number
    several.until(4.0)
    for run in several.runs:
        assert run.session.statistics.frames_dropped == run.session.statistics.frames_late == 0
        assert run.session.statistics.frames_sent > 95


def test_where_there_is_too_little_time_all_lose_alike_and_nothing_comes_late():
    several = Several(3, 0.020, lead_s=0.2)  # 60 ms of work every 40 ms
    for run in several.runs:
        run.start()
    several.until(6.0)
    sent = [r.session.statistics.frames_sent for r in several.runs]
    # 300 frames of 20 ms fit into 6 s.
    assert sum(sent) >= 270
    assert max(sent) - min(sent) <= 0.15 * max(sent)
    for run in several.runs:
        assert all(f.sent_at_s <= f.time_s for f in run.of(FrameQ16))


def test_a_session_that_sends_much_again_takes_turns_with_the_others():
    several = Several(3, 0.004, lead_s=1.0)
    for run in several.runs:
        run.start()
    several.until(3.0)
    several.runs[0].session.stop()
    ahead = several.runs[0].session.statistics.frames_sent
    several.until(2.0)
    assert several.runs[0].session.statistics.frames_superseded >= 20
    assert several.runs[0].session.statistics.frames_sent > ahead
    for run in several.runs[1:]:
        statistics = run.session.statistics
        assert statistics.frames_dropped == statistics.frames_late == 0
        # A round is one frame of each of three sessions.
        assert statistics.lateness_s.largest == pytest.approx(0.012, abs=0.0045)


def test_what_was_missed_in_a_long_sleep_is_passed_over_in_bounded_pieces():
    several = Several(1, 0.0, lead_s=0.2)
    several.runs[0].start(play=False)
    several.clock.now_s += 3600.0
    session = several.runs[0].session
    one_frame(session)
    assert session.next_index == STEPS_A_ROUND
    rounds = 1
    while session.statistics.frames_sent == 0 and rounds < 1000:
        one_frame(session)
        rounds += 1
    assert rounds <= 3600 * 25 / STEPS_A_ROUND + 1
    assert session.deadline_in_s() > 0
