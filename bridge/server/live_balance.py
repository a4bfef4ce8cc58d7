"""Keeps the delay of live sound within bounds: pauses are shortened or stretched by hundredths of a second.

A sound card's clock and the server's differ by some hundred parts in a million, so sound piles up or runs out by
some 20 ms a minute; after a hiccup it piles up at once. What waits is trimmed in quiet stretches, 10 ms at a time and
faded over, and lengthened there where it gets short. Only where no pause comes for so long that the delay passes
`HARD_LIMIT_SAMPLES` is the quietest piece at hand taken out whatever it is.
"""

from __future__ import annotations

import numpy as np

BLOCK_SAMPLES = 160  # 10 ms at 16 kHz: what is taken out or put in at once
FADE_SAMPLES = 80
LOW_SAMPLES, TARGET_SAMPLES, HIGH_SAMPLES = 160, 480, 800  # 10, 30 and 50 ms: the band for the least that waits
HARD_LIMIT_SAMPLES = 3200  # 200 ms
WATCHED_FRAMES = 25  # the least that waited in the last second counts: devices deliver in lumps
QUIET_RMS = 60.0  # of 32768: -55 dB is quiet in any room
QUIET_OVER_FLOOR = 2.5  # or so many times the noise of the room
_FLOOR_RISE = 1.002  # per block: the noise floor follows upwards within seconds, and downwards at once


class LiveBalance:
    """How much of one live utterance waits, and what to do about it.

    Attributes:
        trimmed, stretched: 16 kHz samples taken out and put in so far.
    """

    def __init__(self) -> None:
        self.trimmed = 0
        self.stretched = 0
        self.floor_rms = 1000.0
        self.margins: list[int] = []

    def heard(self, pcm: np.ndarray) -> None:
        """Follow the noise of the room through what arrives, (S,) int16."""
        whole = len(pcm) // BLOCK_SAMPLES * BLOCK_SAMPLES
        for rms in _rms(pcm[:whole]):
            self.floor_rms = min(max(self.floor_rms, 1.0) * _FLOOR_RISE, max(float(rms), 1.0))

    def balanced(self, waiting: np.ndarray, margin: int) -> np.ndarray:
        """What shall wait instead, asked once a frame.

        Args:
            waiting: (S,) int16 that has no place on the timeline yet.
            margin: how much of it will be left after this frame; negative where it does not reach.
        """
        self.margins = [*self.margins[-(WATCHED_FRAMES - 1) :], margin]
        least = min(self.margins)
        if least > HIGH_SAMPLES and len(self.margins) == WATCHED_FRAMES:
            at = self._piece(waiting, any_piece=least > HARD_LIMIT_SAMPLES)
            if at is not None:
                self.trimmed += BLOCK_SAMPLES
                self.margins = [m - BLOCK_SAMPLES for m in self.margins]
                return _shortened(waiting, at)
        if margin < LOW_SAMPLES:
            at = self._piece(waiting, any_piece=False)
            if at is not None:
                self.stretched += BLOCK_SAMPLES
                self.margins = [m + BLOCK_SAMPLES for m in self.margins]
                return _lengthened(waiting, at)
        return waiting

    def _piece(self, waiting: np.ndarray, *, any_piece: bool) -> int | None:
        """Where the quietest block with room for a fade begins; None where that is not quiet, or there is none."""
        count = (len(waiting) - FADE_SAMPLES) // BLOCK_SAMPLES
        if count < 1:
            return None
        levels = _rms(waiting[: count * BLOCK_SAMPLES])
        quietest = int(np.argmin(levels))
        if any_piece or levels[quietest] <= max(QUIET_RMS, QUIET_OVER_FLOOR * self.floor_rms):
            return quietest * BLOCK_SAMPLES
        return None


def _rms(pcm: np.ndarray) -> np.ndarray:
    blocks = pcm.reshape(-1, BLOCK_SAMPLES).astype(np.float64)
    return np.sqrt((blocks * blocks).mean(axis=1))


def _shortened(pcm: np.ndarray, at: int) -> np.ndarray:
    behind = at + BLOCK_SAMPLES
    joint = _faded(pcm[at : at + FADE_SAMPLES], pcm[behind : behind + FADE_SAMPLES])
    return np.concatenate([pcm[:at], joint, pcm[behind + FADE_SAMPLES :]])


def _lengthened(pcm: np.ndarray, at: int) -> np.ndarray:
    behind = at + BLOCK_SAMPLES
    joint = _faded(pcm[behind : behind + FADE_SAMPLES], pcm[at : at + FADE_SAMPLES])
    return np.concatenate([pcm[:behind], joint, pcm[at + FADE_SAMPLES :]])


def _faded(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """(FADE_SAMPLES,) int16 from one stretch over into another."""
    rising = (np.arange(FADE_SAMPLES) + 0.5) / FADE_SAMPLES
    return np.round(old + rising * (new.astype(np.float64) - old)).astype(np.int16)
