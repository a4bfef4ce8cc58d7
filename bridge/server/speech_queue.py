"""The utterances of a session that wait to be spoken: who may push what, and how much."""

from __future__ import annotations

from collections import deque

import numpy as np

from gstalker.bridge.errors import SpeechRefused
from gstalker.bridge.server.utterance import Utterance
from gstalker.runtime.audio import SAMPLE_RATE_HZ
from gstalker.runtime.audio_stream import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, StreamingResampler, pcm_from_samples

MAX_UTTERANCES = 64  # that wait behind the one being spoken


class SpeechQueue:
    """Utterances in the order in which they will be spoken; the first may be on the timeline already."""

    def __init__(self, capacity_s: float) -> None:
        """Begin empty; `capacity_s` is how much pushed sound may wait."""
        self.capacity_s = capacity_s
        self._waiting: deque[Utterance] = deque()
        self._active: Utterance | None = None  # what the timeline is taking from
        self._next_id = 0

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
