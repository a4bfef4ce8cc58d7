"""Which weights of the upper face an avatar hears: those that this person was seen to move.

A weight becomes a control where the training clips show it over a range that can be learnt and that stands out of
the tracker's own noise; audio alone drives the mouth. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.landmarks import GAZE_BLENDSHAPES, LID_BLENDSHAPES, UPPER_FACE_BLENDSHAPES

RANGE_PERCENTILES = (2.0, 98.0)
LID_PERCENTILES = (2.0, 99.5)  # a lid is shut in few frames: the 98th percentile is one of half a blink
SHUT = 0.35  # tracked blink weight from which the lids hide where the eye looks
SHUT_MARGIN_FRAMES = 2  # to each side: the tracker takes the falling lid for a look down
# The median of |second difference| of independent noise of deviation 1 is 0.6745 * sqrt(6).
SECOND_DIFFERENCE_MEDIAN = 1.652


@dataclass(frozen=True)
class ExpressionConfig:
    """What a weight must show to become a control."""

    gaze: bool = True  # whether eyeLook weights may be controls
    least_range: float = 0.05  # between the percentiles of what was seen
    least_signal: float = 3.0  # times the tracker's noise from frame to frame


@dataclass(frozen=True)
class SeenWeight:
    """What the training clips show of one weight.

    Attributes:
        name: ARKit's.
        low, middle, high: 2nd, 50th and 98th percentile (99.5th of eyeBlink), 0..1.
        deviation: standard deviation over all frames.
        noise: standard deviation of what the tracker adds from frame to frame, robustly estimated.
    """

    name: str
    low: float
    middle: float
    high: float
    deviation: float
    noise: float


def range_percentiles(name: str) -> tuple[float, float]:
    """Between which percentiles of the tracked values a control's range lies."""
    return LID_PERCENTILES if name in LID_BLENDSHAPES else RANGE_PERCENTILES


def control_ranges(expression: np.ndarray, controls: Sequence[str]) -> list[tuple[float, float]]:
    """(low, high) of each control over (F, E) tracked weights, exactly as float32 holds them."""
    ends = [np.percentile(expression[:, e], range_percentiles(name)) for e, name in enumerate(controls)]
    return [(float(np.float32(low)), float(np.float32(high))) for low, high in ends]


def expression_weights(
    blendshapes: np.ndarray, names: Sequence[str], controls: Sequence[str], *, blinks_apart: bool = True
) -> np.ndarray:
    """One clip's weights as the field hears them.

    Behind a closed lid nobody sees where an eye looks, and the tracker says "down": there, gaze goes straight from
    what was before to what comes after, so that a blink and a look are two controls and not one. Squint stays as
    tracked: it tells how a lid closes, and without it shut eyes are drawn worse.

    Args:
        blendshapes: (T, B) tracked weights of consecutive frames.
        names: the B columns.
        controls: the E weights wanted.
        blinks_apart: False gives the weights as tracked.

    Returns:
        (T, E) float32.

    Raises:
        InputError: a control that the tracks do not have.
    """
    missing = [name for name in controls if name not in names]
    if missing:
        raise InputError(f"blendshapes: expected the weights {', '.join(missing)} among the tracks. Prepare again.")
    weights = blendshapes[:, [list(names).index(name) for name in controls]].astype(np.float32)
    behind = [e for e, name in enumerate(controls) if name in GAZE_BLENDSHAPES]
    lids = [list(names).index(name) for name in LID_BLENDSHAPES if name in names]
    if blinks_apart and behind and lids:
        hidden = near_blinks(blendshapes[:, lids].max(axis=1) > SHUT)
        seen, frames = np.flatnonzero(~hidden), np.arange(len(weights))
        if hidden.any() and len(seen):
            for e in behind:
                weights[:, e] = np.interp(frames, seen, weights[seen, e])
    return weights


def near_blinks(shut: np.ndarray) -> np.ndarray:
    """(T,) bool: where lids are shut, (T,) bool, and SHUT_MARGIN_FRAMES to each side."""
    return np.convolve(shut, np.ones(2 * SHUT_MARGIN_FRAMES + 1))[SHUT_MARGIN_FRAMES:-SHUT_MARGIN_FRAMES] > 0.5


def seen_weights(clips: Sequence[np.ndarray], names: Sequence[str]) -> tuple[SeenWeight, ...]:
    """What clips of (T, B) tracked weights show of each weight of the upper face that is tracked."""
    wanted = [name for name in UPPER_FACE_BLENDSHAPES if name in names]
    tracks = [expression_weights(clip, names, wanted) for clip in clips]
    together = np.concatenate(tracks)
    steps = [np.abs(np.diff(track, n=2, axis=0)) for track in tracks if len(track) > 2]
    noise = np.median(np.concatenate(steps), axis=0) / SECOND_DIFFERENCE_MEDIAN if steps else np.zeros(len(wanted))
    found = []
    for e, name in enumerate(wanted):
        low, high = np.percentile(together[:, e], range_percentiles(name))
        middle = float(np.median(together[:, e]))
        found.append(SeenWeight(name, float(low), middle, float(high), float(together[:, e].std()), float(noise[e])))
    return tuple(found)


def choose_controls(dataset: Dataset, clip_names: Sequence[str], config: ExpressionConfig) -> tuple[str, ...]:
    """The weights that the person was seen to move, in the order of UPPER_FACE_BLENDSHAPES.

    Lids always are controls. Gaze comes whole or not at all along each direction: an eye that can be turned to one
    side only has no rest.
    """
    names = dataset.manifest.blendshape_names
    seen = {w.name: w for w in seen_weights([dataset.tracks(n).blendshapes for n in clip_names], names)}
    moves = {name for name, w in seen.items() if _moves(w, config)}
    chosen = (moves - set(GAZE_BLENDSHAPES)) | (set(LID_BLENDSHAPES) & set(seen))
    for direction in GAZE_DIRECTIONS if config.gaze else ():
        if any(name in moves for name in direction) and all(name in seen for name in direction):
            chosen |= set(direction)
    return tuple(name for name in UPPER_FACE_BLENDSHAPES if name in chosen)


GAZE_DIRECTIONS = (
    tuple(name for name in GAZE_BLENDSHAPES if "In" in name or "Out" in name),
    tuple(name for name in GAZE_BLENDSHAPES if "Up" in name or "Down" in name),
)


def _moves(weight: SeenWeight, config: ExpressionConfig) -> bool:
    return weight.high - weight.low >= config.least_range and weight.deviation >= config.least_signal * weight.noise
