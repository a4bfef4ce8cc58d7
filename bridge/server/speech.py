"""A session's speech: one endless 16 kHz timeline on which utterances are placed as they come.

Sample 640 t belongs to frame t; where nobody speaks there is silence. A frame is computed from a window that looks
ahead by the front end's right context, so its sound must be known that much earlier (`algorithmic_delay_ms`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gstalker.bridge.errors import SpeechRefused
from gstalker.bridge.server.utterance import Utterance
from gstalker.runtime.audio import MEL_FRAMES_PER_VIDEO_FRAME, SAMPLE_RATE_HZ, SAMPLES_PER_VIDEO_FRAME
from gstalker.runtime.audio_stream import (
    HIGHEST_RATE_HZ,
    LOWEST_RATE_HZ,
    FeatureTimeline,
    StreamingResampler,
    pcm_from_samples,
    window_end_sample,
)
from gstalker.runtime.bundle_manifest import AudioFrontEnd

ANTICIPATION_FRAMES = 3  # an utterance out of silence begins so many frames on, so that the mouth opens before it
HISTORY_S = 4.0  # how far back a session may go: the longest lead, and the window before it
FADE_SAMPLES = 80  # 5 ms before a cut, against a click
REFILL_SAMPLES = 1600  # 100 ms: after a hole in the sound, go on once so much is there
ABANDONED_FRAMES = 250  # 10 s without news: an open utterance is taken for closed, or it would block the others
MAX_UTTERANCES = 64  # waiting, the one being spoken included


@dataclass
class Span:
    """Where an utterance lies on the timeline; `last` is None while it is being spoken."""

    speech_id: int
    first: int
    last: int | None
    reported: bool = False


class SpeechEnded(NamedTuple):
    """An utterance whose sound is over, and the presentation time at which it is."""

    speech_id: int
    time_s: float


class SpeechTimeline:
    """Utterances in, windows of features and pieces of sound out, frame by frame."""

    def __init__(self, front: AudioFrontEnd, capacity_s: float = 30.0) -> None:
        """Begin at frame 0, in silence.

        Args:
            front: the avatar's windows.
            capacity_s: how much pushed sound may wait.
        """
        self.front = front
        self.capacity_s = capacity_s
        self.starved = 0  # times that pushed sound ran out in the middle of an utterance
        self.silence_inserted_s = 0.0  # heard because of that
        self._timeline = FeatureTimeline(HISTORY_S, front.log_mel)
        self._spans: deque[Span] = deque()
        self._waiting: deque[Utterance] = deque()
        self._active: Utterance | None = None
        self._next_id = 0
        self._sound_end = 0  # where the last sound so far ends
        self._ran_out_at: int | None = None  # the active utterance has been silent from here on
        self._hole_counted = False

    # Sound in.

    def add_recording(self, samples: np.ndarray) -> int:
        """Say a whole recording, (S,) float32 in -1..1 or int16, 16 kHz mono, after what waits.

        Returns:
            The number of the utterance.

        Raises:
            SpeechRefused: speech_full.
        """
        pcm = samples if samples.dtype == np.int16 else pcm_from_samples(samples)
        return self._admit(Utterance.of_recording(self._next_id, pcm))

    def open(self, rate_hz: int, channel_count: int, *, live: bool = False) -> int:
        """Begin an utterance whose sound will be pushed.

        Args:
            rate_hz: 8000 to 96000.
            channel_count: 1 or 2; channels are averaged.
            live: from a device with a clock of its own: its delay is kept within bounds.

        Raises:
            SpeechRefused: bad_value, or speech_full.
        """
        if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise SpeechRefused(
                "bad_value", f"rate_hz: expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz, got {rate_hz}."
            )
        if channel_count not in (1, 2):
            raise SpeechRefused("bad_value", f"channel_count: expected 1 or 2, got {channel_count}.")
        return self._admit(Utterance(self._next_id, StreamingResampler(rate_hz), channel_count, live=live))

    def push(self, speech_id: int, first_sample: int, pcm: np.ndarray) -> None:
        """Add the next piece, (S, C) int16, to an open utterance.

        Raises:
            SpeechRefused: unknown_speech, bad_value, sound_hole, or speech_full.
        """
        utterance = self._open_utterance(speech_id)
        more_s = len(pcm) / utterance.rate_hz
        if self.waiting_s + more_s > self.capacity_s:
            raise SpeechRefused(
                "speech_full",
                f"sound: expected at most {self.capacity_s:g} s to wait, {self.waiting_s:.2f} s do already and "
                f"{more_s:.2f} s came. Send it later.",
                retry_after_s=self.waiting_s + more_s - self.capacity_s,
            )
        utterance.push(first_sample, pcm)

    def close(self, speech_id: int) -> None:
        """The utterance has all its sound.

        Raises:
            SpeechRefused: unknown_speech.
        """
        self._open_utterance(speech_id).close()

    def rate_hz(self, speech_id: int) -> int:
        """The rate at which an utterance's sound is pushed.

        Raises:
            SpeechRefused: unknown_speech.
        """
        return self._utterance(speech_id).rate_hz

    def received_s(self, speech_id: int) -> float:
        """Sound received of an utterance that is not over.

        Raises:
            SpeechRefused: unknown_speech.
        """
        return self._utterance(speech_id).received_s

    def waiting_of_s(self, speech_id: int) -> float:
        """Of that, what has no place on the timeline yet.

        Raises:
            SpeechRefused: unknown_speech.
        """
        return self._utterance(speech_id).waiting / SAMPLE_RATE_HZ

    @property
    def waiting_s(self) -> float:
        """Sound that has no place on the timeline yet, of all utterances."""
        return sum(u.waiting for u in self._utterances()) / SAMPLE_RATE_HZ

    @property
    def speaking(self) -> bool:
        """Whether an utterance has begun and is not over, or one waits."""
        return self._active is not None or bool(self._waiting)

    # Frames out.

    def prepare(self, frame: int) -> None:
        """Make a frame's window final: place what is ready, and silence where nothing is.

        Frames are prepared in order; to prepare one again, as after a cut, changes nothing that is final.
        """
        need = window_end_sample(frame, self.front.right_mel_frames, self.front.log_mel)
        self._close_abandoned(frame)
        self._end_hole(frame)
        while self._active is not None or self._begin_next(frame):
            if not self._speak(need):
                break
        self._timeline.append_silence(max(0, need - self._timeline.end))

    def window(self, frame: int) -> np.ndarray:
        """(W, bands) float32 features of a prepared frame, a view that the next `prepare` may overwrite."""
        return self._timeline.rows(*self._window_rows(frame))

    def is_silent(self, frame: int) -> bool:
        """Whether a prepared frame's window holds digital silence and nothing else."""
        return self._timeline.is_silent(*self._window_rows(frame))

    def pcm(self, frame: int) -> np.ndarray | None:
        """(640,) int16 heard while a prepared frame is seen, a view; None where no utterance sounds in it."""
        if self.speech_at(frame) is None:
            return None
        first = frame * SAMPLES_PER_VIDEO_FRAME
        return self._timeline.pcm(first, first + SAMPLES_PER_VIDEO_FRAME)

    def speech_at(self, frame: int) -> int | None:
        """The utterance that sounds in a prepared frame."""
        first = frame * SAMPLES_PER_VIDEO_FRAME
        for span in reversed(self._spans):
            if span.first < first + SAMPLES_PER_VIDEO_FRAME and (span.last is None or span.last > first):
                return span.speech_id
        return None

    def ended(self, frame: int) -> list[SpeechEnded]:
        """Utterances whose sound is over when this frame begins; each is told once."""
        until = frame * SAMPLES_PER_VIDEO_FRAME
        found: list[SpeechEnded] = []
        for span in self._spans:
            if not span.reported and span.last is not None and span.last <= until:
                span.reported = True
                found.append(SpeechEnded(span.speech_id, span.last / SAMPLE_RATE_HZ))
        while self._spans and self._spans[0].reported and (self._spans[0].last or 0) < self._timeline.oldest:
            self._spans.popleft()
        return found

    def cut(self, frame: int) -> int | None:
        """Let all speech end where a frame begins, also what waits; the last 5 ms before it fade out.

        Returns:
            The utterance that would have sounded on, None if none would. It is not told by `ended` again.

        Raises:
            ValueError: the frame is too far back.
        """
        at = frame * SAMPLES_PER_VIDEO_FRAME
        cut_id = self._active.speech_id if self._active is not None else None
        self._active, self._ran_out_at, self._hole_counted = None, None, False
        self._waiting.clear()
        sounds_before = self.speech_at(frame - 1) is not None
        if at < self._timeline.end:
            self._timeline.take_back(at, min(FADE_SAMPLES, at) if sounds_before else 0)
        for span in self._spans:
            if span.last is None or span.last > at:
                cut_id = span.speech_id
                span.first, span.last, span.reported = min(span.first, at), at, True
        self._sound_end = min(self._sound_end, at)
        return cut_id

    # Inside.

    def _admit(self, utterance: Utterance) -> int:
        if len(self._waiting) >= MAX_UTTERANCES:
            raise SpeechRefused(
                "speech_full",
                f"utterances: expected at most {MAX_UTTERANCES} to wait, and so many do. Open it later.",
                retry_after_s=max(1.0, self.waiting_s / 2),
            )
        self._waiting.append(utterance)
        self._next_id = utterance.speech_id + 1
        return utterance.speech_id

    def _utterances(self) -> list[Utterance]:
        return [*([self._active] if self._active is not None else []), *self._waiting]

    def _utterance(self, speech_id: int) -> Utterance:
        for utterance in self._utterances():
            if utterance.speech_id == speech_id:
                return utterance
        raise SpeechRefused(
            "unknown_speech", f"speech_id: expected an utterance that is open, {speech_id} was never opened or is over."
        )

    def _open_utterance(self, speech_id: int) -> Utterance:
        utterance = self._utterance(speech_id)
        if utterance.closed:
            raise SpeechRefused(
                "unknown_speech", f"speech_id: expected an utterance that is open, {speech_id} is closed."
            )
        return utterance

    def _window_rows(self, frame: int) -> tuple[int, int]:
        middle = MEL_FRAMES_PER_VIDEO_FRAME * frame
        return middle - self.front.left_mel_frames, middle + self.front.right_mel_frames

    def _earliest(self, frame: int) -> int:
        """The first sample that sound which was not known before `frame` may take."""
        if self._timeline.end == 0:
            return 0
        return (frame + ANTICIPATION_FRAMES) * SAMPLES_PER_VIDEO_FRAME

    def _begin_next(self, frame: int) -> bool:
        """Place the next utterance if it is ready; whether one was."""
        if not self._waiting:
            return False
        utterance = self._waiting[0]
        if not utterance.closed and utterance.waiting < window_end_sample(0, self.front.right_mel_frames):
            return False
        self._active = self._waiting.popleft()
        whole_frames = -(-self._sound_end // SAMPLES_PER_VIDEO_FRAME)
        first = max(self._earliest(frame), whole_frames * SAMPLES_PER_VIDEO_FRAME)
        self._go_to(first)
        self._spans.append(Span(utterance.speech_id, first, None))
        return True

    def _go_to(self, sample: int) -> None:
        """Make `sample` the timeline's end: what is taken back was silence, and so is what is added."""
        if sample < self._timeline.end:
            self._timeline.take_back(sample)
        else:
            self._timeline.append_silence(sample - self._timeline.end)

    def _speak(self, need: int) -> bool:
        """Move the active utterance's sound onto the timeline up to `need`; whether it is over."""
        assert self._active is not None  # prepare() looked
        missing = max(0, need - self._timeline.end)
        self._timeline.append(self._active.take(min(missing, self._active.waiting)))
        if self._active.waiting:
            return False
        if self._active.closed:
            self._finish(self._timeline.end)
            return True
        if self._timeline.end < need and self._ran_out_at is None:
            self._ran_out_at = self._timeline.end
        return False

    def _finish(self, end: int) -> None:
        self._spans[-1].last = self._sound_end = end
        self._active, self._ran_out_at, self._hole_counted = None, None, False

    def _end_hole(self, frame: int) -> None:
        """Where sound had run out: go on in place if that can still be, or count the hole and go on behind it."""
        if self._ran_out_at is None or self._active is None:
            return
        resume = max(self._ran_out_at, self._earliest(frame))
        hole = resume - self._ran_out_at
        if self._active.closed and not self._active.waiting:
            self._finish(self._ran_out_at)
            return
        if hole and not self._hole_counted:
            self.starved += 1
            self._hole_counted = True
        enough = REFILL_SAMPLES if hole and not self._active.closed else 1
        if self._active.waiting >= enough:
            self.silence_inserted_s += hole / SAMPLE_RATE_HZ
            self._go_to(resume)
            self._ran_out_at, self._hole_counted = None, False

    def _close_abandoned(self, frame: int) -> None:
        first = self._active or (self._waiting[0] if self._waiting else None)
        if first is not None and not first.closed and not first.live:
            out_of_sound = self._ran_out_at is not None or first is not self._active
            if first.frames_without_news(frame) > ABANDONED_FRAMES and out_of_sound:
                first.close()


def algorithmic_delay_ms(front: AudioFrontEnd, rate_hz: int = SAMPLE_RATE_HZ) -> float:
    """How much later than it is spoken a sample can be seen at the earliest, the lead and all work left out.

    The window of a frame reaches to the middle of its last mel frame and half a spectrum beyond; sound of another
    rate adds the resampler's filter.
    """
    look_ahead = window_end_sample(0, front.right_mel_frames, front.log_mel)
    return 1e3 * (look_ahead / SAMPLE_RATE_HZ + StreamingResampler(rate_hz).delay_s)
