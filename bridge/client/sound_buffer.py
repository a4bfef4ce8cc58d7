"""The jitter buffer of the sound: samples by presentation time, read at any rate, with holes faded and not clicked.

Sample number i is the one at presentation time i / rate_hz. Pieces may come in any order, twice or never; what a
`speech_end` with `cut` voided is gone, also when it comes after it.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

FADE_S = 0.005  # into and out of every hole
TAPS = 24  # samples that one output sample is a mixture of
_PHASES = 256
_REMEMBERED_ENDS = 64
_NONE = -(2**62)  # no sample has this number, nor any near it


class SoundBuffer:
    """A ring of samples. Not for several threads at once."""

    def __init__(self, rate_hz: int, capacity_s: float) -> None:
        self.rate_hz = rate_hz
        self.fade = max(1, round(FADE_S * rate_hz))
        self._size = round(capacity_s * rate_hz)
        self._pcm = np.zeros(self._size, np.float32)
        self._number = np.full(self._size, _NONE, np.int64)  # which sample lies there
        self._speech = np.full(self._size, _NONE, np.int64)  # of which utterance
        self._ends: OrderedDict[int, int] = OrderedDict()  # utterance -> first sample that is void
        self._table = sinc_table()

    def clear(self) -> None:
        """Forget all sound and all ends."""
        self._number[:] = _NONE
        self._ends.clear()

    def put(self, speech_id: int, first: int, pcm: np.ndarray, played: int) -> tuple[int, int, int]:
        """Take a piece of sound.

        Args:
            speech_id: its utterance.
            first: number of its first sample.
            pcm: (S,) int16.
            played: the first sample that has not been played yet: what lies before comes too late.

        Returns:
            How many of its samples were taken, too late, and void. What lies further ahead than the buffer holds
            counts as void: nothing sound is sent so early.
        """
        count = len(pcm)
        end = min(first + count, self._ends.get(speech_id, first + count), played + self._size - self.fade)
        start = max(first, played)
        late = min(max(0, played - first), count)
        taken = max(0, end - start)
        if taken:
            numbers = np.arange(start, end)
            place = numbers % self._size
            self._pcm[place] = pcm[start - first : end - first].astype(np.float32) / 32768
            self._number[place] = numbers
            self._speech[place] = speech_id
        return taken, late, count - late - taken

    def end(self, speech_id: int, first_void: int, played: int) -> int:
        """The utterance ends here: its sound from this sample on is void; how many samples that voided.

        A cut that comes when it is being played already takes effect a fade later, so that it does not click.
        """
        self._ends[speech_id] = first_void
        while len(self._ends) > _REMEMBERED_ENDS:
            self._ends.popitem(last=False)
        void = (self._speech == speech_id) & (self._number >= max(first_void, played + self.fade))
        self._number[void] = _NONE
        return int(void.sum())

    def present(self, first: int, count: int) -> np.ndarray:
        """(count,) bool: which of these samples are there."""
        numbers = np.arange(first, first + count)
        return self._number[numbers % self._size] == numbers

    def read(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The sound at any positions.

        Args:
            positions: (S,) float64 sample numbers, not whole ones, growing.

        Returns:
            (S,) float32, and (S,) float32 gains in 0..1 that lead every hole in and out; not yet applied.
        """
        base = np.floor(positions).astype(np.int64)
        first, last = int(base[0]) - self.fade - TAPS, int(base[-1]) + self.fade + TAPS + 1
        there = self.present(first, last - first)
        if not there.any():
            return np.zeros(len(positions), np.float32), np.zeros(len(positions), np.float32)
        samples = np.where(there, self._pcm[np.arange(first, last) % self._size], np.float32(0))
        phase = (positions - base) * _PHASES
        row = phase.astype(np.int64)
        share = (phase - row).astype(np.float32)[:, None]
        weights = self._table[row] * (1 - share) + self._table[row + 1] * share
        around = (base - first)[:, None] + np.arange(-TAPS // 2 + 1, TAPS // 2 + 1)
        sound = (samples[around] * weights).sum(axis=1)
        return sound, self._gains(there)[base - first]

    def _gains(self, there: np.ndarray) -> np.ndarray:
        """1 inside of sound, falling to 0 towards each hole over the fade."""
        index = np.arange(len(there))
        before = np.maximum.accumulate(np.where(there, -self.fade, index))
        after = np.minimum.accumulate(np.where(there, len(there) + self.fade, index)[::-1])[::-1]
        return (np.minimum(self.fade, np.minimum(index - before, after - index)) / self.fade).astype(np.float32)


def sinc_table() -> np.ndarray:
    """(phases + 1, taps) float32 weights of the samples around a position, by the part of a sample it lies behind one.

    A Kaiser window of beta 8: images of the sound above its own band are some 80 dB down.
    """
    part = np.arange(_PHASES + 1)[:, None] / _PHASES
    distance = np.arange(-TAPS // 2 + 1, TAPS // 2 + 1)[None] - part
    inside = np.clip(1 - (distance / (TAPS / 2)) ** 2, 0, None)
    weights = np.sinc(distance) * np.i0(8.0 * np.sqrt(inside)) / np.i0(8.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
