"""Which moment a sound or a picture is of, told from its content alone: no time stamp of the player is believed.

The speech is noise with the loudness of syllables, so that any few milliseconds of it are found in it again; a picture
is compared with the frames as they came over the wire, and lies where on the way between two of them it fits best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

HALF_S = 0.02  # of the sound that is looked at, on each side of the moment
SEARCH_S = 0.4  # how far around it is looked for: well beyond any limit
LEAST_LIKENESS = 0.6  # correlation below which it is silence or something else
LEAST_MOTION = 20.0  # between two frames, in steps of the wire's codes, for a place between them to be told
WATCHED = 192  # movers


def speech_noise(seconds: float, rate_hz: int, seed: int = 1) -> np.ndarray:
    """(S,) float32: noise that is never twice the same, in syllables of 60 to 250 ms with short pauses."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    loudness = np.zeros(count, np.float32)
    at = 0
    while at < count:
        length = round(rng.uniform(0.06, 0.25) * rate_hz)
        syllable = np.sin(np.linspace(0, np.pi, length)) ** 0.5 * rng.uniform(0.05, 0.4)
        loudness[at : at + length] = syllable[: max(0, min(length, count - at))]
        at += length + round(rng.uniform(0, 0.04) * rate_hz)
    colour = np.convolve(rng.normal(size=count).astype(np.float32), [0.4, 0.7, 0.4], mode="same")
    return np.clip(loudness * colour, -1, 1).astype(np.float32)


def locate_sound(window: np.ndarray, window_hz: int, speech: np.ndarray, speech_hz: int, near_s: float) -> float | None:
    """Which moment of the speech, seconds, the middle of a window of sound is; None where it is none.

    Args:
        window: (W,) samples of what was heard; their rate is a multiple of the speech's.
        speech: (S,) what was to be said.
        near_s: about when; it is looked for SEARCH_S around it.
    """
    heard = resample_poly(window.astype(np.float64), 1, window_hz // speech_hz)
    first = max(0, round((near_s - SEARCH_S) * speech_hz) - len(heard) // 2)
    there = speech[first : round((near_s + SEARCH_S) * speech_hz) + len(heard) // 2].astype(np.float64)
    energy = float(heard @ heard)
    if len(there) <= len(heard) or energy < 1e-6 * len(heard):
        return None
    size = 1 << (len(there) + len(heard)).bit_length()
    product = np.fft.irfft(np.fft.rfft(there, size) * np.conj(np.fft.rfft(heard, size)), size)
    sums = np.concatenate([[0.0], np.cumsum(there**2)])
    lags = len(there) - len(heard) + 1
    energies = sums[len(heard) :][:lags] - sums[:lags]
    likeness = product[:lags] / np.sqrt(np.maximum(energies, 1e-9) * energy)
    best = int(np.argmax(likeness))
    if likeness[best] < LEAST_LIKENESS:
        return None
    return (first + best + len(heard) / 2) / speech_hz


@dataclass
class Watch:
    """Which movers are compared, and the frames as they came."""

    fps: int
    step_m: float  # of the wire's codes
    movers: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.frames: dict[int, np.ndarray] = {}
        self._first: list[np.ndarray] = []

    def came(self, index: int, means: np.ndarray) -> None:
        """A frame of the wire, decoded: (M, 3). The first second chooses the movers that move most."""
        if self.movers is None:
            self._first.append(means)
            if len(self._first) < self.fps:
                return
            motion = np.std(np.stack(self._first), axis=0).sum(axis=1)
            self.movers = np.sort(np.argsort(motion)[-WATCHED:])
            self._first.clear()
            return
        self.frames[index] = self.seen(means)

    def seen(self, means: np.ndarray) -> np.ndarray:
        """(3 WATCHED,) what is kept of a picture or frame."""
        assert self.movers is not None  # callers wait for it
        return means[self.movers].ravel().astype(np.float32)

    def locate(self, seen: np.ndarray, near_s: float) -> float | None:
        """Which moment, seconds, a picture shows; None where nothing moved then, or no frames of then came."""
        middle = round(near_s * self.fps)
        best: tuple[float, float] | None = None
        for index in range(middle - 10, middle + 11):
            a, b = self.frames.get(index), self.frames.get(index + 1)
            if a is None or b is None:
                continue
            way = b - a
            length = float(way @ way)
            if length < (LEAST_MOTION * self.step_m) ** 2:
                continue
            share = float(np.clip((seen - a) @ way / length, 0, 1))
            off = float(((seen - a - share * way) ** 2).sum())
            if best is None or off < best[0]:
                best = (off, (index + share) / self.fps)
        return None if best is None else best[1]
