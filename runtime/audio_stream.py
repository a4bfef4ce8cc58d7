"""Sound that comes in pieces: any rate to 16 kHz, and log-mel features of a growing timeline. Needs no torch.

However the sound is cut into pieces, the same samples and the same features come out, bit for bit: every output
value is made by the same element-wise steps from the same inputs, and never by a sum whose order depends on how
many values are computed at once.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gstalker.runtime.audio import (
    DEFAULT_LOG_MEL,
    MEL_FRAMES_PER_VIDEO_FRAME,
    SAMPLE_RATE_HZ,
    LogMelConfig,
    log_mel_of_windows,
)

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 8_000, 96_000
ZERO_CROSSINGS = 48  # of the resampling filter to each side, counted at the lower of the two rates
KAISER_BETA = 8.96  # 90 dB of stop band (Kaiser's formula 0.1102 (A - 8.7))
CUTOFF_SHARE = 0.94  # of the lower rate's half: flat to 0.88 of it, 90 dB down from 1.0 on
EXACT_PHASES = 640  # up to so many phases the filter is tabulated exactly, which covers all usual rates
DENSE_PHASES = 512  # else it is interpolated between so many; error below 1e-5 of full scale
BLOCK_SAMPLES = 128  # of output at once: what is gathered for them stays in the processor's cache
FULL_SCALE = 32768.0


class StreamingResampler:
    """Mono sound of one rate to 16 kHz, piece by piece, without delay in the result.

    Output sample n stands at input time n * rate / 16000 exactly; outside of the sound there are zeros. It can be
    computed once ZERO_CROSSINGS samples (of the lower rate: 3 ms at 16 kHz) after it are there. At 16 kHz the sound
    passes untouched.
    """

    def __init__(self, rate_hz: int) -> None:
        """Prepare the filter.

        Raises:
            ValueError: a rate outside of 8 to 96 kHz.
        """
        if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise ValueError(f"StreamingResampler: expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz, got {rate_hz}.")
        self.rate_hz = rate_hz
        self.half_taps = 0 if rate_hz == SAMPLE_RATE_HZ else _half_taps(rate_hz)
        divisor = math.gcd(rate_hz, SAMPLE_RATE_HZ)
        self._up, self._down = SAMPLE_RATE_HZ // divisor, rate_hz // divisor
        self._received = 0  # input samples so far
        self._given = 0  # output samples so far
        self._kept = np.zeros(self.half_taps)  # input from sample `_kept_from` on
        self._kept_from = -self.half_taps

    @property
    def received(self) -> int:
        """Input samples pushed so far."""
        return self._received

    @property
    def delay_s(self) -> float:
        """How much later than its own place a sample can be computed."""
        return self.half_taps / self.rate_hz

    def push(self, samples: np.ndarray) -> np.ndarray:
        """The next (S,) samples in; all output that is final now, float64 (n,)."""
        samples = np.asarray(samples, np.float64)
        self._received += len(samples)
        if not self.half_taps:
            self._given += len(samples)
            return samples
        self._kept = np.concatenate([self._kept, samples])
        # Output n needs input up to floor(n down / up) + half_taps.
        last_whole = self._received - 1 - self.half_taps
        ready = 0 if last_whole < 0 else (self._up * (last_whole + 1) - 1) // self._down + 1
        return self._compute(ready)

    def flush(self) -> np.ndarray:
        """What is left when the sound has ended: altogether ceil(S * 16000 / rate) samples have come out."""
        if not self.half_taps:
            return np.zeros(0)
        self._kept = np.concatenate([self._kept, np.zeros(self.half_taps + 1)])
        return self._compute(-(-self._received * self._up // self._down))

    def state(self) -> dict[str, int | bytes]:
        """What is needed to go on elsewhere: counts and the last input samples."""
        return {"received": self._received, "given": self._given, "kept": self._kept.astype("<f8").tobytes()}

    @staticmethod
    def from_state(rate_hz: int, received: int, given: int, kept: bytes) -> StreamingResampler:
        """Go on where `state` was taken.

        Raises:
            ValueError: numbers that no resampler of this rate can have.
        """
        self = StreamingResampler(rate_hz)
        if not self.half_taps:
            if kept or given != received or received < 0:
                raise ValueError("StreamingResampler: expected a state of 16 kHz, got one of another rate.")
            self._received = self._given = received
            return self
        samples = np.frombuffer(kept, "<f8").copy() if len(kept) % 8 == 0 else np.zeros(0)
        ready_to = received - self.half_taps
        expected = 0 if ready_to <= 0 else (self._up * ready_to - 1) // self._down + 1
        kept_from = given * self._down // self._up - self.half_taps
        if received < 0 or given != expected or len(samples) != received - kept_from:
            raise ValueError("StreamingResampler: expected counts that fit each other, got others.")
        if not (np.abs(samples) <= 1.0).all():
            raise ValueError("StreamingResampler: expected samples of -1 to 1, got others.")
        self._received, self._given = received, given
        self._kept, self._kept_from = samples, kept_from
        return self

    def _compute(self, ready: int) -> np.ndarray:
        blocks = [np.zeros(0)]
        while self._given < ready:
            count = min(ready - self._given, BLOCK_SAMPLES)
            at = (self._given + np.arange(count)) * self._down
            first = at // self._up - self.half_taps - self._kept_from
            table = _filter_table(self.rate_hz, min(self._up, EXACT_PHASES + 1))
            windows = sliding_window_view(self._kept, table.shape[1])
            # einsum and not a product of matrices: BLAS orders its sums by the number of rows.
            if self._up == 1:
                blocks.append(np.einsum("ij,j->i", windows[first[0] :: self._down][:count], table[0]))
            else:
                weights = _filter_weights(table, self._up, at % self._up)
                blocks.append(np.einsum("ij,ij->i", windows[first], weights))
            self._given += count
        kept_from = self._given * self._down // self._up - self.half_taps
        self._kept = self._kept[kept_from - self._kept_from :]
        self._kept_from = kept_from
        return np.concatenate(blocks)


def _half_taps(rate_hz: int) -> int:
    """Input samples that the filter reaches to each side."""
    return math.ceil(ZERO_CROSSINGS * max(1.0, rate_hz / SAMPLE_RATE_HZ))


def _filter_weights(table: np.ndarray, up: int, phase: np.ndarray) -> np.ndarray:
    """(n, taps) weights of output of these phases."""
    if up <= EXACT_PHASES:
        return table[phase]
    scaled = phase * DENSE_PHASES
    row, share = scaled // up, (scaled % up / up)[:, None]
    return table[row] + share * (table[row + 1] - table[row])


@functools.lru_cache(maxsize=16)
def _filter_table(rate_hz: int, up: int) -> np.ndarray:
    """(phases, 2 half_taps + 1) weights: row p for output that stands p / phases after an input sample."""
    half = _half_taps(rate_hz)
    phases = np.arange(up) / up if up <= EXACT_PHASES else np.arange(DENSE_PHASES + 2) / DENSE_PHASES
    distance = np.arange(-half, half + 1)[None, :] - phases[:, None]  # in input samples
    cutoff = CUTOFF_SHARE * min(1.0, SAMPLE_RATE_HZ / rate_hz)  # of the input's half rate
    inside = np.sqrt(np.maximum(0.0, 1.0 - (distance / (half + 1)) ** 2))
    weights = cutoff * np.sinc(cutoff * distance) * np.i0(KAISER_BETA * inside) / np.i0(KAISER_BETA)
    return weights / weights.sum(axis=1, keepdims=True)  # so that a constant stays one, whatever the phase


def pcm_from_samples(samples: np.ndarray) -> np.ndarray:
    """(S,) int16 of samples in -1..1: multiplied by 32768, rounded, cut off at the ends."""
    return np.clip(np.round(samples * FULL_SCALE), -32768, 32767).astype(np.int16)


class FeatureTimeline:
    """A timeline of 16 kHz samples that grows at its end, and the log-mel features of its last seconds.

    Samples are 16 bit, so that what is heard, what the features see and what a snapshot keeps are one thing. The end
    may be taken back and written anew. Rows are those of `runtime.audio.log_mel` over the whole timeline.
    """

    def __init__(self, history_s: float, config: LogMelConfig = DEFAULT_LOG_MEL, *, start: int = 0) -> None:
        """Begin a timeline.

        Args:
            history_s: how far back from the end samples and rows can be asked for.
            config: of the features.
            start: the first sample, a multiple of the hop; everything before counts as silence.
        """
        self.config = config
        hop, half = config.hop_samples, config.window_samples // 2
        self._margin_rows = -(-half // hop)  # samples before the first row that its window needs
        self._rows_kept = math.ceil(history_s * config.sample_rate_hz / hop) + 2 * self._margin_rows
        capacity_rows = 3 * self._rows_kept + 1024
        self._first_row = start // hop  # rows before this one are silence, as outside of a recording
        self._base_row = self._first_row - self._rows_kept  # mel frame number of row 0
        self._pcm = np.zeros(capacity_rows * hop, np.int16)
        self._mel = np.full((capacity_rows, config.mel_bands), config.silence, np.float32)
        self._sounds = np.zeros(capacity_rows, bool)  # whether the row's window holds anything but zeros
        self._end = start
        self._rows_end = self._first_row  # rows before this one are computed

    @property
    def end(self) -> int:
        """Samples from the timeline's beginning to its end."""
        return self._end

    @property
    def oldest(self) -> int:
        """The first sample that is still there."""
        return self._base_row * self.config.hop_samples

    def append(self, pcm: np.ndarray) -> None:
        """Write (S,) int16 at the end."""
        first = 0
        while first < len(pcm):
            self._make_room()
            at = self._end - self.oldest
            count = min(len(pcm) - first, len(self._pcm) - at)
            self._pcm[at : at + count] = pcm[first : first + count]
            self._end += count
            first += count

    def append_silence(self, count: int) -> None:
        """Write `count` zeros at the end; however many, it takes no longer than a few seconds of them."""
        hop = self.config.hop_samples
        skipped = max(0, count - len(self._pcm)) // hop * hop
        if skipped:  # nothing of what is there will be seen again
            self._pcm[:] = 0
            self._end += skipped
            self._base_row = self._end // hop - self._rows_kept
            self._rows_end = self._base_row + self._margin_rows
            count -= skipped
        while count > 0:
            self._make_room()
            at = self._end - self.oldest
            step = min(count, len(self._pcm) - at)
            self._pcm[at : at + step] = 0
            self._end += step
            count -= step

    def take_back(self, end: int, fade_samples: int = 0) -> None:
        """Make `end` the end again, and let the last samples before it fade out.

        Raises:
            ValueError: beyond the end, or so far back that it is no longer there.
        """
        if not self.oldest <= end - fade_samples <= end <= self._end:
            raise ValueError(f"FeatureTimeline: expected an end of {self.oldest} to {self._end}, got {end}.")
        self._end = end
        if fade_samples:
            at = end - self.oldest
            falling = np.cos(np.linspace(0, np.pi / 2, fade_samples + 2)[1:-1]) ** 2
            self._pcm[at - fade_samples : at] = np.round(self._pcm[at - fade_samples : at] * falling)
        half, hop = self.config.window_samples // 2, self.config.hop_samples
        first_touched = -(-(end - fade_samples - half + 1) // hop)
        self._rows_end = min(self._rows_end, max(first_touched, self._first_row, self._base_row + self._margin_rows))

    def pcm(self, first: int, last: int) -> np.ndarray:
        """Samples first..last - 1 as a view that the next write may overwrite.

        Raises:
            ValueError: not there (any more).
        """
        if not self.oldest <= first <= last <= self._end:
            raise ValueError(f"FeatureTimeline: expected {self.oldest} to {self._end}, got {first} to {last}.")
        return self._pcm[first - self.oldest : last - self.oldest]

    def rows(self, first: int, last: int) -> np.ndarray:
        """Features of mel frames first..last - 1, (n, mel_bands) float32, a view that the next write may overwrite.

        Raises:
            ValueError: a row's window is not there (any more), or not yet.
        """
        at, to = self._computed(first, last)
        return self._mel[at:to]

    def is_silent(self, first: int, last: int) -> bool:
        """Whether the windows of mel frames first..last - 1 hold nothing but zeros."""
        at, to = self._computed(first, last)
        return not self._sounds[at:to].any()

    def _computed(self, first: int, last: int) -> tuple[int, int]:
        half, hop = self.config.window_samples // 2, self.config.hop_samples
        if first < self._base_row + self._margin_rows or (last - 1) * hop + half > self._end:
            raise ValueError(f"FeatureTimeline: mel frames {first} to {last - 1}: not there (any more), or not yet.")
        if last > self._rows_end:
            self._compute_rows(self._rows_end, last)
            self._rows_end = last
        return first - self._base_row, last - self._base_row

    def _compute_rows(self, first: int, last: int) -> None:
        half, hop = self.config.window_samples // 2, self.config.hop_samples
        at, to = first - self._base_row, last - self._base_row
        start = first * hop - half - self.oldest
        stretch = self._pcm[start : start + (last - first - 1) * hop + self.config.window_samples]
        windows = sliding_window_view(stretch, self.config.window_samples)[::hop]
        sounds = windows.any(axis=1)
        self._sounds[at:to] = sounds
        self._mel[at:to] = self.config.silence
        if sounds.any():
            self._mel[at:to][sounds] = log_mel_of_windows(windows[sounds] / FULL_SCALE, self.config)

    def _make_room(self) -> None:
        """Move what is still wanted to the front once the buffers are full."""
        hop = self.config.hop_samples
        if self._end - self.oldest < len(self._pcm):
            return
        drop = len(self._mel) - self._rows_kept
        self._pcm[: -drop * hop] = self._pcm[drop * hop :]
        self._mel[:-drop] = self._mel[drop:]
        self._sounds[:-drop] = self._sounds[drop:]
        self._base_row += drop
        self._rows_end = max(self._rows_end, self._base_row + self._margin_rows)


def window_end_sample(frame: int, right_mel_frames: int, config: LogMelConfig = DEFAULT_LOG_MEL) -> int:
    """The sample before which everything must be known to make the window of a video frame."""
    last_row = MEL_FRAMES_PER_VIDEO_FRAME * frame + right_mel_frames - 1
    return last_row * config.hop_samples + config.window_samples // 2
