"""One avatar on one stream clock: which frame and which sound is due, computed, sent and counted.

Knows nothing of sockets: what is to be published goes to the function it is given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from gstalker.bridge.clock import StreamClock
from gstalker.bridge.schema import Audio, FrameF32, FrameQ16, Message, SpeechEnd, StreamEnd
from gstalker.bridge.server.admission import FrameCost
from gstalker.bridge.server.controls import FaceControls
from gstalker.bridge.server.loaded_avatar import Moved
from gstalker.bridge.server.options import SessionOptions
from gstalker.bridge.server.pitch import PITCH_SAMPLES
from gstalker.bridge.server.speech import SpeechTimeline
from gstalker.bridge.server.speech_emotion import SpeechEmotion
from gstalker.bridge.server.timing_statistics import ServeStatistics
from gstalker.runtime.infer import Controls
from gstalker.runtime.session import rows_from_pose

Publish = Callable[[Message], None]
STOP_MARGIN_S = 0.02  # from a stop to the earliest moment that may fall silent: computing and sending take some of it
_SENT_RING = 1024  # frames; more than the longest lead holds


class FrameMaker(Protocol):
    """What computes frames; `bridge.server.loaded_avatar` has the real one."""

    fps: int
    cost: FrameCost
    silent_code: np.ndarray

    def code(self, window: np.ndarray) -> np.ndarray:
        """The audio code of a window of features."""
        ...

    def move(self, code: np.ndarray, controls: Controls, *, values: bool) -> Moved:
        """The avatar at a moment; ValueError where a value lies outside the box."""
        ...


class Session:
    """The timeline of one avatar, from the moment `start` is called.

    Attributes:
        speech, face: what is said and how the face is held; requests change them, frames read them.
        frame_divisor: only every so manieth frame is sent.
        next_index: the frame that `step` is about to send.
    """

    def __init__(
        self,
        session_id: int,
        maker: FrameMaker,
        speech: SpeechTimeline,
        face: FaceControls,
        options: SessionOptions,
        publish: Publish,
        wanted: Callable[[type[Message]], bool],
        *,
        recording: np.ndarray | None = None,
        steady: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Prepare the timeline.

        Args:
            session_id: part of every topic.
            maker: computes frames.
            speech, face: fresh ones.
            options: how to run.
            publish: sends one message to all subscribers and returns at once.
            wanted: whether anybody subscribes to a type of message of this session.
            recording: (S,) float32 at 16 kHz that `play` says.
            steady: the clock, seconds.
        """
        self.session_id, self.maker, self.speech, self.face = session_id, maker, speech, face
        self.options, self.recording = options, recording
        self.statistics = ServeStatistics()
        self.clock: StreamClock | None = None
        self.frame_divisor = 1
        self.next_index = 0
        self.last_refusal = ""  # why the last frame could not be packed
        self._publish, self._wanted, self._steady = publish, wanted, steady
        self._first_index = 0  # nothing before it was ever sent: it came out of a snapshot
        self._played: int | None = None  # the utterance that is the recording
        self._played_over_at: int | None = None  # frame at which it ended by itself
        self._ended_at = 0  # frame up to which ends of utterances were announced
        self.speech_emotion = SpeechEmotion() if options.emotion_from_speech else None
        self._heard_strength = 0.0  # of the emotion, in the frame that is due
        self._sequences: dict[type[Message], int] = {}
        self._sent_in_slot = np.full(_SENT_RING, -1, np.int64)
        self._ahead_index = 0  # frames below it were due before a stop went back in time
        self._dropping = False

    @property
    def speaking(self) -> bool:
        """Whether the frame sent last, or else the next one, has speech in it."""
        return self.clock is not None and self.speech.speech_at(max(self.next_index - 1, self._first_index)) is not None

    @property
    def next_time_s(self) -> float:
        """Presentation time of the next frame."""
        return self.next_index / self.maker.fps

    @property
    def now_s(self) -> float:
        """The session's clock; it stands at minus the lead until the start."""
        return -self.options.lead_s if self.clock is None else self.clock.now_s()

    def wait_s(self) -> float:
        """Seconds until `step` is due; infinite before the start."""
        return math.inf if self.clock is None else self.clock.wait_s(self.next_time_s)

    def deadline_in_s(self) -> float:
        """Seconds until the next frame is to be seen; infinite before the start."""
        return math.inf if self.clock is None else self.next_time_s - self.clock.now_s()

    def start(self, *, play: bool) -> None:
        """Begin at presentation time 0, with the recording where that is asked for."""
        self.clock = StreamClock.start(self.options.lead_s, self._steady, first_time_s=self.next_time_s)
        if play and self.recording is not None and self._played is None:
            self.play()

    def play(self) -> None:
        """Say the recording from its beginning, instead of what is being said."""
        if self.recording is None:
            raise RuntimeError("Session.play: there is no recording.")
        self.stop()
        self._played = self.speech.add_recording(self.recording)
        self._played_over_at = None

    def stop(self) -> None:
        """Cut all speech, and go back to the first frame that can still be shown without it."""
        earliest = math.ceil((self.now_s + STOP_MARGIN_S) * self.maker.fps - 1e-9)
        cut = min(max(earliest, self._first_index), self.next_index)
        speech_id = self.speech.cut(cut)
        self._played = self._played_over_at = None
        if speech_id is None:
            return
        self._announce_end(speech_id, cut / self.maker.fps, cut=True)
        self._ahead_index = max(self._ahead_index, self.next_index)
        self.next_index = self._ended_at = cut

    @property
    def finished(self) -> bool:
        """Whether the recording, not looped and not replayed, has been presented to its end."""
        if self.options.loop or self._played_over_at is None:
            return False
        return self.now_s >= self._played_over_at / self.maker.fps

    def step(self) -> bool:
        """Send the sound and the frame that are due, or drop them where their time has passed; move on.

        Returns:
            Whether a frame was computed, which takes time; all else is quick.
        """
        if self.clock is None:
            raise RuntimeError("Session.step: start() comes first.")
        index, time_s = self.next_index, self.next_time_s
        self._announce_ends(index)
        self._play_again(index)
        self.speech.prepare(index)
        self._send_sound(index, time_s)
        if self.speech_emotion is not None:
            self._heard_strength = self.speech_emotion.hear(index, self.speech.heard_until(index, PITCH_SAMPLES))
        wanted = index % self.frame_divisor == 0 and (self._wanted(FrameQ16) or self._wanted(FrameF32))
        computed = wanted and self._send_frame(index, time_s)
        self.next_index += 1
        return computed

    def end(self) -> None:
        """Say that nothing follows."""
        if self.speaking and (speech_id := self.speech.speech_at(self.next_index - 1)) is not None:
            self._announce_end(speech_id, self.next_time_s, cut=True)
        self._publish(
            StreamEnd(
                session_id=self.session_id,
                sequence=self._sequence(StreamEnd),
                frame_count=self.statistics.frames_sent,
                time_s=self.next_time_s,
            )
        )

    def resume_at(
        self, index: int, speech: SpeechTimeline, face: FaceControls, speech_emotion: SpeechEmotion | None = None
    ) -> None:
        """Go on from a snapshot: the clock is set so that its next frame is due now.

        Whether emotion is heard in the speech is this server's choice; without a state of it, it begins anew.
        """
        self.speech, self.face = speech, face
        if self.speech_emotion is not None:
            self.speech_emotion = speech_emotion or SpeechEmotion()
        self.next_index = self._first_index = self._ended_at = index
        self._ahead_index, self._dropping = 0, False
        self._played = self._played_over_at = None
        self._sent_in_slot.fill(-1)
        if self.clock is not None:
            self.clock = StreamClock.start(self.options.lead_s, self._steady, first_time_s=self.next_time_s)

    def _sequence(self, kind: type[Message]) -> int:
        """The next number of this kind of message."""
        number = self._sequences.get(kind, 0)
        self._sequences[kind] = number + 1
        return number

    def _announce_end(self, speech_id: int, time_s: float, *, cut: bool) -> None:
        sequence = self._sequence(SpeechEnd)
        self._publish(SpeechEnd(self.session_id, sequence, speech_id=speech_id, time_s=time_s, cut=cut))

    def _announce_ends(self, index: int) -> None:
        """Say which utterances have no sound from this frame on; once for each, also where frames are sent again."""
        if index <= self._ended_at:
            return
        for speech_id, time_s in self.speech.ended(index):
            self._announce_end(speech_id, time_s, cut=False)
            if speech_id == self._played:
                self._played_over_at = index
        self._ended_at = index

    def _play_again(self, index: int) -> None:
        if self.options.loop and self._played_over_at is not None and self.recording is not None:
            pause = round(self.options.pause_s * self.maker.fps)
            if index - self._played_over_at >= pause:
                self._played, self._played_over_at = self.speech.add_recording(self.recording), None

    def _overdue_s(self, time_s: float) -> float:
        """How long ago a message for this presentation time was due to leave."""
        assert self.clock is not None  # step() checked
        return -self.clock.wait_s(time_s)

    def _send_sound(self, index: int, time_s: float) -> None:
        pcm = self.speech.pcm(index)
        speech_id = self.speech.speech_at(index)
        if pcm is None or speech_id is None:
            return
        sequence = self._sequence(Audio)  # counted in any case: a hole shows what was not sent
        # Sound that should be over cannot be played any more; the sequence numbers show the hole.
        if self._overdue_s(time_s + 1 / self.maker.fps) <= self.options.lead_s:
            self._publish(Audio(self.session_id, sequence, speech_id, time_s, self.now_s, len(pcm), pcm))
            self.statistics.audio_chunks_sent += 1

    def _send_frame(self, index: int, time_s: float) -> bool:
        """Compute and send a frame, or drop it; whether it was computed."""
        if self._too_late(index, time_s):
            self.statistics.frames_dropped += 1
            return False
        began_s = self._steady()
        code = self.maker.silent_code if self.speech.is_silent(index) else self.maker.code(self.speech.window(index))
        try:
            moved = self.maker.move(code, self._controls(index), values=self._wanted(FrameF32))
        except ValueError as error:  # a value outside the box has no code, and a wrong one must not be drawn
            self.statistics.frames_refused += 1
            self.last_refusal = str(error)
            return True
        compute_s = self._steady() - began_s
        self.maker.cost.add(compute_s)
        if self._overdue_s(time_s) > self.options.lead_s:
            self.statistics.frames_dropped += 1
            return True
        self._publish_frame(index, time_s, moved)
        self._count_sent(index, time_s, compute_s)
        return True

    def _controls(self, index: int) -> Controls:
        if self.speech_emotion is None:
            return self.face.at(index)
        return self.face.at(index, self.options.emotion_from_speech, self._heard_strength)

    def _too_late(self, index: int, time_s: float) -> bool:
        # Do not begin what cannot be in time: on a machine that is too slow some frames in time are worth more than
        # all of them too late. A frame that is hardly overdue is always tried, so one slow moment cannot stop a stream.
        # Once frames must be dropped, half of the lead is won back, or every next hitch would cost frames again; not
        # for those that a stop had sent again, of which each one dropped leaves a wrong one standing.
        lead_s = self.options.lead_s
        allowed_s = lead_s - min(self.maker.cost.mean_s, 0.9 * lead_s)
        strict = self._dropping and index >= self._ahead_index
        self._dropping = self._overdue_s(time_s) > (min(allowed_s, lead_s / 2) if strict else allowed_s)
        return self._dropping

    def _publish_frame(self, index: int, time_s: float, moved: Moved) -> None:
        head, torso = rows_from_pose(moved.poses[0]), rows_from_pose(moved.poses[1])
        if self._wanted(FrameQ16):
            place = (self.session_id, self._sequence(FrameQ16), index, time_s, self.now_s)
            self._publish(FrameQ16(*place, head, torso, len(moved.packed), moved.packed))
        if self._wanted(FrameF32):
            place = (self.session_id, self._sequence(FrameF32), index, time_s, self.now_s)
            self._publish(FrameF32(*place, head, torso, len(moved.means), *moved.values))

    def _count_sent(self, index: int, time_s: float, compute_s: float) -> None:
        slot = index % _SENT_RING
        again = bool(self._sent_in_slot[slot] == index)
        self._sent_in_slot[slot] = index
        # A frame that is sent again was due when the stop came, not when it was first sent: its lateness says nothing.
        lateness_s = None if index < self._ahead_index else self._overdue_s(time_s)
        self.statistics.frame_sent(self._steady(), lateness_s, self.options.lead_s, compute_s, again=again)
