"""Emotions for avatars whose bundle brings none: which facial weights each raises, by their ARKit names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gstalker.runtime.bundle_manifest import Control

# Weights are shares of the range that the control had in training: 1 is as strong as the person was ever seen.
# The prototypes are those of the Facial Action Coding System, its action units written as ARKit weights.
# Source: Ekman, Friesen, Hager 2002, Facial Action Coding System, Investigator's Guide, table 10-1: happiness
# 6 + 12, sadness 1 + 4 + 15, surprise 1 + 2 + 5 + 26, fear 1 + 2 + 4 + 5 + 20, anger 4 + 5 + 7 + 23, disgust 9 + 15.
# "thoughtful" is ours: one brow down, a slight squint.
_BOTH = {
    "happy": {"cheekSquint": 0.8, "eyeSquint": 0.7, "mouthSmile": 0.8, "browOuterUp": 0.2},
    "sad": {"browInnerUp": 0.9, "browDown": 0.3, "mouthFrown": 0.7, "eyeSquint": 0.2},
    "surprised": {"browInnerUp": 0.9, "browOuterUp": 0.9, "eyeWide": 0.8, "jawOpen": 0.2},
    "afraid": {"browInnerUp": 1.0, "browOuterUp": 0.5, "browDown": 0.3, "eyeWide": 0.9, "mouthStretch": 0.5},
    "angry": {"browDown": 1.0, "eyeSquint": 0.6, "eyeWide": 0.3, "mouthPress": 0.5},
    "disgusted": {"noseSneer": 0.9, "browDown": 0.5, "eyeSquint": 0.6, "mouthFrown": 0.4, "mouthUpperUp": 0.4},
    "thoughtful": {"browDown": 0.4, "eyeSquint": 0.5, "browInnerUp": 0.2},
}


def emotion_shares(controls: Sequence[Control]) -> dict[str, np.ndarray]:
    """Emotions that this avatar can show at all.

    Returns:
        Name -> (E,) share of each control's trained range, NaN where the emotion leaves the control alone.
    """
    found: dict[str, np.ndarray] = {}
    for name, weights in _BOTH.items():
        shares = np.array([_share(c.name, weights) for c in controls], np.float64).reshape(len(controls))
        if np.isfinite(shares).any():
            found[name] = shares
    return found


def _share(control: str, weights: dict[str, float]) -> float:
    return weights.get(control.removesuffix("Left").removesuffix("Right"), np.nan)
