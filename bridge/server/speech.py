"""A session's speech: one endless 16 kHz timeline on which utterances are placed as they come.

Sample 640 t belongs to frame t; where nobody speaks there is silence. A frame is computed from a window that looks
ahead by the front end's right context, so its sound must be known that much earlier (`algorithmic_delay_ms`).
"""

from __future__ import annotations

import numpy as np

from gstalker.bridge.server.live_balance import TARGET_SAMPLES
from gstalker.bridge.server.snapshot_fields import LARGEST, Fields
from gstalker.bridge.server.speech_queue import MAX_UTTERANCES, SpeechQueue
from gstalker.bridge.server.speech_spans import MAX_SPANS, SpeechEnded, SpeechSpans
from gstalker.bridge.server.utterance import Utterance
from gstalker.runtime.audio import MEL_FRAMES_PER_VIDEO_FRAME, SAMPLE_RATE_HZ, SAMPLES_PER_VIDEO_FRAME
from gstalker.runtime.audio_stream import (
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
_STATE = (
    *(
        "first_frame",
        "start",
        "pcm",
        "spans",
        "active",
        "waiting",
        "next_id",
        "sound_end",
        "ran_out_at",
        "hole_counted",
    ),
    *("prepared", "starved", "silence_inserted_s"),
)


class SpeechTimeline(SpeechQueue):
    """Utterances in, windows of features and pieces of sound out, frame by frame."""

    def __init__(self, front: AudioFrontEnd, capacity_s: float = 30.0) -> None:
        """Begin at frame 0, in silence.

        Args:
            front: the avatar's windows.
            capacity_s: how much pushed sound may wait.
        """
        super().__init__(capacity_s)
        self.front = front
        self.starved = 0  # times that pushed sound ran out in the middle of an utterance
        self.silence_inserted_s = 0.0  # heard because of that
        self._timeline = FeatureTimeline(HISTORY_S, front.log_mel)
        self._spans = SpeechSpans()
        self._sound_end = 0  # where the last sound so far ends
        self._ran_out_at: int | None = None  # the active utterance has been silent from here on
        self._hole_counted = False
        self._prepared = -1  # the last frame that was prepared

    # Frames out.

    def prepare(self, frame: int) -> None:
        """Make a frame's window final: place what is ready, and silence where nothing is.

        Frames are prepared in order; to prepare one again, as after a cut, changes nothing that is final.
        """
        need = window_end_sample(frame, self.front.right_mel_frames, self.front.log_mel)
        self._close_abandoned(frame)
        self._end_hole(frame)
        if self._active is not None and frame > self._prepared:
            reached = self._timeline.end if self._ran_out_at is None else self._ran_out_at
            self._active.keep_delay(reached + self._active.waiting - need)
        while self._active is not None or self._begin_next(frame):
            if not self._speak(need):
                break
        self._timeline.append_silence(max(0, need - self._timeline.end))
        self._prepared = max(self._prepared, frame)

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

    def heard_until(self, frame: int, count: int) -> np.ndarray | None:
        """(count,) int16, the last heard while a prepared frame is seen, a view; None where no utterance sounds."""
        if self.speech_at(frame) is None:
            return None
        end = (frame + 1) * SAMPLES_PER_VIDEO_FRAME
        return self._timeline.pcm(end - count, end)

    def speech_at(self, frame: int) -> int | None:
        """The utterance that sounds in a prepared frame."""
        return self._spans.at(frame)

    def ended(self, frame: int) -> list[SpeechEnded]:
        """Utterances whose sound is over when this frame begins; each is told once."""
        found = self._spans.ended(frame)
        self._spans.forget(self._timeline.oldest)
        return found

    def cut(self, frame: int) -> int | None:
        """Let all speech end where a frame begins, also what waits; the last 5 ms before it fade out.

        Returns:
            The utterance that would have sounded on, None if none would. It is not told by `ended` again.

        Raises:
            ValueError: the frame is too far back.
        """
        at = frame * SAMPLES_PER_VIDEO_FRAME
        sounds_before = self.speech_at(frame - 1) is not None
        self._active, self._ran_out_at, self._hole_counted = None, None, False
        self._waiting.clear()
        if at < self._timeline.end:
            self._timeline.take_back(at, min(FADE_SAMPLES, at) if sounds_before else 0)
        self._sound_end = min(self._sound_end, at)
        return self._spans.cut(at)

    # Moving to another process.

    def state(self, first_frame: int) -> dict[str, object]:
        """What another process needs to go on, as msgpack has it.

        Args:
            first_frame: the earliest frame that may still be asked for there.

        Raises:
            ValueError: that frame is too far back.
        """
        start = self._oldest_wanted(first_frame)
        return {
            "first_frame": first_frame,
            "start": start,
            "pcm": self._timeline.pcm(start, max(start, self._timeline.end)).astype("<i2").tobytes(),
            "spans": self._spans.state(),
            "active": self._active.state() if self._active is not None else None,
            "waiting": [u.state() for u in self._waiting],
            "next_id": self._next_id,
            "sound_end": self._sound_end,
            "ran_out_at": self._ran_out_at,
            "hole_counted": self._hole_counted,
            "prepared": self._prepared,
            "starved": self.starved,
            "silence_inserted_s": self.silence_inserted_s,
        }

    @staticmethod
    def from_state(
        front: AudioFrontEnd,
        state: object,
        capacity_s: float = 30.0,
        recording: np.ndarray | None = None,
        *,
        first_frame: int | None = None,
    ) -> SpeechTimeline:
        """Go on where `state` was taken: the same windows and the same sound follow.

        Args:
            front, capacity_s: as of a new timeline.
            state: out of a snapshot; nothing in it is believed.
            recording: (S,) float32 or int16, the server's own, which a snapshot names but does not hold.
            first_frame: the frame that will be asked for first, where that is known.

        Raises:
            RequestRefused: bad_value.
        """
        self = SpeechTimeline(front, capacity_s)
        fields = Fields(state, "speech", _STATE)
        frame = fields.whole("first_frame", 0, LARGEST)
        if first_frame not in (None, frame):
            raise fields.refused("first_frame", f"{first_frame}, the snapshot's next frame")
        if fields.whole("start", 0, LARGEST) != (start := self._oldest_wanted(frame)):
            raise fields.refused("start", f"{start}, where the window of frame {frame} begins")
        self._timeline = FeatureTimeline(HISTORY_S, front.log_mel, start=start)
        self._timeline.append(fields.pcm("pcm", round(2 * HISTORY_S * SAMPLE_RATE_HZ)))
        end = self._timeline.end
        self._spans = SpeechSpans.from_state(fields.items("spans", MAX_SPANS), end)
        own = recording if recording is None or recording.dtype == np.int16 else pcm_from_samples(recording)
        capacity = round((capacity_s + 1.0) * SAMPLE_RATE_HZ)  # the resamplers hold a little, too
        waiting = fields.items("waiting", MAX_UTTERANCES)
        self._waiting.extend(
            Utterance.from_state(w, f"speech.waiting.{i}", capacity, own) for i, w in enumerate(waiting)
        )
        if fields.anything("active") is not None:
            self._active = Utterance.from_state(fields.anything("active"), "speech.active", capacity, own)
        if (self._active is not None) != self._spans.open:
            raise fields.refused("active", "the utterance of the last span, while that has no end")
        self._next_id = fields.whole("next_id", 0, LARGEST)
        self._sound_end = fields.whole("sound_end", 0, end)
        self._ran_out_at = fields.optional_whole("ran_out_at", 0, end)
        self._hole_counted = fields.truth("hole_counted")
        self._prepared = fields.whole("prepared", -1, max(frame, end // SAMPLES_PER_VIDEO_FRAME))
        self.starved = fields.whole("starved", 0, LARGEST)
        self.silence_inserted_s = fields.number("silence_inserted_s", 0.0, 1e9)
        return self

    # Inside.

    def _window_rows(self, frame: int) -> tuple[int, int]:
        middle = MEL_FRAMES_PER_VIDEO_FRAME * frame
        return middle - self.front.left_mel_frames, middle + self.front.right_mel_frames

    def _oldest_wanted(self, frame: int) -> int:
        """The first sample that the window of a frame looks at, with room for a spectrum more."""
        hop = self.front.log_mel.hop_samples
        rows = self._window_rows(frame)[0] - self.front.log_mel.window_samples // hop
        return max(0, rows * hop)

    def _earliest(self, frame: int) -> int:
        """The first sample that sound which was not known before `frame` may take."""
        if self._prepared < 0:
            return 0
        return (frame + ANTICIPATION_FRAMES) * SAMPLES_PER_VIDEO_FRAME

    def _begin_next(self, frame: int) -> bool:
        """Place the next utterance if it is ready; whether one was."""
        if not self._waiting:
            return False
        utterance = self._waiting[0]
        look_ahead = window_end_sample(0, self.front.right_mel_frames)
        if utterance.live:  # in no more than its band, counted from the frame in which it will begin
            look_ahead += TARGET_SAMPLES - ANTICIPATION_FRAMES * SAMPLES_PER_VIDEO_FRAME
        if not utterance.closed and utterance.waiting < look_ahead:
            return False
        self._active = self._waiting.popleft()
        whole_frames = -(-self._sound_end // SAMPLES_PER_VIDEO_FRAME)
        first = max(self._earliest(frame), whole_frames * SAMPLES_PER_VIDEO_FRAME)
        self._go_to(first)
        self._spans.begin(utterance.speech_id, first)
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
        if self._ran_out_at is not None:
            return False
        missing = max(0, need - self._timeline.end)
        self._timeline.append(self._active.take(min(missing, self._active.waiting)))
        if self._active.waiting:
            return False
        if self._active.closed:
            self._finish(self._timeline.end)
            return True
        if self._timeline.end < need:
            self._ran_out_at = self._timeline.end
        return False

    def _finish(self, end: int) -> None:
        self._spans.finish(end)
        self._sound_end = end
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
