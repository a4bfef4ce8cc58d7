"""One utterance on its way to the speech timeline: sound of any rate in, 16 kHz samples waiting to be spoken."""

from __future__ import annotations

import hashlib
from collections import deque

import numpy as np

from gstalker.bridge.errors import SpeechRefused
from gstalker.runtime.audio_stream import FULL_SCALE, StreamingResampler, pcm_from_samples


class Utterance:
    """Sound that somebody says: all there from the beginning, or pushed piece by piece.

    Attributes:
        speech_id: its number within the session.
        channel_count: of what is pushed.
        live: it comes from a device with a clock of its own and never ends by itself.
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
        self = Utterance(speech_id, StreamingResampler(16_000), 1, live=False)
        self.closed = True
        self.received = len(pcm)
        self.taken = taken
        self.recording_sha256 = sha256_of(pcm)
        self._add(pcm[taken:])
        return self

    @property
    def rate_hz(self) -> int:
        return self._resampler.rate_hz

    @property
    def received_s(self) -> float:
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
        if self.channel_count == 1 and self.rate_hz == 16_000:
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
        return {
            **common,
            "rate_hz": self.rate_hz,
            "channel_count": self.channel_count,
            "live": self.live,
            "closed": self.closed,
            "received": self.received,
            "waiting": waiting,
            "resampler": self._resampler.state(),
        }

    def _add(self, pcm: np.ndarray) -> None:
        if len(pcm):
            self._pieces.append(pcm)
            self.waiting += len(pcm)


def sha256_of(pcm: np.ndarray) -> str:
    """Names a recording: the hash of its samples as 16-bit little-endian numbers."""
    return hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest()
