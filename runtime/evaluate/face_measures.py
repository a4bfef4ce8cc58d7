"""Numbers read off a detected face: lip distance, blink. Openings are `runtime.regions`'."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gstalker.runtime.landmarks import LIPS

BLINK_BLENDSHAPES = ("eyeBlinkLeft", "eyeBlinkRight")


def lip_distance_px(rendered_px: np.ndarray, real_px: np.ndarray, *, centred: bool) -> np.ndarray:
    """LMD of each frame: the mean distance between the 40 lip landmarks of two pictures.

    Args:
        rendered_px, real_px: (T, 478, 2) landmarks.
        centred: take the mean of the 40 away from both first, so that only the shape of the mouth counts and
            not where the head is.

    Returns:
        (T,) float64; NaN where either has no face.

    Source:
        Chen et al. 2018, arXiv:1803.10404, sec. 4: landmark distance of the mouth.
    """
    index = list(LIPS)
    rendered = np.asarray(rendered_px, np.float64)[:, index]
    real = np.asarray(real_px, np.float64)[:, index]
    if centred:
        rendered = rendered - rendered.mean(axis=1, keepdims=True)
        real = real - real.mean(axis=1, keepdims=True)
    return np.linalg.norm(rendered - real, axis=-1).mean(axis=1)


def blink_weight(blendshapes: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(T,) how closed the eyes are, 0..1: mean of the two blink blendshapes of (T, B) weights."""
    columns = [list(names).index(name) for name in BLINK_BLENDSHAPES]
    return np.asarray(blendshapes, np.float64)[:, columns].mean(axis=1)
