"""Holds what a server may still take back until its time has come: for those who keep a stream rather than play it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gstalker.bridge.client.client import Received
from gstalker.bridge.schema import Audio, FrameF32, FrameQ16, SpeechEnd


class Settling:
    """Frames and sound on their way into the past.

    Attributes:
        frames_superseded: replaced by newer ones of the same time, or taken back with them.
        samples_void: cut off by a speech_end.
        void_sequences: of pieces of sound of which nothing was left.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._frames: dict[tuple[type, int], Received] = {}
        self._sounds: list[Received] = []
        self._server_s = -np.inf
        self.frames_superseded = 0
        self.samples_void = 0
        self.void_sequences: list[int] = []

    def put(self, received: Received) -> None:
        """Take a publication."""
        message = received.message
        if isinstance(message, FrameQ16 | FrameF32 | Audio):
            self._server_s = max(self._server_s, message.sent_at_s)
        if isinstance(message, FrameQ16 | FrameF32):
            kind = type(message)
            taken_back = [
                key
                for key, held in self._frames.items()
                if key[0] is kind and key[1] >= message.index and held.message.sequence < message.sequence  # type: ignore[attr-defined]
            ]
            for key in taken_back:
                del self._frames[key]
            self.frames_superseded += len(taken_back)
            self._frames[kind, message.index] = received
        elif isinstance(message, Audio):
            self._sounds.append(received)
        elif isinstance(message, SpeechEnd):
            self._sounds = [left for s in self._sounds if (left := self._cut(s, message)) is not None]

    def settled(self) -> list[Received]:
        """What cannot change any more, in order of time: the server's clock has passed it."""
        return self._take(self._server_s)

    def rest(self) -> list[Received]:
        """All that is still held, in order of time."""
        return self._take(np.inf)

    def _take(self, before_s: float) -> list[Received]:
        out = [r for r in (*self._frames.values(), *self._sounds) if r.message.time_s < before_s]  # type: ignore[attr-defined]
        self._frames = {k: r for k, r in self._frames.items() if r.message.time_s >= before_s}  # type: ignore[attr-defined]
        self._sounds = [r for r in self._sounds if r.message.time_s >= before_s]  # type: ignore[attr-defined]
        return sorted(out, key=lambda r: r.message.time_s)  # type: ignore[attr-defined]

    def _cut(self, received: Received, end: SpeechEnd) -> Received | None:
        sound = received.message
        assert isinstance(sound, Audio)  # nothing else is kept there
        left = round((end.time_s - sound.time_s) * self._rate_hz)
        if sound.speech_id != end.speech_id or left >= sound.sample_count:
            return received
        self.samples_void += sound.sample_count - max(0, left)
        if left <= 0:
            self.void_sequences.append(sound.sequence)
            return None
        return replace(received, message=replace(sound, sample_count=left, pcm=sound.pcm[:left]))
