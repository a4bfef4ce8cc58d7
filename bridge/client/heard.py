"""What is being heard: sound handed to a device at the device's rate, kept in step with the session's clock.

The device asks for so many samples and says when they will be heard. Which presentation time they hold is chosen
here: normally on from the last one, up to half a percent faster or slower so that no drift adds up; by a jump only
where nothing sounds, or where the error is beyond `jump_s`. Forward is a skip, back is a wait: time that was heard
never comes again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gstalker.bridge.client.device_clock import DeviceClock
from gstalker.bridge.client.sound_buffer import FADE_S, SoundBuffer

KEPT_S = 3.0  # of what was handed over, to tell what is being heard
GAP_S = 0.02  # of silence at a jump in sound: where it is heard is known to milliseconds, so the picture jumps within
OPEN_S = 1.0  # an utterance whose end never came is over when no sound of it came for so long
_UTTERANCES = 64


@dataclass(frozen=True)
class HeardOptions:
    """How the heard time is kept in step."""

    device_rate_hz: int = 48_000
    largest_rate_change: float = 0.005  # of speed and pitch: a twelfth of a semitone
    catch_up_s: float = 2.0  # an error is corrected over about this long
    quiet_jump_s: float = 0.005  # where nothing sounds, errors beyond this are jumped
    jump_s: float = 0.12  # and beyond this anywhere
    restart_s: float = 2.0  # the clock went back by more: another session, begin anew


@dataclass
class HeardCounts:
    """What became of the sound. Samples are those of the session's rate."""

    samples_received: int = 0
    samples_taken: int = 0
    samples_late: int = 0  # their time was over when they came
    samples_void: int = 0  # cut off by a speech_end, before or after they came
    pieces_lost: int = 0  # never came: holes in `sequence`
    samples_concealed: int = 0  # silence in the middle of an utterance, because nothing was there
    underruns: int = 0  # how often that began
    skips: int = 0  # jumps forward
    skipped_s: float = 0.0
    waits: int = 0  # stops until the clock had caught up
    waited_s: float = 0.0
    restarts: int = 0


@dataclass(frozen=True)
class _Handed:
    """A run of samples that the device got: position (in samples of the session) of the first, and step a sample."""

    first: int
    count: int
    position: float
    step: float


class HeardTimeline:
    """The sound side of a playout. Not for several threads at once: `Playout` locks."""

    def __init__(self, rate_hz: int, capacity_s: float, options: HeardOptions) -> None:
        self.options = options
        self.counts = HeardCounts()
        self.device = DeviceClock(options.device_rate_hz)
        self.last_asked_s: float | None = None  # local time of the newest `hand_over`
        self._rate_hz = rate_hz
        self._buffer = SoundBuffer(rate_hz, capacity_s)
        self._utterances: dict[int, list[int]] = {}  # first sample, end so far, 1 once it is final
        self._handed: deque[_Handed] = deque()
        self._asked = 0
        self._position: float | None = None
        self._counted_to: int | None = None  # samples before this were judged present or concealed
        self._gain = 0.0
        self._waiting = self._concealing = False
        self._gap_left = 0  # samples of the device
        self._leapt_from = 0.0  # the position that was heard before the gap
        self._step = rate_hz / options.device_rate_hz
        self._fade = max(1, round(FADE_S * options.device_rate_hz))

    def clear(self) -> None:
        """Forget sound and place, as for another session; the device goes on."""
        self._buffer.clear()
        self._utterances.clear()
        self._handed.clear()
        self._position = self._counted_to = None
        self._gain, self._gap_left = 0.0, 0
        self._waiting = self._concealing = False

    def put(self, speech_id: int, time_s: float, pcm: np.ndarray, free_time_s: float | None) -> None:
        """Take a piece of sound; `free_time_s` is what would be heard now, where no device asks."""
        first = round(time_s * self._rate_hz)
        taken, late, void = self._buffer.put(speech_id, first, pcm, self._played(free_time_s, first))
        counts = self.counts
        counts.samples_received += len(pcm)
        counts.samples_taken += taken
        counts.samples_late += late
        counts.samples_void += void
        end = first + len(pcm)
        known = self._utterances.setdefault(speech_id, [first, end, 0])
        known[0] = min(known[0], first)
        if not known[2]:
            known[1] = max(known[1], end)
        while len(self._utterances) > _UTTERANCES:
            del self._utterances[min(self._utterances)]

    def end(self, speech_id: int, time_s: float, free_time_s: float | None) -> None:
        """The utterance ends at this presentation time."""
        end = round(time_s * self._rate_hz)
        self.counts.samples_void += self._buffer.end(speech_id, end, self._played(free_time_s, end))
        if speech_id in self._utterances:
            self._utterances[speech_id][1:] = [end, 1]

    def hand_over(
        self,
        count: int,
        heard_at_s: float,
        now_s: float,
        target_at: Callable[[float], float | None],
        at_least_s: float | None = None,
        *,
        underrun: bool = False,
    ) -> np.ndarray:
        """The next samples for the device.

        Args:
            count: how many.
            heard_at_s: when the first will be heard, as the device says; now_s: when it asks. Local clock.
            target_at: which presentation time ought to be heard at a local time; None while that is unknown.
            at_least_s: what was shown while no device asked: sound does not begin before it.
            underrun: the device says that it played silence before, because nothing was there in time.

        Returns:
            (count,) float32 in -1..1.
        """
        self.last_asked_s = now_s
        first, self._asked = self._asked, self._asked + count
        self.device.add(first, heard_at_s, now_s, underrun=underrun)
        target_s = target_at(self.device.heard_at_s(first))
        if target_s is None:
            return np.zeros(count, np.float32)
        out = np.zeros(count, np.float32)
        target_s = target_s if at_least_s is None else max(target_s, at_least_s)
        error_s = self._correct(target_s, count, out, resuming=at_least_s is not None)
        done = self._wait(first, count, error_s)
        self._play(first + done, 0.0 if done else error_s, out[done:])
        oldest = self._asked - KEPT_S * self.options.device_rate_hz
        while self._handed and self._handed[0].first + self._handed[0].count < oldest:
            self._handed.popleft()
        return out

    def time_s(self, at_s: float) -> float | None:
        """Which presentation time is heard at a local time; None before anything was handed over."""
        if not self._handed or not self.device.known:
            return None
        sample = self.device.sample_at(at_s)
        run = self._handed[0]
        for run in reversed(self._handed):
            if run.first <= sample:
                break
        longest = float(run.count)
        if run is self._handed[-1]:  # the device will ask for what follows; one that stands plays no more than this
            longest = max(longest, self.device.sample_at(self.device.trusted_until_s) - run.first)
        return float(run.position + run.step * min(max(0.0, sample - run.first), longest)) / self._rate_hz

    def _played(self, free_time_s: float | None, otherwise: int) -> int:
        """The first sample that has not been handed over; another one where nothing is known."""
        if self._position is not None:
            return int(np.ceil(self._position))
        return otherwise if free_time_s is None else int(np.ceil(free_time_s * self._rate_hz))

    def _correct(self, target_s: float, count: int, out: np.ndarray, *, resuming: bool) -> float:
        """Jump where that is allowed, as when the device was gone; the error left, positive where sound is behind."""
        rate_hz, options = self._rate_hz, self.options
        if self._position is None or self._position / rate_hz - target_s > options.restart_s:
            self.counts.restarts += self._position is not None
            self.clear_place(target_s)
        assert self._position is not None  # set above
        error_s = target_s - self._position / rate_hz
        ahead = int(np.ceil(max(error_s, 0.0) * rate_hz)) if error_s < options.jump_s else 0
        reach = int(np.ceil(count * self._step)) + ahead + self._buffer.fade
        start = int(self._position) - self._buffer.fade
        quiet = resuming or not self._buffer.present(start, reach + self._buffer.fade).any()
        if error_s > (options.quiet_jump_s if quiet else options.jump_s):
            self._fade_out(out)
            self.counts.skips += 1
            self.counts.skipped_s += error_s
            self._judge(self._position + error_s * rate_hz, skipped=True)
            self._leapt_from = self._position
            self._position += error_s * rate_hz
            if resuming or error_s > options.jump_s:
                self._gap_left = round(GAP_S * options.device_rate_hz)
            return 0.0
        if not self._waiting and error_s < -(options.quiet_jump_s if quiet else options.jump_s):
            self._fade_out(out)
            self._waiting = True
            self.counts.waits += 1
        return error_s

    def clear_place(self, target_s: float) -> None:
        """Begin at this presentation time."""
        self._handed.clear()
        self._position = target_s * self._rate_hz
        self._counted_to = int(np.ceil(self._position))
        self._gain, self._gap_left, self._waiting = 0.0, 0, False

    def _wait(self, first: int, count: int, error_s: float) -> int:
        """Stand still until the clock has caught up; for how many of the samples."""
        if not self._waiting:
            return 0
        assert self._position is not None  # _correct set it
        still = min(count, max(0, int(np.ceil(-error_s * self.options.device_rate_hz))))
        self._waiting = still == count
        self.counts.waited_s += still / self.options.device_rate_hz
        if still:
            self._handed.append(_Handed(first, still, self._position, 0.0))
        return still

    def _play(self, first: int, error_s: float, out: np.ndarray) -> None:
        """Add what sounds from the position on."""
        options = self.options
        limit = options.largest_rate_change
        change = float(np.clip(error_s / options.catch_up_s, -limit, limit))
        step = self._step * (1 + change)
        silent = self._pass_gap(first, len(out), step)
        count = len(out) - silent
        if count == 0:
            return
        assert self._position is not None  # _correct set it
        positions = self._position + step * np.arange(count)
        sound, gain = self._buffer.read(positions)
        rise = np.arange(1, count + 1) / self._fade
        gain = rise + np.minimum(np.minimum.accumulate(gain - rise), self._gain)
        out[silent:] += (sound * gain).astype(np.float32)
        self._gain = float(gain[-1])
        self._handed.append(_Handed(first + silent, count, self._position, step))
        self._position += step * count
        self._judge(self._position, skipped=False)

    def _pass_gap(self, first: int, count: int, step: float) -> int:
        """Let the silence of a jump pass: in its middle the heard time goes over; how many of the samples are in it."""
        silent = min(count, self._gap_left)
        half = round(GAP_S * self.options.device_rate_hz) // 2
        before = min(silent, max(0, self._gap_left - half))
        if before:
            self._handed.append(_Handed(first, before, self._leapt_from, 0.0))
        if silent:
            assert self._position is not None  # _correct set it
            self._handed.append(_Handed(first + before, silent - before, self._position + step * before, step))
            self._position += step * silent
            self._judge(self._position, skipped=True)
            self._gap_left -= silent
        return silent

    def _fade_out(self, out: np.ndarray) -> None:
        """Let what was sounding end without a click; what follows fades in."""
        assert self._position is not None  # _correct set it
        count = min(self._fade, len(out))
        if self._gain > 0:
            sound, gain = self._buffer.read(self._position + self._step * np.arange(count))
            fall = np.minimum(gain, self._gain) * (1 - np.arange(1, count + 1) / count)
            out[:count] += (sound * fall).astype(np.float32)
        self._gain = 0.0

    def _judge(self, position: float, *, skipped: bool) -> None:
        """Count what of the samples up to this position was missing from an utterance."""
        assert self._counted_to is not None  # set with the position
        end = int(np.ceil(position))
        count = end - self._counted_to
        if count <= 0:
            return
        if not skipped:
            numbers = np.arange(self._counted_to, end)
            due = np.zeros(count, bool)
            for begin, over, final in self._utterances.values():
                due |= (numbers >= begin) & (numbers < (over if final else over + OPEN_S * self._rate_hz))
            missing = due & ~self._buffer.present(self._counted_to, count)
            before = np.concatenate([[self._concealing], missing[:-1]])
            self.counts.samples_concealed += int(missing.sum())
            self.counts.underruns += int((missing & ~before).sum())
            self._concealing = bool(missing[-1])
        self._counted_to = end
