"""A pretrained speech encoder that stays as it is: run over bounded blocks of sound, laid on frames of 10 ms.

Such networks attend to everything that they are given. What they are given is therefore bounded: a block's features
come from the block, some sound before it and a little after it, so that a frame never depends on later sound than
`right_ms` says, in training as in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gstalker.runtime.audio import SAMPLE_RATE_HZ, LogMelConfig, mel_frame_count
from gstalker.runtime.errors import InputError
from gstalker.runtime.model.audio_source import feature_windows

HOP_SAMPLES = 160
SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
RATE_TRIAL_S = 6  # 41.67 and 50 Hz come out to 0.2 Hz


@dataclass(frozen=True)
class Blocks:
    """How much sound a pass is given: the block, and what lies before and after it.

    Raises:
        ValueError: a negative length, or a block that is no multiple of 10 ms.
    """

    left_ms: int
    block_ms: int
    right_ms: int

    def __post_init__(self) -> None:
        if min(self.left_ms, self.right_ms) < 0 or self.block_ms < 10 or self.block_ms % 10:
            raise ValueError(
                "Blocks: expected left and right of 0 ms or more and a block of a multiple of 10 ms, got "
                f"{self.left_ms}, {self.right_ms} and {self.block_ms}."
            )


class SpeechGraph(Protocol):
    """A network from sound to features.

    Attributes:
        name: for people, and for why a bundle cannot hold it.
        why_not_in_a_bundle: one clause.
    """

    @property
    def name(self) -> str: ...

    @property
    def why_not_in_a_bundle(self) -> str: ...

    def run(self, samples: np.ndarray) -> np.ndarray:
        """(T, width) float32 of (S,) float32 16 kHz speech; T grows with S."""
        ...


class FrozenEncoder:
    """An `AudioSource` made of a `SpeechGraph`.

    Raises:
        InputError: the graph gives no sequence of vectors, or more than one every 10 ms.
    """

    def __init__(self, graph: SpeechGraph, blocks: Blocks) -> None:
        self.name = graph.name
        self._graph, self._blocks = graph, blocks
        self._given = (blocks.left_ms + blocks.block_ms + blocks.right_ms) * SAMPLES_PER_MS
        # Width and rate are what comes out, not what a name promises: so much more silence, so many more rows.
        more = RATE_TRIAL_S * SAMPLE_RATE_HZ
        short, longer = (graph.run(np.zeros(self._given + s, np.float32)) for s in (0, more))
        self.native_rate_hz = (len(longer) - len(short)) / RATE_TRIAL_S
        if short.ndim != 2 or not 1 <= self.native_rate_hz <= 100 or len(short) < 2:
            raise InputError(
                f"{graph.name}: expected a row of features for every 10 ms to 1 s of sound, got an output of shape "
                f"{short.shape} for {self._given / SAMPLE_RATE_HZ:g} s and {longer.shape} for {RATE_TRIAL_S} s more."
            )
        self.width = short.shape[1]
        self.left_ms = float(blocks.left_ms + blocks.block_ms)
        self.right_ms = float(blocks.block_ms + blocks.right_ms)

    def known_at_ms(self, row: int) -> float:
        """See `AudioSource.known_at_ms`."""
        block = self._blocks.block_ms
        return float(10 * row // block * block + block + self._blocks.right_ms)

    def features(self, samples: np.ndarray) -> np.ndarray:
        """See `AudioSource.features`. Rows of the graph are taken as evenly spread over what it was given, which
        is exact to half a row (its own padding is not known), and mixed linearly in between."""
        samples = np.asarray(samples, np.float32)
        count = mel_frame_count(len(samples))
        left, block = self._blocks.left_ms * SAMPLES_PER_MS, self._blocks.block_ms * SAMPLES_PER_MS
        rows_of_block = block // HOP_SAMPLES
        result = np.empty((count, self.width), np.float32)
        spacing = SAMPLE_RATE_HZ / self.native_rate_hz
        for first in range(0, count, rows_of_block):
            last = min(first + rows_of_block, count)
            begin = first * HOP_SAMPLES - left
            given = np.zeros(self._given, np.float32)
            source = samples[max(0, begin) : begin + self._given]
            offset = max(0, -begin)
            given[offset : offset + len(source)] = source
            rows = self._graph.run(given)
            centres = self._given / 2 + (np.arange(len(rows)) - (len(rows) - 1) / 2) * spacing
            wanted = left + HOP_SAMPLES * np.arange(last - first)
            result[first:last] = _rows_at(rows, centres, wanted)
        return result

    def windows(self, samples: np.ndarray, frame_count: int, left: int, right: int) -> np.ndarray:
        """See `AudioSource.windows`; before and after the recording its first and its last row are held."""
        features = self.features(samples)
        windows = feature_windows(features, frame_count, left, right, features[-1])
        before = 4 * np.arange(frame_count)[:, None] + np.arange(-left, right) < 0
        windows[before] = features[0]
        return windows

    def bundle_front_end(self) -> LogMelConfig:
        """See `AudioSource.bundle_front_end`.

        Raises:
            InputError: always; a bundle's readers compute log-mel and nothing else.
        """
        raise InputError(
            f"export: an avatar that hears with {self.name} cannot go into a bundle: "
            f"{self._graph.why_not_in_a_bundle}. "
            "`gstalker eval` shows what it can do; train with --hears log_mel to export and serve."
        )


def _rows_at(rows: np.ndarray, centres: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(len(wanted), width) rows mixed linearly between their places; the first and the last are held beyond."""
    place = np.clip(np.interp(wanted, centres, np.arange(len(rows))), 0, len(rows) - 1)
    low = np.minimum(place.astype(int), len(rows) - 2)
    share = (place - low)[:, None]
    return ((1 - share) * rows[low] + share * rows[low + 1]).astype(np.float32)
