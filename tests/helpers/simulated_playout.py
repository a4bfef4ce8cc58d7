"""A server, a network, a sound device and a display in simulated time around a real `Playout`.

What is heard and seen is told from content alone: sample n of the sound has the value n modulo RAMP, and a frame's
first mover stands at its presentation time, so that neither the player's clocks nor its counts are believed.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

import numpy as np

from gstalker.bridge.client.clock_estimator import ClockEstimator
from gstalker.bridge.client.playout import AnyFrame, Picture, Playout, PlayoutFormat, PlayoutOptions
from gstalker.bridge.schema import Audio, FrameQ16, Message, SpeechEnd
from gstalker.kernels.frame import Frame

FPS, RATE_HZ, DEVICE_HZ, BLOCK = 25, 16_000, 48_000, 480
PIECE = RATE_HZ // FPS
RAMP = 24_000
POSE = (1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
LEADS_S, LAGS_S = 0.045, 0.125  # ITU-R BT.1359: how far sound may lead and lag the picture


@dataclass(frozen=True)
class Faults:
    """What goes wrong, all in seconds of true time."""

    client_ppm: float = 0.0  # local clock against the server's
    device_ppm: float = 0.0  # sound device against the local clock
    delay_s: float = 0.5e-3  # least time on the road
    jitter_s: float = 0.5e-3  # mean of what is added to it, frames and sound apart
    loss: float = 0.0  # share of publications lost
    stalls: tuple[tuple[float, float], ...] = ()  # (from, for): nothing arrives, then all of it at once
    freezes: tuple[tuple[float, float], ...] = ()  # (from, for): the client does not run; the device plays silence
    stops: tuple[
        tuple[float, float], ...
    ] = ()  # (from, for): the device does not ask; it plays what it has, then silence
    halts: tuple[
        tuple[float, float], ...
    ] = ()  # (from, for): the device stands still with what it has, and goes on with it
    cuts: tuple[float, ...] = ()  # the utterance is stopped, and another one begins half a second later
    heard_jitter_s: float = 1e-3  # error of what the device says of its time
    device: bool = True


@dataclass
class Tick:
    """One picture of the display: the true time, what was shown, what left the loudspeaker (NaN: no ramp)."""

    at_s: float
    picture: Picture | None
    seen_s: float
    seen_version: float
    heard_s: float = float("nan")

    @property
    def sound_leads_s(self) -> float:
        return self.heard_s - self.seen_s


@dataclass
class World:
    """Run `until`, then look at `ticks`."""

    faults: Faults
    seed: int = 0
    display_hz: float = 90.0
    lead_s: float = 0.2
    options: PlayoutOptions = field(default_factory=PlayoutOptions)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.clock = ClockEstimator()
        self.playout = Playout(PlayoutFormat(FPS, RATE_HZ, self.lead_s), self.clock, decode_made, self.options)
        self.ticks: list[Tick] = []
        self.arrived: list[tuple[float, Message]] = []
        self.sent = 0
        self._order = itertools.count()
        self._device_out: list[np.ndarray] = []  # what the device played, silence where nothing came in time
        self._device_at = 0  # device samples played or waiting to be

    def local_s(self, true_s: float) -> float:
        return 1000.0 + true_s * (1 + self.faults.client_ppm * 1e-6)

    @property
    def device_hz(self) -> float:
        return DEVICE_HZ * (1 + (self.faults.client_ppm + self.faults.device_ppm) * 1e-6)

    def device_sample(self, true_s: float) -> float:
        stood_s = sum(min(max(true_s - begin, 0.0), span) for begin, span in self.faults.halts)
        return (true_s + self.lead_s - stood_s) * self.device_hz

    def run(self, seconds: float) -> World:
        """From the first sending, `lead_s` before presentation time 0, to this presentation time."""
        events: list[tuple[float, int, str, object]] = []

        def at(true_s: float, what: str, thing: object = None) -> None:
            heapq.heappush(events, (true_s, next(self._order), what, thing))

        for true_s, message in self._publications(seconds):
            at(true_s, "message", message)
        for n in range(int(seconds + self.lead_s) + 1):
            at(n - self.lead_s + 0.02, "ping")
        for n in range(int((seconds + self.lead_s) * self.display_hz)):
            at(n / self.display_hz - self.lead_s, "display")
        if self.faults.device:
            for n in range(int((seconds + self.lead_s) * 100)):
                at(n / 100 - self.lead_s, "device")
        events.sort()
        for true_s, _, what, thing in events:
            if what == "device" and during(self.faults.stops + self.faults.halts, true_s):
                continue
            if during(self.faults.freezes, true_s):
                if what in ("device", "display", "ping"):
                    continue
                true_s = next(b + s for b, s in self.faults.freezes if b <= true_s < b + s)
            self._do(true_s, what, thing)
        self._listen()
        return self

    def _do(self, true_s: float, what: str, thing: object) -> None:
        local_s = self.local_s(true_s)
        if what == "message":
            assert isinstance(thing, Message)
            self.arrived.append((true_s, thing))
            self.playout.take(thing, local_s)
        elif what == "ping":
            there_s, back_s = self.faults.delay_s + self.rng.exponential(self.faults.jitter_s, 2)
            self.clock.add(local_s, self.local_s(true_s + there_s + back_s), true_s + there_s)
        elif what == "device":
            self._pull(true_s)
        else:
            picture = self.playout.picture(local_s)
            seen = (np.nan, np.nan) if picture is None else picture.frame.means[0, :2]
            self.ticks.append(Tick(true_s, picture, float(seen[0]), float(seen[1])))

    def _pull(self, true_s: float) -> None:
        """The device fills up to 30 ms ahead of what it plays; what it lacked before now was silence."""
        playing = int(self.device_sample(true_s))
        if playing > self._device_at:
            self._device_out.append(np.full(playing - self._device_at, np.nan))
            self._device_at = playing
        while self._device_at < playing + 3 * BLOCK:
            heard_true_s = true_s + (self._device_at - self.device_sample(true_s)) / self.device_hz
            error_s = self.rng.normal(0, self.faults.heard_jitter_s)
            out = self.playout.sound(BLOCK, self.local_s(heard_true_s) + error_s, self.local_s(true_s))
            assert out.dtype == np.float32
            self._device_out.append(out)
            self._device_at += BLOCK

    def _publications(self, seconds: float) -> list[tuple[float, Message]]:
        """Everything the server sends, each with the time it arrives at."""
        out: list[tuple[float, float, Message]] = []
        sequences = {kind: itertools.count() for kind in (FrameQ16, Audio, SpeechEnd)}
        version, speech_id, silent_until, cuts = 0, 0, 0, sorted(self.faults.cuts)
        for index in range(int((seconds + self.lead_s) * FPS)):
            now_s = index / FPS - self.lead_s
            if cuts and cuts[0] <= now_s:
                cut = int(np.ceil((cuts.pop(0) + 0.04) * FPS))
                end = SpeechEnd(1, next(sequences[SpeechEnd]), speech_id, cut / FPS, True)
                out.append((now_s, now_s, end))
                version, speech_id, silent_until = version + 1, speech_id + 1, cut + FPS // 2
                for again in range(cut, index):
                    frame = self._frame(again, version, next(sequences[FrameQ16]), now_s)
                    out.append((now_s, now_s, frame))
            if index >= silent_until:
                pcm = (np.arange(index * PIECE, (index + 1) * PIECE) % RAMP - RAMP // 2).astype(np.int16)
                piece = Audio(1, next(sequences[Audio]), speech_id, index / FPS, now_s, PIECE, pcm)
                out.append((now_s, now_s, piece))
            out.append((now_s, now_s, self._frame(index, version, next(sequences[FrameQ16]), now_s)))
        self.sent = len(out)
        return self._through_the_network(out)

    def _through_the_network(self, out: list[tuple[float, float, Message]]) -> list[tuple[float, Message]]:
        arrivals: list[tuple[float, Message]] = []
        last_s = {True: -np.inf, False: -np.inf}  # frames and the rest come through sockets of their own, each in order
        for sent_s, _, message in out:
            if not isinstance(message, SpeechEnd) and self.rng.random() < self.faults.loss:
                continue
            arrival_s = sent_s + self.faults.delay_s + self.rng.exponential(self.faults.jitter_s)
            for begin, span in self.faults.stalls:
                if begin <= arrival_s < begin + span:
                    arrival_s = begin + span
            socket = isinstance(message, FrameQ16)
            arrival_s = last_s[socket] = max(last_s[socket] + 1e-6, arrival_s)
            arrivals.append((arrival_s, message))
        return arrivals

    def _frame(self, index: int, version: int, sequence: int, now_s: float) -> FrameQ16:
        movers = np.zeros((1, 16), np.uint8)
        movers[0, 0] = version
        return FrameQ16(1, sequence, index, index / FPS, now_s, POSE, POSE, 1, movers)

    def _listen(self) -> None:
        """Tell from the loudspeaker's samples which presentation time each picture was seen with."""
        if not self._device_out:
            return
        played = np.concatenate(self._device_out)
        for tick in self.ticks:
            sample = int(self.device_sample(tick.at_s))
            around = played[max(0, sample - 12) : sample + 13]
            if len(around) < 25 or tick.picture is None or during(self.faults.halts, tick.at_s):
                continue
            slopes = np.diff(around) * 32768 * DEVICE_HZ / RATE_HZ
            if not np.abs(slopes - 1).max() < 0.02:  # silence, nothing, a fade, or where the ramp wraps
                continue
            ramp = around[12] * 32768 + RAMP // 2
            near = tick.seen_s * RATE_HZ  # the ramp repeats every 1.5 s: far beyond any limit that is checked
            tick.heard_s = (ramp + RAMP * np.round((near - ramp) / RAMP)) / RATE_HZ


def during(spans: tuple[tuple[float, float], ...], true_s: float) -> bool:
    return any(begin <= true_s < begin + span for begin, span in spans)


def decode_made(message: AnyFrame) -> Frame:
    """A frame whose only mover tells its presentation time and its version."""
    assert isinstance(message, FrameQ16)
    means = np.array([[message.time_s, float(message.movers[0, 0]), 0]], np.float32)
    quats = np.array([[1, 0, 0, 0]], np.float32)
    ones = np.ones((1, 3), np.float32)
    return Frame(message.index, message.time_s, means, quats, ones, ones[:, 0], np.eye(4), np.eye(4))
