"""Gather what the training clips show of a person (`runtime.seen`)."""

from __future__ import annotations

import numpy as np

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.emotions import learn_emotions
from gstalker.runtime.expression import SHUT, control_ranges, near_blinks, seen_weights
from gstalker.runtime.seen import METRES, RADIANS, WEIGHT, Seen, SeenRange
from gstalker.runtime.train.frames import FrameTracks

# Of the rotation vector and the translation of avatar_from_head; axes as in docs/conventions.md.
POSE_NAMES = ("head nod", "head turn", "head tilt", "head right", "head down", "head away")


def person_seen(dataset: Dataset, names: list[str], tracks: FrameTracks, controls: tuple[str, ...]) -> Seen:
    """Ranges of all tracked weights of the upper face, gaze and head pose, and the emotions within them.

    Args:
        dataset: gives weights that are no controls.
        names: of the training clips.
        tracks: of the same clips.
        controls: names of the columns of `tracks.expression`.
    """
    tracked = [dataset.tracks(name).blendshapes for name in names]
    weights = seen_weights(tracked, dataset.manifest.blendshape_names)
    ranges = [SeenRange(w.name, WEIGHT, w.low, w.middle, w.high, w.name in controls) for w in weights]
    for column, name in enumerate(POSE_NAMES):
        low, middle, high = (float(v) for v in np.percentile(tracks.head_pose[:, column], (2, 50, 98)))
        ranges.append(SeenRange(name, RADIANS if column < 3 else METRES, low, middle, high, True))
    own = control_ranges(tracks.expression, controls)
    blinking = near_blinks(tracks.blink.max(axis=1) > SHUT)
    emotions = learn_emotions(tracks.expression, controls, own, blinking)
    return Seen(tuple(ranges), emotions)
