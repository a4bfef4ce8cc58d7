"""Barge-in: a stop silences the speech within 100 ms of being asked for, on the presentation clock."""

from __future__ import annotations

import pytest
from helpers.session_run import FRAME_S, Run

from gstalker.bridge.schema import Audio, FrameQ16, SpeechEnd


def heard(run: Run) -> dict[float, int]:
    """What a client plays at each presentation time: the last piece sent, voided by a cut that came after it."""
    pieces: dict[float, int] = {}
    for message in run.sent:
        if isinstance(message, Audio):
            pieces[round(message.time_s, 6)] = message.speech_id
        elif isinstance(message, SpeechEnd):
            for time_s in [t for t, n in pieces.items() if t >= message.time_s - 1e-9 and n == message.speech_id]:
                del pieces[time_s]
    return pieces


def shown(run: Run) -> dict[int, FrameQ16]:
    """The frame a client shows for each number: the last one sent."""
    return {f.index: f for f in run.of(FrameQ16)}


@pytest.mark.parametrize("lead_s", [0.02, 0.1, 0.2, 2.0])
@pytest.mark.parametrize("asked_after_s", [2.2, 2.213, 2.239, 2.24])
def test_no_speech_is_heard_later_than_100_ms_after_a_stop(lead_s: float, asked_after_s: float):
    run = Run(speech_frames=300, lead_s=lead_s)
    run.start()
    run.until(asked_after_s)
    asked_s = run.session.now_s
    run.session.stop()
    run.until(1.0)
    (end,) = run.of(SpeechEnd)
    assert end.cut
    # By design: 20 ms of margin and at most one frame; with a request waiting behind a frame that is below 100 ms.
    assert asked_s <= end.time_s <= asked_s + 0.06 + 1e-9 or end.time_s == pytest.approx(0.0)
    assert max(heard(run), default=0.0) + FRAME_S <= max(end.time_s, 0.0) + 1e-9
    assert not run.session.speaking


def test_frames_that_were_sent_ahead_are_sent_again_without_the_speech_and_in_time():
    run = Run(speech_frames=300, lead_s=0.2)
    run.start()
    run.until(2.21)
    ahead = run.session.next_index
    run.session.stop()
    cut = run.session.next_index
    assert cut < ahead
    sent_before = len(run.sent)
    run.until(0.001)
    again = [m for m in run.sent[sent_before:] if isinstance(m, FrameQ16)]
    assert [f.index for f in again] == list(range(cut, ahead))
    assert all(f.sent_at_s < f.time_s for f in again)
    assert run.session.statistics.frames_superseded == ahead - cut
    assert run.session.statistics.frames_dropped == 0
    run.until(1.0)
    sequences = [f.sequence for f in run.of(FrameQ16)]
    assert sequences == list(range(len(sequences))), "a client would take superseded frames for lost ones"
    assert [f.index for f in run.of(FrameQ16)][-1] == run.session.next_index - 1


def test_the_mouth_closes_through_the_windows_that_still_hear_the_speech():
    run = Run(speech_frames=300, lead_s=0.2)
    run.start()
    run.until(2.21)
    run.session.stop()
    cut = run.session.next_index
    run.maker.asked.clear()
    run.until(1.0)
    silent = dict(run.maker.asked)
    # 31 mel frames of left context are seven frames and three quarters.
    assert not any(silent[i] for i in range(cut, cut + 7))
    assert all(silent[i] for i in range(cut + 9, max(silent)))


def test_sending_again_does_not_spoil_the_lateness():
    run = Run(speech_frames=300, lead_s=0.2)
    run.maker.takes_s = 0.004
    run.start()
    run.until(2.0)
    run.session.stop()
    run.until(1.0)
    statistics = run.session.statistics
    assert statistics.frames_superseded > 0
    assert statistics.frames_late == statistics.frames_dropped == 0
    # The frame after those that were sent again waits for them: five of 4 ms, and its own.
    assert statistics.lateness_s.largest <= 0.025


def test_a_stop_while_nothing_is_said_changes_nothing():
    run = Run(lead_s=0.2)
    run.start()
    run.until(1.0)
    before = run.session.next_index
    run.session.stop()
    assert run.session.next_index == before
    run.until(0.2)
    assert not run.of(SpeechEnd)
    assert run.session.statistics.frames_superseded == 0


def test_a_stop_after_the_last_sound_was_heard_is_none():
    run = Run(speech_frames=10, lead_s=0.2)
    run.start()
    run.until(1.0)
    assert [e.cut for e in run.of(SpeechEnd)] == [False]
    run.session.stop()
    run.until(0.2)
    assert len(run.of(SpeechEnd)) == 1


def test_a_stop_when_the_end_was_announced_but_not_yet_heard_cuts_what_is_left():
    run = Run(speech_frames=10, lead_s=0.2)
    run.start()
    run.until(0.48)  # the last sound left at 0.36 s, and is heard until 0.6 s after the start
    assert [e.cut for e in run.of(SpeechEnd)] == [False]
    run.session.stop()
    run.until(0.4)
    ends = run.of(SpeechEnd)
    assert [(e.speech_id, e.cut) for e in ends] == [(0, False), (0, True)]
    assert ends[1].time_s < ends[0].time_s
    assert max(heard(run)) + FRAME_S <= ends[1].time_s + 1e-9


def test_a_stop_before_the_start_leaves_nothing_to_say():
    run = Run(speech_frames=10)
    run.session.play()
    run.session.stop()
    run.start(play=False)
    run.until(0.5)
    assert not run.of(Audio)


def test_stopping_twice_cuts_once():
    run = Run(speech_frames=300, lead_s=0.2)
    run.start()
    run.until(2.0)
    run.session.stop()
    run.session.stop()
    run.until(0.5)
    assert len(run.of(SpeechEnd)) == 1


def test_what_is_said_after_a_stop_begins_as_soon_as_the_lead_allows():
    run = Run(speech_frames=100, lead_s=0.2)
    run.start()
    run.until(2.0)
    asked_s = run.session.now_s
    run.session.stop()
    run.session.play()
    run.until(1.0)
    first = min(t for t, n in heard(run).items() if n == 1)
    # The cut, and three frames in which the mouth gets ready.
    assert first <= asked_s + 0.06 + 3 * FRAME_S + 1e-9


def test_on_a_slow_machine_the_frames_sent_again_are_those_that_can_still_be_in_time():
    run = Run(speech_frames=300, lead_s=0.2)
    run.maker.takes_s = 0.03
    run.start()
    run.until(2.21)
    run.session.stop()
    cut = run.session.next_index
    run.until(1.0)
    frames = shown(run)
    again = [f for f in run.of(FrameQ16) if f.index >= cut]
    assert all(f.sent_at_s <= f.time_s for f in again)
    assert run.session.statistics.frames_dropped <= 2
    assert max(frames) >= cut + 20
