"""One avatar on one clock: which frame and which piece of sound is due, computed, sent and counted.

Knows nothing of sockets: what is to be published goes to the function it is given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gstalker.bridge import schema
from gstalker.bridge.clock import StreamClock
from gstalker.bridge.schema import FrameF32, FrameQ16, Message
from gstalker.bridge.server.timing_statistics import ServeStatistics
from gstalker.kernels.frame import Frame
from gstalker.kernels.quantise import BYTES_PER_MOVER, QuantisationBox, pack_movers
from gstalker.runtime.errors import InputError
from gstalker.runtime.session import rows_from_pose

Publish = Callable[[Message], None]


class FrameMaker(Protocol):
    """Where frames and the sound that belongs to them come from; `bridge.server.sources` has the real one."""

    fps: int
    mover_count: int
    box: QuantisationBox
    speech_frame_count: int  # 0 without a sound

    def frame(self, index: int, time_s: float, speech_frame: int | None) -> Frame:
        """The avatar at a frame of the stream: at a frame of the speech, or silent where that is None."""
        ...

    def sound(self, speech_frame: int) -> np.ndarray:
        """(samples a frame,) int16 heard while that frame of the speech is seen."""
        ...


@dataclass(frozen=True)
class StreamOptions:
    """How a stream runs."""

    lead_s: float = 0.2  # messages leave this long before their presentation, so that a client can buffer
    loop: bool = False  # speak again and again
    pause_s: float = 0.6  # of idling between two rounds of a loop


class AvatarStream:
    """The timeline of one avatar, from the moment `start` is called."""

    def __init__(
        self,
        maker: FrameMaker,
        options: StreamOptions,
        publish: Publish,
        wanted: Callable[[type[Message]], bool],
        steady: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Prepare the timeline.

        Args:
            maker: computes frames.
            options: how to run.
            publish: sends one message to all subscribers and returns at once.
            wanted: whether anybody subscribes to a type of message.
            steady: the clock, seconds.
        """
        self.maker, self.options = maker, options
        self.session_id = 1
        self.statistics = ServeStatistics()
        self.clock: StreamClock | None = None
        self.last_refusal = ""  # why the last frame could not be packed
        self._publish, self._wanted, self._steady = publish, wanted, steady
        self._next_index = 0
        self._speech_start: int | None = None  # frame at which the running utterance began
        self._speech_id = -1
        self._speech_over_at: int | None = None  # frame at which the last utterance ended by itself
        self._sequences: dict[type[Message], int] = {}
        self._usual_compute_s = 0.0
        self._dropping = False
        self._packed = np.empty((maker.mover_count, BYTES_PER_MOVER), np.uint8)

    @property
    def speaking(self) -> bool:
        return self._speech_start is not None

    @property
    def next_time_s(self) -> float:
        """Presentation time of the next frame."""
        return self._next_index / self.maker.fps

    def warm_up(self) -> None:
        """Compute and pack a frame that nobody gets: what compiles or loads lazily does so before the clock runs.

        Raises:
            InputError: the very first frame has no code in the avatar's box.
        """
        frame = self.maker.frame(0, 0.0, None)
        try:
            self._pack(frame)
        except ValueError as error:
            raise InputError(
                f"avatar: expected a frame that fits the bundle's box, {error} Export it again."
            ) from error

    def start(self) -> None:
        """Begin at presentation time 0, with the speech if there is one."""
        self.clock = StreamClock.start(self.options.lead_s, self._steady)
        if self.maker.speech_frame_count:
            self.play()

    def play(self) -> None:
        """Speak from the beginning, from the next frame on; before the start there is nothing to do."""
        if self.clock is None:
            return
        self.silence()
        self._speech_id += 1
        self._speech_start = self._next_index
        self._speech_over_at = None

    def silence(self) -> None:
        """Stop speaking at the next frame."""
        if self._speech_start is not None:
            self._speech_start = None
            self._publish(
                schema.SpeechEnd(
                    session_id=self.session_id,
                    sequence=self._sequence(schema.SpeechEnd),
                    speech_id=self._speech_id,
                    time_s=self.next_time_s,
                    cut=False,
                )
            )

    @property
    def finished(self) -> bool:
        """Whether the speech, not looped and not replayed, has been presented to its end."""
        if self.options.loop or self.speaking or self._speech_over_at is None or self.clock is None:
            return False
        return self.clock.now_s() >= self._speech_over_at / self.maker.fps

    def wait_s(self) -> float:
        """Seconds until `step` is due; infinite before the start."""
        return math.inf if self.clock is None else self.clock.wait_s(self.next_time_s)

    def step(self) -> None:
        """Send the sound and the frame that are due, or drop them where their time has passed; move on."""
        if self.clock is None:
            raise RuntimeError("AvatarStream.step: start() comes first.")
        index, time_s = self._next_index, self.next_time_s
        speech_frame = self._current_speech_frame()
        listened = self._wanted(FrameQ16) or self._wanted(FrameF32)
        if speech_frame is not None:
            self._send_sound(speech_frame, time_s)
        if listened:
            self._send_frame(index, time_s, speech_frame)
        self._next_index += 1

    def end(self) -> None:
        """Say that nothing follows."""
        self.silence()
        self._publish(
            schema.StreamEnd(
                session_id=self.session_id,
                sequence=self._sequence(schema.StreamEnd),
                frame_count=self.statistics.frames_sent,
                time_s=self.next_time_s,
            )
        )

    def _sequence(self, kind: type[Message]) -> int:
        """The next number of this kind of message."""
        number = self._sequences.get(kind, 0)
        self._sequences[kind] = number + 1
        return number

    def stats(self, request_id: int) -> schema.Stats:
        """The counters as a message."""
        s = self.statistics
        return schema.Stats(
            request_id=request_id,
            stream_time_s=self.clock.now_s() if self.clock else -self.options.lead_s,
            speaking=self.speaking,
            frames_sent=s.frames_sent,
            frames_late=s.frames_late,
            frames_dropped=s.frames_dropped,
            frames_refused=s.frames_refused,
            frames_superseded=0,
            audio_chunks_sent=s.audio_chunks_sent,
            speech_waiting_s=0.0,
            speech_starved=0,
            requests_refused=s.requests_refused,
            lateness_p50_ms=1e3 * s.lateness_s.percentile(50),
            lateness_p99_ms=1e3 * s.lateness_s.percentile(99),
            lateness_max_ms=1e3 * s.lateness_s.largest,
            compute_p50_ms=1e3 * s.compute_s.percentile(50),
            compute_p99_ms=1e3 * s.compute_s.percentile(99),
            frames_per_second=0.0,
            backend="onnxruntime",
            clients=0,
            session_clients=0,
            sessions=1,
            session_limit=1,
            load=0.0,
            source="",
        )

    def _current_speech_frame(self) -> int | None:
        """The frame of the speech that is due; ends an utterance that is over and begins the next of a loop."""
        count = self.maker.speech_frame_count
        if self._speech_start is not None and self._next_index - self._speech_start >= count:
            self._speech_over_at = self._next_index
            self.silence()
        if self._speech_over_at is not None and self.options.loop:
            pause = round(self.options.pause_s * self.maker.fps)
            if self._next_index - self._speech_over_at >= pause:
                self.play()
        return None if self._speech_start is None else self._next_index - self._speech_start

    def _overdue_s(self, time_s: float) -> float:
        """How long ago a message for this presentation time was due to leave."""
        assert self.clock is not None  # step() checked
        return -self.clock.wait_s(time_s)

    def _send_sound(self, speech_frame: int, time_s: float) -> None:
        pcm = self.maker.sound(speech_frame)
        sequence = self._sequence(schema.Audio)  # counted in any case: a hole shows what was not sent
        # Sound that should be over cannot be played any more; the sequence numbers show the hole.
        if self._overdue_s(time_s + 1 / self.maker.fps) <= self.options.lead_s:
            self._publish(
                schema.Audio(
                    session_id=self.session_id,
                    sequence=sequence,
                    speech_id=self._speech_id,
                    time_s=time_s,
                    sent_at_s=self._now_s(),
                    sample_count=len(pcm),
                    pcm=pcm,
                )
            )
            self.statistics.audio_chunks_sent += 1

    def _send_frame(self, index: int, time_s: float, speech_frame: int | None) -> None:
        # Do not begin what cannot be in time: on a machine that is too slow some frames in time are worth more than
        # all of them too late. A frame that is hardly overdue is always tried, so one slow moment cannot stop a stream.
        # Once frames must be dropped, half of the lead is won back, or every next hitch would cost frames again.
        lead_s = self.options.lead_s
        allowed_s = lead_s - min(self._usual_compute_s, 0.9 * lead_s)
        self._dropping = self._overdue_s(time_s) > (min(allowed_s, lead_s / 2) if self._dropping else allowed_s)
        if self._dropping:
            self.statistics.frames_dropped += 1
            return
        began_s = self._steady()
        frame = self.maker.frame(index, time_s, speech_frame)
        try:
            messages = self._frame_messages(frame)
        except ValueError as error:  # a value outside the box has no code, and a wrong one must not be drawn
            self.statistics.frames_refused += 1
            self.last_refusal = str(error)
            return
        compute_s = self._steady() - began_s
        self._usual_compute_s += 0.2 * (compute_s - self._usual_compute_s)
        if self._overdue_s(time_s) > self.options.lead_s:
            self.statistics.frames_dropped += 1
            return
        for message in messages:
            self._publish(message)
        self.statistics.frame_sent(self._overdue_s(time_s), self.options.lead_s, compute_s)

    def _frame_messages(self, frame: Frame) -> list[Message]:
        head, torso = rows_from_pose(frame.avatar_from_head), rows_from_pose(frame.avatar_from_torso)
        messages: list[Message] = []
        if self._wanted(FrameQ16):
            movers = self._pack(frame)
            place = (self.session_id, self._sequence(FrameQ16), frame.index, frame.time_s, self._now_s())
            messages.append(FrameQ16(*place, head, torso, len(movers), movers))
        if self._wanted(FrameF32):
            arrays = (frame.means, frame.quats_wxyz, frame.scales, frame.opacities)
            place = (self.session_id, self._sequence(FrameF32), frame.index, frame.time_s, self._now_s())
            messages.append(FrameF32(*place, head, torso, len(frame.means), *arrays))
        return messages

    def _pack(self, frame: Frame) -> np.ndarray:
        arrays = (frame.means, frame.quats_wxyz, frame.scales, frame.opacities)
        return pack_movers(*arrays, self.maker.box, out=self._packed)

    def _now_s(self) -> float:
        assert self.clock is not None  # step() checked
        return self.clock.now_s()
