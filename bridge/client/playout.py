"""What to show and what to play: frames and sound by presentation time, kept together by the sound device's clock.

    playout = Playout(PlayoutFormat.of(client.avatar), client.clock, client.avatar.frame)
    playout.take(received)                          # every publication
    samples = playout.sound(480, heard_at_s, now_s)  # from the device's callback, any thread
    picture = playout.picture(shown_at_s)           # for every picture of the display, at any rate

The sample being heard gives the presentation time, and the picture is mixed from the frames around it. Without a
sound device the session's own clock gives it. No sockets, no threads and no clock of its own: times come in as
arguments, on the client's steady clock. docs/clients.md says it for other languages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from gstalker.bridge.client.clock_estimator import ClockEstimator
from gstalker.bridge.client.frame_buffer import FrameBuffer, FrameCounts, Picked
from gstalker.bridge.client.heard import HeardCounts, HeardOptions, HeardTimeline
from gstalker.bridge.client.served_avatar import ServedAvatar
from gstalker.bridge.client.target_delay import DelayOptions, TargetDelay
from gstalker.bridge.schema import Audio, FrameF32, FrameQ16, Message, SpeechEnd
from gstalker.kernels.frame import Frame
from gstalker.kernels.interpolate import interpolate_frames

AnyFrame = FrameQ16 | FrameF32
AHEAD_S = 2.0  # how much more than the lead may wait
DEVICE_GONE_S = 0.5  # a device that asked for nothing for so long is gone: the session's clock goes on


@dataclass(frozen=True)
class PlayoutOptions:
    """How to play; the defaults suit a display and a loudspeaker on any network that is fit for speech."""

    heard: HeardOptions = field(default_factory=HeardOptions)
    delay: DelayOptions = field(default_factory=DelayOptions)
    bridge_s: float = 0.25  # neighbouring frames up to this far apart are mixed; across more the earlier is held


@dataclass(frozen=True)
class PlayoutFormat:
    """What of the welcome matters here."""

    fps: int
    audio_rate_hz: int
    lead_s: float

    @classmethod
    def of(cls, avatar: ServedAvatar) -> PlayoutFormat:
        return cls(avatar.fps, avatar.welcome.audio_rate_hz, avatar.welcome.lead_s)


@dataclass(frozen=True)
class Picture:
    """What to draw.

    Attributes:
        frame: the avatar, ready to assemble and draw.
        time_s: the moment of the avatar that it shows; heard_s: the presentation time that is heard with it.
        held: what belongs to the moment has not come, so that it shows one that is over.
    """

    frame: Frame
    time_s: float
    heard_s: float
    held: bool

    @property
    def sound_leads_s(self) -> float:
        """How far the sound is ahead of the picture; negative where it lags."""
        return self.heard_s - self.time_s


@dataclass
class PictureCounts:
    """What pictures were made of."""

    pictures: int = 0
    mixed: int = 0  # of two frames
    bridged: int = 0  # across frames that are missing
    held: int = 0  # of a moment that was over, because nothing of this one had come
    none: int = 0  # nothing had come at all


class Playout:
    """One session, played. `sound` may be called from another thread than the rest.

    Attributes:
        kind: of frames, the first that came.
        pictures: what pictures were made of.
    """

    def __init__(
        self,
        stream: PlayoutFormat,
        clock: ClockEstimator,
        decode: Callable[[AnyFrame], Frame],
        options: PlayoutOptions | None = None,
    ) -> None:
        """Start with nothing.

        Args:
            stream: rates and lead of the session.
            clock: what its clock shows; whoever sends the pings keeps it up to date.
            decode: frame message to frame, as `ServedAvatar.frame`.
            options: how to play.
        """
        self.stream, self.options = stream, options or PlayoutOptions()
        self._clock, self._decode = clock, decode
        self._lock = threading.Lock()
        self._line: tuple[float, float, float] | None = None  # local time, session time, rate: for the other thread
        self._frames: FrameBuffer[AnyFrame] = FrameBuffer(capacity=round((stream.lead_s + AHEAD_S) * stream.fps))
        self._heard = HeardTimeline(stream.audio_rate_hz, stream.lead_s + AHEAD_S, self.options.heard)
        self._delay = TargetDelay(stream.lead_s, self.options.delay)
        self._newest_s = {FrameQ16: -1.0, FrameF32: -1.0, Audio: -1.0}
        self.kind: type[AnyFrame] | None = None
        self._sound_sequence = -1
        self._newest_frame = (-1, 0)  # sequence, index
        self._apart_s = 0.0  # how far apart the server sends frames, where it leaves some out
        self._latency_s = 0.0
        self._shown_s: float | None = None
        self._shown_at_s = 0.0
        self._decoded: dict[tuple[int, int], Frame] = {}
        self.pictures = PictureCounts()

    @property
    def frames(self) -> FrameCounts:
        """What became of the frames that came."""
        return self._frames.counts

    @property
    def sounds(self) -> HeardCounts:
        """What became of the sound that came."""
        return self._heard.counts

    @property
    def waiting_frames(self) -> int:
        """Frames that have come and are not over."""
        return len(self._frames)

    @property
    def delay_s(self) -> float:
        """How long after its presentation time everything is played."""
        return self._delay.delay_s

    @property
    def jitter_s(self) -> float:
        """How long after their due time of leaving messages come, at the stated quantile."""
        return self._delay.jitter_s

    @property
    def device_drift(self) -> float:
        """How much more slowly than it says the sound device plays; 1e-6 is a microsecond a second."""
        return self._heard.device.drift

    def reset(self) -> None:
        """Throw away everything that came, as for another server or session; counts, device and delay stay."""
        with self._lock:
            self._frames.clear()
            self._heard.clear()
            self._newest_s = dict.fromkeys(self._newest_s, -1.0)
            self._sound_sequence, self._shown_s, self._line = -1, None, None
            self._newest_frame, self._apart_s = (-1, 0), 0.0
            self._decoded.clear()

    def take(self, message: Message, received_at_s: float) -> None:
        """One publication, and when it came on the local clock.

        What is none of frame, sound and end is ignored, and so are frames of another kind than the first: the two
        kinds are of the same moments, and number their messages apart.
        """
        with self._lock:
            if isinstance(message, FrameQ16 | FrameF32):
                self.kind = self.kind or type(message)
                if not isinstance(message, self.kind):
                    return
            self._follow_clock(received_at_s)
            if isinstance(message, FrameQ16 | FrameF32 | Audio):
                self._measure(message, received_at_s)
            if isinstance(message, FrameQ16 | FrameF32):
                self._follow_rate(message)
                self._frames.put(message)
            elif isinstance(message, Audio):
                if message.sequence > self._sound_sequence >= 0:
                    self._heard.counts.pieces_lost += message.sequence - self._sound_sequence - 1
                self._sound_sequence = max(self._sound_sequence, message.sequence)
                free_s = self._free_time_s(received_at_s)
                self._heard.put(message.speech_id, message.time_s, message.pcm, free_s)
            elif isinstance(message, SpeechEnd):
                self._heard.end(message.speech_id, message.time_s, self._free_time_s(received_at_s))

    def sound(self, count: int, heard_at_s: float, now_s: float, underrun: bool = False) -> np.ndarray:
        """What the device asks for.

        Args:
            count: samples, at the device's rate.
            heard_at_s: when the first of them will be heard, as the device tells; now_s: when it asks.
            underrun: the device says that it ran dry since it asked last.

        Returns:
            (count,) float32 in -1..1.
        """
        with self._lock:
            self._latency_s += 0.1 * (max(0.0, heard_at_s - now_s) - self._latency_s)
            # Of two frames that are mixed, the later one must be there when the earlier one's time has come.
            delay_s = self._delay.follow(now_s, max(self._latency_s, self._apart_s))

            def target_at(local_s: float) -> float | None:
                session_s = self._session_s(local_s)
                return None if session_s is None else session_s - delay_s

            shown_s = None  # what a picture that ran on without the device has come to by then
            if self._shown_s is not None and not self._device_asks(now_s):
                shown_s = self._shown_s + max(0.0, heard_at_s - self._shown_at_s)
            return self._heard.hand_over(count, heard_at_s, now_s, target_at, shown_s, underrun=underrun)

    def heard_s(self, at_s: float) -> float | None:
        """Which presentation time is heard at a local time: by the device, or without one by the session's clock."""
        with self._lock:
            return self._heard_s(at_s)

    def picture(self, at_s: float) -> Picture | None:
        """What to show at a local time, for instance when the display's next picture will be lit.

        None before there is anything to show.
        """
        at_s = float(at_s)  # a NumPy number would turn the counts into such
        with self._lock:
            self._follow_clock(at_s)
            heard_s = self._heard_s(at_s)
            if heard_s is None:
                self.pictures.none += 1
                return None
            if self._shown_s is not None and heard_s < self._shown_s - self.options.heard.restart_s:
                self._frames.clear()  # another session's time
                self._shown_s = None
            # Between device and clock, or after a late look, time could seem to go back by a little: it stands.
            self._shown_s = heard_s = heard_s if self._shown_s is None else max(heard_s, self._shown_s)
            self._shown_at_s = at_s
            picked = self._frames.pick(heard_s)
            if picked is None:
                self.pictures.none += 1
                return None
            time_s = self._moment(picked, heard_s)
            if picked.later is not None and time_s > picked.earlier.time_s:
                self._frames.mark_seen(picked.later)
            held = heard_s > time_s
            self._count(picked, time_s, held)
        return Picture(self._mix(picked, time_s), time_s, heard_s, held)

    def _moment(self, picked: Picked[AnyFrame], heard_s: float) -> float:
        """Which moment between the two frames to show."""
        earlier_s = picked.earlier.time_s
        if picked.later is None:
            return earlier_s
        gap_s = picked.later.time_s - earlier_s
        if gap_s <= self.options.bridge_s:
            return heard_s
        # Too far apart to guess what was between: hold, and come over in the last frame's time.
        last_s = picked.later.time_s - 1 / self.stream.fps
        return min(heard_s, earlier_s + gap_s * max(0.0, (heard_s - last_s) * self.stream.fps))

    def _count(self, picked: Picked[AnyFrame], time_s: float, held: bool) -> None:
        counts = self.pictures
        counts.pictures += 1
        counts.held += held
        if picked.later is not None and time_s > picked.earlier.time_s:
            counts.mixed += 1
            counts.bridged += picked.later.time_s - picked.earlier.time_s > 1.5 / self.stream.fps

    def _mix(self, picked: Picked[AnyFrame], time_s: float) -> Frame:
        earlier = self._frame(picked.earlier)
        if picked.later is None or time_s <= earlier.time_s:
            return earlier
        return interpolate_frames(earlier, self._frame(picked.later), min(time_s, picked.later.time_s))

    def _frame(self, message: AnyFrame) -> Frame:
        key = (message.index, message.sequence)
        if key not in self._decoded:
            while len(self._decoded) >= 3:
                del self._decoded[next(iter(self._decoded))]
            self._decoded[key] = self._decode(message)
        return self._decoded[key]

    def _measure(self, message: AnyFrame | Audio, received_at_s: float) -> None:
        """Let the delay see how late messages come; what is sent again says nothing of it."""
        session_s = self._session_s(received_at_s)
        if session_s is None or message.time_s <= self._newest_s[type(message)]:
            return
        self._newest_s[type(message)] = message.time_s
        self._delay.arrived(session_s - (message.time_s - self.stream.lead_s))

    def _follow_rate(self, message: AnyFrame) -> None:
        """See how far apart frames are that were sent one after the other: the server leaves out what nobody wants."""
        sequence, index = self._newest_frame
        if message.sequence == sequence + 1 and message.index > index:
            apart_s = (message.index - index) / self.stream.fps
            self._apart_s = apart_s if 1.5 / self.stream.fps < apart_s <= self.options.bridge_s else 0.0
        if message.sequence > sequence:
            self._newest_frame = (message.sequence, message.index)

    def _heard_s(self, at_s: float) -> float | None:
        heard_s = self._heard.time_s(at_s) if self._device_asks(at_s) else None
        return self._free_time_s(at_s) if heard_s is None else heard_s

    def _device_asks(self, at_s: float) -> bool:
        return self._heard.last_asked_s is not None and at_s < self._heard.last_asked_s + DEVICE_GONE_S

    def _free_time_s(self, at_s: float) -> float | None:
        """What ought to be heard at a local time."""
        session_s = self._session_s(at_s)
        return None if session_s is None else session_s - self._delay.delay_s

    def _follow_clock(self, now_s: float) -> None:
        if self._clock.known:
            self._line = (now_s, self._clock.session_time_s(now_s), 1 + self._clock.drift)

    def _session_s(self, at_s: float) -> float | None:
        if self._line is None:
            return None
        local_s, session_s, rate = self._line
        return session_s + rate * (at_s - local_s)
