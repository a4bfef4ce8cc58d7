"""The timeline of one avatar on a clock that the test turns."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.session_run import BOX, FRAME_S, Run

from gstalker.bridge.schema import Audio, FrameF32, FrameQ16, SpeechEnd, StreamEnd
from gstalker.kernels.quantise import unpack_movers

SPOKEN = round(0.5 * 32767)  # the made recording's samples


def test_a_frame_leaves_the_lead_before_its_presentation_and_none_is_late():
    run = Run(lead_s=0.2)
    run.start()
    run.until(1.0)
    frames = run.of(FrameQ16)
    assert [f.index for f in frames] == list(range(26))
    for frame in frames:
        assert frame.time_s == pytest.approx(frame.index * FRAME_S, abs=1e-12)
        assert frame.sent_at_s == pytest.approx(frame.time_s - 0.2, abs=1e-9)
    statistics = run.session.statistics
    assert (statistics.frames_sent, statistics.frames_late, statistics.frames_dropped) == (26, 0, 0)
    assert statistics.lateness_s.largest == pytest.approx(0.0, abs=1e-9)


def test_lateness_is_counted_from_when_a_frame_was_due_to_leave():
    run = Run(lead_s=0.2)
    run.maker.takes_s = 0.03
    run.start()
    run.until(1.0)
    statistics = run.session.statistics
    assert statistics.lateness_s.percentile(50) == pytest.approx(0.03, abs=1e-6)
    assert statistics.frames_late == 0
    assert statistics.compute_s.percentile(50) == pytest.approx(0.03, abs=1e-6)


def test_after_a_stall_late_frames_are_dropped_and_counted_and_the_rest_is_on_time():
    run = Run(lead_s=0.1)
    run.start()
    run.until(0.4)
    run.clock.now_s += 1.0
    run.until(0.4)
    frames, statistics = run.of(FrameQ16), run.session.statistics
    indices = [f.index for f in frames]
    # 1.4 s after the start frame 34 is the first that is overdue by no more than half of the lead.
    missing = sorted(set(range(indices[-1] + 1)) - set(indices))
    assert missing == list(range(11, missing[-1] + 1))
    assert statistics.frames_dropped == len(missing) == 23
    assert statistics.frames_late == 0
    assert all(f.sent_at_s <= f.time_s for f in frames)
    assert not {index for index, _ in run.maker.asked} & set(missing), "dropped frames were computed all the same"


def test_a_machine_that_is_too_slow_sends_fewer_frames_but_each_in_time():
    run = Run(lead_s=0.1)
    run.maker.takes_s = 0.057  # against 0.04 s a frame
    run.start()
    run.until(6.0)
    frames, statistics = run.of(FrameQ16), run.session.statistics
    assert all(f.sent_at_s <= f.time_s for f in frames)
    assert statistics.frames_late == 0
    assert len(frames) + statistics.frames_dropped == round(run.session.next_time_s / FRAME_S)
    # It must not fall far below what the machine can do.
    possible = (run.clock.now_s - 100.0) / 0.057
    assert 0.85 * possible <= len(frames) <= possible + 1e-6


def test_one_slow_moment_does_not_stop_a_session():
    run = Run(lead_s=0.1)
    run.start()
    run.maker.takes_s = 3.0
    run.until(0.01)
    run.maker.takes_s = 0.001
    run.until(10.0)
    assert len(run.of(FrameQ16)) > 150


def test_sound_goes_with_the_frames_of_the_same_times():
    run = Run(speech_frames=3, lead_s=0.2)
    run.start()
    run.until(0.4)
    sounds = run.of(Audio)
    assert [(a.sequence, a.speech_id) for a in sounds] == [(0, 0), (1, 0), (2, 0)]
    assert [a.time_s for a in sounds] == pytest.approx([0.0, 0.04, 0.08])
    assert all((a.pcm == SPOKEN).all() and len(a.pcm) == 640 for a in sounds)
    (end,) = run.of(SpeechEnd)
    assert (end.speech_id, end.time_s, end.cut) == (0, pytest.approx(0.12), False)
    # Sound comes before the frame it belongs to: the frame takes time to compute.
    assert [type(m) for m in run.sent[:4]] == [Audio, FrameQ16, Audio, FrameQ16]


def test_the_mouth_hears_the_speech_and_is_silent_after_it():
    run = Run(speech_frames=3)
    run.start()
    run.until(2.0)
    silent = [index for index, is_silent in run.maker.asked if is_silent]
    # The last mel frame that hears the 1920 samples is number 13 (it begins at 160 * 13 - 200), and the last window
    # with it, of 31 mel frames before, is that of frame (13 + 31) / 4 = 11.
    assert silent == list(range(12, len(run.maker.asked)))


def test_an_utterance_that_ends_within_a_frame_ends_where_its_last_sample_is():
    run = Run(speech_frames=2.25)
    run.start()
    run.until(0.4)
    (end,) = run.of(SpeechEnd)
    assert end.time_s == pytest.approx(0.09)
    last = run.of(Audio)[-1].pcm
    assert (last[:160] == SPOKEN).all()
    assert not last[160:].any()


def test_sound_that_is_over_is_not_sent_and_leaves_a_hole_in_its_numbers():
    run = Run(speech_frames=100, lead_s=0.1)
    run.start()
    run.until(0.2)
    run.clock.now_s += 0.5
    run.until(0.2)
    numbers = [a.sequence for a in run.of(Audio)]
    missing = sorted(set(range(numbers[-1] + 1)) - set(numbers))
    assert missing
    assert missing == list(range(missing[0], missing[-1] + 1))
    for sound in run.of(Audio):
        assert sound.sent_at_s <= sound.time_s + FRAME_S + 1e-9
    assert run.session.statistics.audio_chunks_sent == len(numbers)


def test_an_avatar_without_a_sound_idles():
    run = Run()
    run.start()
    run.until(0.2)
    assert not run.of(Audio)
    assert not run.session.speaking
    assert all(is_silent for _, is_silent in run.maker.asked)


def test_a_loop_speaks_again_after_a_pause():
    run = Run(speech_frames=5, loop=True, pause_s=0.12)
    run.start()
    run.until(1.2)
    assert not run.session.finished
    sounds = run.of(Audio)
    starts = [
        s.time_s
        for before, s in zip([None, *sounds], sounds, strict=False)
        if not before or before.speech_id != s.speech_id
    ]
    # Five frames of speech, three of pause, and three in which the mouth gets ready.
    assert starts == pytest.approx([0.0, 0.44, 0.88])
    assert [e.speech_id for e in run.of(SpeechEnd)] == [0, 1, 2]
    assert [a.sequence for a in sounds] == list(range(len(sounds)))


def test_a_speech_is_finished_when_its_last_sound_was_heard_and_not_when_it_was_sent():
    run = Run(speech_frames=5, lead_s=0.2)
    run.start()
    run.until(0.30)
    assert len(run.of(Audio)) == 5
    assert not run.session.finished
    run.until(0.08)
    assert not run.session.finished
    run.until(0.04)  # five frames of 0.04 s after the lead of 0.2 s
    assert run.session.finished


def test_play_begins_anew():
    run = Run(speech_frames=50)
    run.start()
    run.until(0.2)
    run.session.stop()
    run.until(0.2)
    assert not run.session.speaking
    assert not run.session.finished, "stopped is not done: somebody may ask for more"
    run.session.play()
    run.until(0.3)
    anew = [a for a in run.of(Audio) if a.speech_id == 1]
    assert anew[0].sequence == max(a.sequence for a in run.of(Audio) if a.speech_id == 0) + 1


def test_play_while_speaking_cuts_the_running_utterance_first():
    run = Run(speech_frames=50)
    run.start()
    run.until(0.4)
    run.session.play()
    run.until(0.3)
    assert [(e.speech_id, e.cut) for e in run.of(SpeechEnd)] == [(0, True)]
    assert {a.speech_id for a in run.of(Audio)} == {0, 1}


def test_play_before_the_start_does_not_speak_twice():
    run = Run(speech_frames=5)
    run.session.play()
    run.start()
    run.until(0.6)
    assert {a.speech_id for a in run.of(Audio)} == {0}
    assert run.of(Audio)[0].time_s == 0.0
    assert len(run.of(SpeechEnd)) == 1


def test_nothing_is_played_without_a_recording():
    with pytest.raises(RuntimeError, match="there is no recording"):
        Run().session.play()


def test_a_session_that_starts_without_its_recording_idles():
    run = Run(speech_frames=5)
    run.start(play=False)
    run.until(0.4)
    assert not run.of(Audio)


def test_only_what_somebody_wants_is_computed():
    run = Run(wanted=())
    run.start()
    run.until(0.2)
    assert not run.maker.asked
    run.wanted = {FrameF32}
    run.until(0.2)
    assert not run.of(FrameQ16)
    frames = run.of(FrameF32)
    assert frames[0].index == run.maker.asked[0][0] == 6
    run.wanted = {FrameF32, FrameQ16}
    run.until(0.1)
    assert len(run.of(FrameQ16)) == len(run.maker.asked) - len(frames)


def test_only_every_nth_frame_is_sent_where_nobody_wants_more():
    run = Run(speech_frames=10)
    run.session.frame_divisor = 5
    run.start()
    run.until(0.8)
    assert [f.index for f in run.of(FrameQ16)] == [0, 5, 10, 15, 20]
    assert [f.sequence for f in run.of(FrameQ16)] == [0, 1, 2, 3, 4], "frames that nobody wants are not lost ones"
    assert len(run.of(Audio)) == 10


def test_the_two_payloads_hold_the_same_frame():
    run = Run(wanted=(FrameQ16, FrameF32))
    run.start()
    run.until(0.4)
    for q16, f32 in zip(run.of(FrameQ16), run.of(FrameF32), strict=True):
        assert q16.index == f32.index
        means = unpack_movers(q16.movers, BOX)[0]
        # Half a step of the 2 m box is 1.5e-5 m.
        np.testing.assert_allclose(means, f32.means, atol=1.6e-5)


def test_a_frame_outside_of_the_box_is_counted_and_the_session_goes_on():
    run = Run()
    run.start()
    run.until(0.1)
    run.maker.jump_m = 5.0
    run.until(0.1)
    assert "means: 1 of 2 Gaussians are not in the box" in run.session.last_refusal
    run.maker.jump_m = 0.0
    run.until(0.1)
    statistics = run.session.statistics
    assert statistics.frames_refused > 0
    sent = {f.index for f in run.of(FrameQ16)}
    assert statistics.frames_refused == max(sent) + 1 - len(sent)


def test_the_end_is_said():
    run = Run(speech_frames=50)
    run.start()
    run.until(0.1)
    run.session.end()
    assert isinstance(run.sent[-2], SpeechEnd)
    last = run.sent[-1]
    assert isinstance(last, StreamEnd)
    assert last.frame_count == len(run.of(FrameQ16))


def test_a_step_before_the_start_is_a_mistake():
    with pytest.raises(RuntimeError, match="start\\(\\) comes first"):
        Run().session.step()


def test_the_clock_stands_at_minus_the_lead_until_the_start():
    run = Run(lead_s=0.2)
    assert run.session.now_s == -0.2
    run.clock.now_s += 5
    assert run.session.now_s == -0.2
    run.start()
    run.until(0.2)
    assert run.session.now_s == pytest.approx(0.0, abs=1e-9)
