"""Faces that nobody filmed but that a client may ask for: ends of controls, and emotions at full strength."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gstalker.runtime.emotions import learn_emotions
from gstalker.runtime.landmarks import LID_BLENDSHAPES
from gstalker.runtime.model.driving_samples import DrivingSamples
from gstalker.runtime.seen import WEIGHT, Seen, SeenRange

BEGINNING_BLINK = 0.25  # tracked blink weight


def asked_faces(samples: DrivingSamples, seen: Seen, controls: Sequence[str]) -> np.ndarray:
    """(n, E) float32: at rest each control at either end, all at either end, each emotion, each with lids shut."""
    low, high, rest = samples.expression_low, samples.expression_high, np.median(samples.expression, axis=0)
    faces = [rest, low, high]
    for e in range(len(controls)):
        for end in (low, high):
            faces.append(rest.copy())
            faces[-1][e] = end[e]
    for emotion in seen.emotions:
        faces.append(np.array([emotion.targets.get(name, rest[e]) for e, name in enumerate(controls)]))
    shut = np.array([name in LID_BLENDSHAPES for name in controls], bool)
    return np.concatenate([faces, np.where(shut, high, faces)]).astype(np.float32)


def seen_of_samples(samples: DrivingSamples, controls: Sequence[str]) -> Seen:
    """What the samples of a run show that kept no `seen.json`: a few hundred frames, and controls alone."""
    low, high = samples.expression_low, samples.expression_high
    middle = np.clip(np.median(samples.expression, axis=0), low, high)
    ranges = tuple(
        SeenRange(name, WEIGHT, float(low[e]), float(middle[e]), float(high[e]), True)
        for e, name in enumerate(controls)
    )
    lids = [e for e, name in enumerate(controls) if name in LID_BLENDSHAPES]
    # The samples do not follow each other: what lies beside a blink is told by lids that have begun to close.
    lids_down = samples.expression[:, lids].max(axis=1, initial=0.0) > BEGINNING_BLINK
    own = [(r.low, r.high) for r in ranges]
    return Seen(ranges, learn_emotions(samples.expression, controls, own, lids_down))
