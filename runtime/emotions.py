"""Named emotions: what a face does in each, and how near a person was seen to come to it. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gstalker.runtime.seen import Emotion

# What the whole face does, as ARKit weights of 0..1; both sides alike.
# The prototypes are those of the Facial Action Coding System, its action units written as ARKit weights.
# Source: Ekman, Friesen, Hager 2002, Facial Action Coding System, Investigator's Guide, table 10-1: happiness
# 6 + 12, sadness 1 + 4 + 15, surprise 1 + 2 + 5 + 26, fear 1 + 2 + 4 + 5 + 20, anger 4 + 5 + 7 + 23, disgust 9 + 15.
# "thoughtful" is ours: one brow down, a slight squint.
PROTOTYPES: dict[str, dict[str, float]] = {
    "happy": {"cheekSquint": 0.8, "eyeSquint": 0.7, "mouthSmile": 0.8, "browOuterUp": 0.2},
    "sad": {"browInnerUp": 0.9, "browDown": 0.3, "mouthFrown": 0.7, "eyeSquint": 0.2},
    "surprised": {"browInnerUp": 0.9, "browOuterUp": 0.9, "eyeWide": 0.8, "jawOpen": 0.2},
    "afraid": {"browInnerUp": 1.0, "browOuterUp": 0.5, "browDown": 0.3, "eyeWide": 0.9, "mouthStretch": 0.5},
    "angry": {"browDown": 1.0, "eyeSquint": 0.6, "eyeWide": 0.3, "mouthPress": 0.5},
    "disgusted": {"noseSneer": 0.9, "browDown": 0.5, "eyeSquint": 0.6, "mouthFrown": 0.4, "mouthUpperUp": 0.4},
    "thoughtful": {"browDown": 0.4, "eyeSquint": 0.5, "browInnerUp": 0.2},
}
UNPAIRED = ("browInnerUp", "jawOpen", "cheekPuff")  # weights that have no left and right
NEAREST_SHARE = 0.02  # of the frames with open eyes: those in which the person comes nearest to an emotion
LEAST_SUPPORT = 0.05  # an emotion of which less was seen is left out


def learn_emotions(
    weights: np.ndarray, names: Sequence[str], ranges: Sequence[tuple[float, float]], blinking: np.ndarray
) -> tuple[Emotion, ...]:
    """Emotions as this person was seen to come nearest to them.

    The frames that lie furthest along the prototype are averaged, so what comes out is a combination that was seen,
    with this person's own asymmetry, and goes no further than the person does.

    Args:
        weights: (F, E) tracked weights.
        names: of the E controls.
        ranges: (low, high) of each, which targets do not leave.
        blinking: (F,) bool: frames in or beside a blink, which show no emotion: lids on their way look like a squint.

    Returns:
        Those of which at least LEAST_SUPPORT was seen.
    """
    shown = weights[~blinking] if not blinking.all() else weights
    if not len(shown) or not len(names):
        return ()
    rest = np.median(shown, axis=0)
    rises = shown - rest
    low, high = np.array(ranges, np.float64).T
    nearest = max(1, round(NEAREST_SHARE * len(shown)))
    found = []
    for emotion, prototype in PROTOTYPES.items():
        wanted = np.array([share_of(name, prototype) for name in names])
        touched = wanted > 0
        if not touched.any():
            continue
        rows = np.argsort(rises @ wanted, kind="stable")[-nearest:]
        rise = np.maximum(rises[rows].mean(axis=0), 0.0)
        target = np.clip(rest + np.minimum(rise, wanted), low, high)
        reached = np.maximum(target - rest, 0.0)
        support = float((wanted * reached)[touched].sum() / whole_square(prototype))
        if support >= LEAST_SUPPORT:
            targets = {name: float(target[e]) for e, name in enumerate(names) if touched[e]}
            found.append(Emotion(emotion, min(1.0, support), targets))
    return tuple(found)


def prototype_shares(names: Sequence[str]) -> dict[str, np.ndarray]:
    """For avatars that bring no emotions of their own: prototypes as shares of each control's range.

    Returns:
        Name -> (E,) share, where 1 is as strong as the person was ever seen; NaN where the emotion leaves the control
        alone. Only emotions that touch a control.
    """
    found: dict[str, np.ndarray] = {}
    for emotion, prototype in PROTOTYPES.items():
        shares = np.array([share_of(name, prototype) for name in names], np.float64).reshape(len(names))
        if shares.any():
            found[emotion] = np.where(shares > 0, shares, np.nan)
    return found


def share_of(name: str, prototype: dict[str, float]) -> float:
    """What a prototype says of the weight of an ARKit name, 0 where nothing."""
    return prototype.get(name.removesuffix("Left").removesuffix("Right"), 0.0)


def whole_square(prototype: dict[str, float]) -> float:
    """The sum of squares of a prototype over the whole face, both sides."""
    return sum(share**2 * (1 if name in UNPAIRED else 2) for name, share in prototype.items())
