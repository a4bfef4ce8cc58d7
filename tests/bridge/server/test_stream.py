"""The timeline of one avatar on a clock that the test turns."""

from __future__ import annotations

import numpy as np
import pytest

from gstalker.bridge import schema
from gstalker.bridge.codec import decode, encode
from gstalker.bridge.schema import Audio, FrameF32, FrameQ16, Message, SpeechEnd, StreamEnd
from gstalker.bridge.server.stream import AvatarStream, StreamOptions
from gstalker.kernels.frame import Frame
from gstalker.kernels.quantise import QuantisationBox, unpack_movers
from gstalker.runtime.errors import InputError

FRAME_S = 0.04


class TurnedClock:
    """A steady clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class CountingMaker:
    """Makes frames of two movers whose first centre is the frame's number in millimetres."""

    fps = 25
    mover_count = 2
    box = QuantisationBox((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), -8.0, 0.0)

    def __init__(self, clock: TurnedClock, speech_frame_count: int = 0) -> None:
        self.clock, self.speech_frame_count = clock, speech_frame_count
        self.asked: list[tuple[int, int | None]] = []
        self.takes_s = 0.0
        self.jump_m = 0.0

    def frame(self, index: int, time_s: float, speech_frame: int | None) -> Frame:
        self.asked.append((index, speech_frame))
        self.clock.now_s += self.takes_s
        means = np.array([[index * 1e-3 + self.jump_m, 0, 0], [0, 0, 0]], np.float32)
        quats, scales = np.tile(np.array([1, 0, 0, 0], np.float32), (2, 1)), np.full((2, 3), 0.01, np.float32)
        return Frame(index, time_s, means, quats, scales, np.full(2, 0.5, np.float32), np.eye(4), np.eye(4))

    def sound(self, speech_frame: int) -> np.ndarray:
        return np.full(640, speech_frame, "<i2")


class Run:
    """A stream, its clock and what it published."""

    def __init__(self, speech_frames: int = 0, wanted: tuple[type[Message], ...] = (FrameQ16,), **options) -> None:
        self.clock = TurnedClock()
        self.maker = CountingMaker(self.clock, speech_frames)
        self.sent: list[Message] = []
        self.wanted: set[type[Message]] = set(wanted)
        self.stream = AvatarStream(
            *(self.maker, StreamOptions(**options), self.publish, lambda kind: kind in self.wanted, self.clock)
        )

    def publish(self, message: Message) -> None:
        self.sent.append(decode(encode(message)))  # as the server does: the stream's buffers may be used again

    def until(self, time_s: float) -> None:
        """Do what is due, as a server does, until the clock has moved on by this."""
        end_s = self.clock.now_s + time_s
        while (wait_s := self.stream.wait_s()) <= end_s - self.clock.now_s + 1e-9:
            self.clock.now_s += max(wait_s, 0.0)
            self.stream.step()
        self.clock.now_s = max(self.clock.now_s, end_s)

    def of(self, kind: type[Message]) -> list:
        return [m for m in self.sent if isinstance(m, kind)]


def test_a_frame_leaves_the_lead_before_its_presentation_and_none_is_late():
    run = Run(lead_s=0.2)
    run.stream.start()
    run.until(1.0)
    frames = run.of(FrameQ16)
    assert [f.index for f in frames] == list(range(26))
    for frame in frames:
        assert frame.time_s == pytest.approx(frame.index * FRAME_S, abs=1e-12)
        assert frame.sent_at_s == pytest.approx(frame.time_s - 0.2, abs=1e-9)
    statistics = run.stream.statistics
    assert (statistics.frames_sent, statistics.frames_late, statistics.frames_dropped) == (26, 0, 0)
    assert statistics.lateness_s.largest == pytest.approx(0.0, abs=1e-9)


def test_lateness_is_counted_from_when_a_frame_was_due_to_leave():
    run = Run(lead_s=0.2)
    run.maker.takes_s = 0.03
    run.stream.start()
    run.until(1.0)
    assert run.stream.statistics.lateness_s.percentile(50) == pytest.approx(0.03, abs=1e-6)
    assert run.stream.statistics.frames_late == 0
    assert run.stream.stats(request_id=1).compute_p50_ms == pytest.approx(30, abs=1e-3)


def test_after_a_stall_late_frames_are_dropped_and_counted_and_the_rest_is_on_time():
    run = Run(lead_s=0.1)
    run.stream.start()
    run.until(0.4)
    run.clock.now_s += 1.0
    run.until(0.4)
    frames, statistics = run.of(FrameQ16), run.stream.statistics
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
    run.stream.start()
    run.until(6.0)
    frames, statistics = run.of(FrameQ16), run.stream.statistics
    assert all(f.sent_at_s <= f.time_s for f in frames)
    assert statistics.frames_late == 0
    assert len(frames) + statistics.frames_dropped == round(run.stream.next_time_s / FRAME_S)
    # 6 s of computing at 0.057 s each are 105 frames; it must not fall far below what the machine can do.
    assert 90 <= len(frames) <= 105


def test_one_slow_moment_does_not_stop_a_stream():
    run = Run(lead_s=0.1)
    run.stream.start()
    run.maker.takes_s = 3.0
    run.until(0.01)
    run.maker.takes_s = 0.001
    run.until(10.0)
    assert len(run.of(FrameQ16)) > 150


def test_sound_goes_with_the_frames_of_the_same_times():
    run = Run(speech_frames=3, lead_s=0.2)
    run.stream.start()
    run.until(0.4)
    sounds = run.of(Audio)
    assert [(a.sequence, a.speech_id) for a in sounds] == [(0, 0), (1, 0), (2, 0)]
    assert [a.time_s for a in sounds] == pytest.approx([0.0, 0.04, 0.08])
    assert [int(a.pcm[0]) for a in sounds] == [0, 1, 2]
    assert run.maker.asked[:5] == [(0, 0), (1, 1), (2, 2), (3, None), (4, None)]
    (end,) = run.of(SpeechEnd)
    assert (end.speech_id, end.time_s) == (0, pytest.approx(0.12))
    # Sound comes before the frame it belongs to: the frame takes time to compute.
    order = [type(m) for m in run.sent[:4]]
    assert order == [Audio, FrameQ16, Audio, FrameQ16]


def test_sound_that_is_over_is_not_sent_and_leaves_a_hole_in_its_numbers():
    run = Run(speech_frames=100, lead_s=0.1)
    run.stream.start()
    run.until(0.2)
    run.clock.now_s += 0.5
    run.until(0.2)
    numbers = [a.sequence for a in run.of(Audio)]
    missing = sorted(set(range(numbers[-1] + 1)) - set(numbers))
    assert missing
    assert missing == list(range(missing[0], missing[-1] + 1))
    for sound in run.of(Audio):
        assert sound.sent_at_s <= sound.time_s + FRAME_S + 1e-9
    assert run.stream.statistics.audio_chunks_sent == len(numbers)


def test_an_avatar_without_a_sound_idles():
    run = Run()
    run.stream.start()
    run.until(0.2)
    assert not run.of(Audio)
    assert not run.stream.speaking
    assert all(speech is None for _, speech in run.maker.asked)


def test_a_loop_speaks_again_after_a_pause():
    run = Run(speech_frames=5, loop=True, pause_s=0.12)
    run.stream.start()
    run.until(1.0)
    assert not run.stream.finished
    starts = [a.time_s for a in run.of(Audio) if int(a.pcm[0]) == 0]
    assert starts == pytest.approx([0.0, 0.32, 0.64, 0.96])
    assert [e.speech_id for e in run.of(SpeechEnd)] == [0, 1, 2]
    assert [a.sequence for a in run.of(Audio)] == list(range(len(run.of(Audio))))


def test_a_speech_is_finished_when_its_last_sound_was_heard_and_not_when_it_was_sent():
    run = Run(speech_frames=5, lead_s=0.2)
    run.stream.start()
    run.until(0.30)
    assert len(run.of(Audio)) == 5
    assert not run.stream.finished
    run.until(0.08)
    assert not run.stream.finished
    run.until(0.04)  # five frames of 0.04 s after the lead of 0.2 s
    assert run.stream.finished


def test_stop_ends_the_speech_and_play_begins_it_anew():
    run = Run(speech_frames=50)
    run.stream.start()
    run.until(0.2)
    run.stream.silence()
    run.until(0.2)
    assert not run.stream.speaking
    assert [(e.speech_id, e.time_s) for e in run.of(SpeechEnd)] == [(0, pytest.approx(0.24))]
    assert not run.stream.finished, "stopped is not done: somebody may ask for more"
    run.stream.play()
    run.until(0.1)
    anew = [a for a in run.of(Audio) if a.speech_id == 1]
    assert int(anew[0].pcm[0]) == 0
    assert anew[0].sequence == max(a.sequence for a in run.of(Audio) if a.speech_id == 0) + 1


def test_play_while_speaking_ends_the_running_utterance_first():
    run = Run(speech_frames=50)
    run.stream.start()
    run.until(0.2)
    run.stream.play()
    run.until(0.1)
    assert [e.speech_id for e in run.of(SpeechEnd)] == [0]
    assert {a.speech_id for a in run.of(Audio)} == {0, 1}


def test_play_before_the_start_does_not_speak_twice():
    run = Run(speech_frames=5)
    run.stream.play()
    run.stream.start()
    run.until(0.4)
    assert {a.speech_id for a in run.of(Audio)} == {0}
    assert len(run.of(SpeechEnd)) == 1


def test_only_what_somebody_wants_is_computed():
    run = Run(wanted=())
    run.stream.start()
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


def test_the_two_payloads_hold_the_same_frame():
    run = Run(wanted=(FrameQ16, FrameF32))
    run.stream.start()
    run.until(0.4)
    for q16, f32 in zip(run.of(FrameQ16), run.of(FrameF32), strict=True):
        assert q16.index == f32.index
        means = unpack_movers(q16.movers, run.maker.box)[0]
        # Half a step of the 2 m box is 1.5e-5 m.
        np.testing.assert_allclose(means, f32.means, atol=1.6e-5)


def test_a_frame_outside_of_the_box_is_counted_and_the_stream_goes_on():
    run = Run()
    run.stream.start()
    run.until(0.1)
    run.maker.jump_m = 5.0
    run.until(0.1)
    assert "means: 1 of 2 Gaussians are not in the box" in run.stream.last_refusal
    run.maker.jump_m = 0.0
    run.until(0.1)
    statistics = run.stream.statistics
    assert statistics.frames_refused > 0
    sent = {f.index for f in run.of(FrameQ16)}
    assert statistics.frames_refused == max(sent) + 1 - len(sent)


def test_an_avatar_whose_first_frame_does_not_fit_its_box_is_refused():
    run = Run()
    run.maker.jump_m = 5.0
    with pytest.raises(InputError, match="expected a frame that fits the bundle's box"):
        run.stream.warm_up()


def test_the_end_is_said():
    run = Run(speech_frames=50)
    run.stream.start()
    run.until(0.1)
    run.stream.end()
    assert isinstance(run.sent[-2], SpeechEnd)
    last = run.sent[-1]
    assert isinstance(last, StreamEnd)
    assert last.frame_count == len(run.of(FrameQ16))


def test_a_step_before_the_start_is_a_mistake():
    with pytest.raises(RuntimeError, match="start\\(\\) comes first"):
        Run().stream.step()


def test_the_counters_become_a_message():
    run = Run(speech_frames=10)
    assert run.stream.stats(3).stream_time_s == -0.2
    run.stream.start()
    run.until(0.2)
    stats = run.stream.stats(request_id=3)
    assert isinstance(stats, schema.Stats)
    assert (stats.request_id, stats.speaking, stats.frames_sent, stats.audio_chunks_sent) == (3, True, 6, 6)
    assert stats.stream_time_s == pytest.approx(0.0, abs=1e-9)
