"""One utterance on its way to the speech timeline: sound of any rate in, 16 kHz samples waiting to be spoken."""

from __future__ import annotations

import hashlib
from collections import deque

import numpy as np

from gstalker.bridge.errors import SpeechRefused
from gstalker.bridge.server.live_balance import WATCHED_FRAMES, LiveBalance
from gstalker.bridge.server.snapshot_fields import LARGEST, Fields
from gstalker.runtime.audio import SAMPLE_RATE_HZ
from gstalker.runtime.audio_stream import (
    FULL_SCALE,
    HIGHEST_RATE_HZ,
    LOWEST_RATE_HZ,
    StreamingResampler,
    pcm_from_samples,
)

IN_STEP_FRAMES, IN_STEP_SAMPLES = 250, 16_000  # 10 s and 1 s; text-to-speech runs further ahead than that
MAX_KEPT_BYTES = 16_384  # of a resampler's input in a snapshot: twice what 96 kHz needs
_COMMON = ("speech_id", "taken", "recording_sha256")
_PUSHED = (
    "rate_hz",
    "channel_count",
    "live",
    "in_step",
    "closed",
    "received",
    "waiting",
    "resampler",
    "heard",
    "balance",
)


class Utterance:
    """Sound that somebody says: all there from the beginning, or pushed piece by piece.

    Attributes:
        speech_id: its number within the session.
        channel_count: of what is pushed.
        live: it comes from a device with a clock of its own, and lasts until it is closed.
        balance: keeps the delay of sound that comes as fast as it is spoken; None for sound that comes ahead.
        closed: all its sound is there.
        received: samples (per channel) pushed so far, at the rate of the pusher.
        waiting: 16 kHz samples that are ready and not yet taken.
        heard_at_frame: the frame at which something new was last seen to have come.
        recording_sha256: of the samples of a recording of the server's own; empty for pushed sound.
    """

    def __init__(self, speech_id: int, resampler: StreamingResampler, channel_count: int, *, live: bool) -> None:
        self.speech_id = speech_id
        self.channel_count = channel_count
        self.live = live
        self.balance = LiveBalance() if live else None
        self._frames_in_step = 0  # how long sound has come as fast as it is spoken
        self.closed = False
        self.received = 0
        self.waiting = 0
        self.taken = 0
        self.heard_at_frame: int | None = None
        self.recording_sha256 = ""
        self._received_then = -1
        self._resampler = resampler
        self._pieces: deque[np.ndarray] = deque()

    @staticmethod
    def of_recording(speech_id: int, pcm: np.ndarray, taken: int = 0) -> Utterance:
        """An utterance that is all there: (S,) int16 at 16 kHz, of which `taken` samples were spoken elsewhere."""
        self = Utterance(speech_id, StreamingResampler(SAMPLE_RATE_HZ), 1, live=False)
        self.closed = True
        self.received = len(pcm)
        self.taken = taken
        self.recording_sha256 = sha256_of(pcm)
        self._add(pcm[taken:])
        return self

    @property
    def rate_hz(self) -> int:
        """At which sound is pushed."""
        return self._resampler.rate_hz

    @property
    def received_s(self) -> float:
        """Sound pushed so far."""
        return self.received / self.rate_hz

    def push(self, first_sample: int, pcm: np.ndarray) -> None:
        """Take the next piece.

        Raises:
            SpeechRefused: closed, another number of channels, or not the next piece.
        """
        if self.closed:
            raise SpeechRefused("unknown_speech", f"utterance {self.speech_id}: expected an open one, it is closed.")
        if pcm.ndim != 2 or pcm.shape[1] != self.channel_count:
            raise SpeechRefused(
                "bad_value",
                f"pcm: expected {self.channel_count} channels, as the utterance was opened with, got {pcm.shape}.",
            )
        if first_sample != self.received:
            raise SpeechRefused(
                "sound_hole",
                f"first_sample: expected {self.received}, right behind the piece before, got {first_sample}.",
            )
        self.received += len(pcm)
        if self.channel_count == 1 and self.rate_hz == SAMPLE_RATE_HZ:
            self._add(np.array(pcm[:, 0], np.int16))  # a copy: the sender's buffer is not ours
            return
        mono = pcm.sum(axis=1, dtype=np.int32) / (self.channel_count * FULL_SCALE)
        self._add(pcm_from_samples(self._resampler.push(mono)))

    def close(self) -> None:
        """Nothing follows."""
        if not self.closed:
            self.closed = True
            self._add(pcm_from_samples(self._resampler.flush()))

    def take(self, count: int) -> np.ndarray:
        """The next `count` <= waiting samples, (count,) int16."""
        got: list[np.ndarray] = []
        self.waiting -= count
        self.taken += count
        while count > 0:
            piece = self._pieces.popleft()
            got.append(piece[:count])
            if len(piece) > count:
                self._pieces.appendleft(piece[count:])
            count -= min(count, len(piece))
        return got[0] if len(got) == 1 else np.concatenate([np.zeros(0, np.int16), *got])

    def keep_delay(self, margin: int) -> None:
        """Shorten or lengthen what waits of live sound, asked once a frame; see `LiveBalance.balanced`.

        Pushed sound of which never more than a second waited for ten is taken for a device's, too: a microphone at
        a client has a clock of its own as well.
        """
        if self.balance is None and not self.closed:
            self._frames_in_step = self._frames_in_step + 1 if margin < IN_STEP_SAMPLES else 0
            if self._frames_in_step >= IN_STEP_FRAMES:
                self.balance = LiveBalance()
        if self.balance is None or not self.waiting or self.closed:
            return
        before = np.concatenate([np.zeros(0, np.int16), *self._pieces])
        after = self.balance.balanced(before, margin)
        if after is not before:
            self._pieces, self.waiting = deque([after]), len(after)

    def frames_without_news(self, frame: int) -> int:
        """How many frames have passed since something new came, asked once a frame."""
        if self.heard_at_frame is None or self.received != self._received_then:
            self.heard_at_frame, self._received_then = frame, self.received
        return frame - self.heard_at_frame

    def state(self) -> dict[str, object]:
        """What another process needs to go on; the samples of a recording are not in it, only their hash."""
        common = {"speech_id": self.speech_id, "taken": self.taken, "recording_sha256": self.recording_sha256}
        if self.recording_sha256:
            return common
        waiting = b"".join(p.astype("<i2").tobytes() for p in self._pieces)
        balance = self.balance
        return {
            **common,
            "rate_hz": self.rate_hz,
            "channel_count": self.channel_count,
            "live": self.live,
            "in_step": self._frames_in_step,
            "closed": self.closed,
            "received": self.received,
            "waiting": waiting,
            "resampler": None if self.closed else self._resampler.state(),
            "heard": [-1 if self.heard_at_frame is None else self.heard_at_frame, self._received_then],
            "balance": None if balance is None else [balance.floor_rms, *balance.margins],
        }

    @staticmethod
    def from_state(value: object, where: str, capacity: int, recording: np.ndarray | None) -> Utterance:
        """What `state` gave.

        Args:
            value: out of the snapshot.
            where: its name in messages.
            capacity: how many 16 kHz samples may wait.
            recording: (S,) int16, the server's own, where the utterance is one.

        Raises:
            RequestRefused: bad_value; the recording is another one.
        """
        if isinstance(value, dict) and value.get("recording_sha256"):
            fields = Fields(value, where, _COMMON)
            if recording is None or fields.text("recording_sha256", 64) != sha256_of(recording):
                raise fields.refused("recording_sha256", "this server's own recording")
            taken = fields.whole("taken", 0, len(recording))
            return Utterance.of_recording(fields.whole("speech_id", 0, LARGEST), recording, taken)
        fields = Fields(value, where, (*_COMMON, *_PUSHED))
        rate_hz = fields.whole("rate_hz", LOWEST_RATE_HZ, HIGHEST_RATE_HZ)
        closed = fields.truth("closed")
        resampler = StreamingResampler(rate_hz) if closed else _resampler_of(fields, rate_hz, where)
        self = Utterance(
            fields.whole("speech_id", 0, LARGEST), resampler, fields.whole("channel_count", 1, 2), live=False
        )
        self.closed, self.taken = closed, fields.whole("taken", 0, LARGEST)
        self.received = fields.whole("received", 0, LARGEST)
        self.live, self._frames_in_step = fields.truth("live"), fields.whole("in_step", 0, LARGEST)
        heard = fields.numbers("heard", 2, -1, LARGEST)
        self.heard_at_frame, self._received_then = None if heard[0] < 0 else int(heard[0]), int(heard[1])
        if fields.anything("balance") is not None:
            self.balance = LiveBalance()
            count = len(fields.items("balance", WATCHED_FRAMES + 1))
            numbers = fields.numbers("balance", max(1, count), -1e9, 1e9)
            self.balance.floor_rms, self.balance.margins = float(numbers[0]), [int(m) for m in numbers[1:]]
        self._add(fields.pcm("waiting", capacity))
        return self

    def _add(self, pcm: np.ndarray) -> None:
        if len(pcm):
            if self.balance is not None:
                self.balance.heard(pcm)
            self._pieces.append(pcm)
            self.waiting += len(pcm)


def sha256_of(pcm: np.ndarray) -> str:
    """Names a recording: the hash of its samples as 16-bit little-endian numbers."""
    return hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest()


def _resampler_of(fields: Fields, rate_hz: int, where: str) -> StreamingResampler:
    counts = Fields(fields.anything("resampler"), f"{where}.resampler", ("received", "given", "kept"))
    received, given = (counts.whole(name, 0, LARGEST) for name in ("received", "given"))
    try:
        return StreamingResampler.from_state(rate_hz, received, given, counts.raw("kept", MAX_KEPT_BYTES))
    except ValueError as error:
        raise fields.refused("resampler", f"a resampler's state ({error})") from error
