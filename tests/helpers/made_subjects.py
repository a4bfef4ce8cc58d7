"""Subjects made of a rule, for evaluations whose figures are known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from helpers.talking_disc import DiscDetector, draw

from gstalker.runtime.dataset import Clip
from gstalker.runtime.evaluate.evaluation import EvaluationResult, Instruments
from gstalker.runtime.evaluate.instruments import ssim
from gstalker.runtime.evaluate.loudness import FLOOR_DB, frame_loudness_db
from gstalker.runtime.evaluate.subject import RunSubjects

FRAMES = 40
NO_LPIPS = "LPIPS: no weights in this test"


@dataclass(frozen=True)
class Made:
    """A subject made of a rule."""

    name: str
    rule: Callable[[Clip, int], np.ndarray]
    composited: str = "a rule"

    def pictures(self, clip: Clip, frame_indices: Sequence[int]) -> Iterator[np.ndarray]:
        for t in frame_indices:
            yield np.asarray(self.rule(clip, t), np.float32) / 255.0


@dataclass(frozen=True)
class MadeVoice:
    """Opens its mouth with the loudness, some frames late."""

    name: str = "perfect"
    late: int = 3

    def voice_pictures(self, samples: np.ndarray, frame_count: int) -> Iterator[np.ndarray]:
        level = np.nan_to_num(frame_loudness_db(samples, frame_count)) / FLOOR_DB
        for t in range(frame_count):
            opening = 1.0 + 6.0 * level[max(0, t - self.late)]
            yield draw(np.array([48.0, 56.0]), opening, 4.0)[0].astype(np.float32) / 255.0


def averaged(clip: Clip, t: int) -> np.ndarray:
    return 0.4 * clip.rgb[t] + 0.6 * clip.rgb.mean(axis=0)


PERFECT = Made("perfect", lambda clip, t: clip.rgb[t])
INSTRUMENTS = Instruments(ssim, DiscDetector(), None, (NO_LPIPS,))


def run_of(*subjects: Made, voice: MadeVoice | None = None) -> RunSubjects:
    return RunSubjects("a made-up run", subjects, voice, {"preset": "made up"})


def figure(result: EvaluationResult, subject: str, key: str) -> float:
    value = result.figures.overall[subject][key]
    assert value is not None, (subject, key)
    return value
