"""How far one picture is from another: whole, by region, and in the mouth box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from gstalker.runtime import regions
from gstalker.runtime.dataset import Clip

# A PSNR is capped here so that equal pictures do not turn every mean into infinity. One grey level in one
# channel of one pixel of 1024 x 1024 is 113 dB.
PSNR_CAP_DB = 120.0
SILHOUETTE_HALF_WIDTH_PX = 4  # at 256 px: the band on both sides of the person's outline
REGIONS = ("full", "mouth", "eyes", "head", "torso", "silhouette", "backdrop")


@dataclass(frozen=True)
class FrameRegions:
    """Where a real frame is compared: the same pixels for every subject.

    Head and torso stop short of the silhouette band, and the backdrop starts beyond it: an error of the
    outline is counted once. Mouth and eye boxes overlap with the head.

    Attributes:
        mouth: box about the tracked lips (`regions.mouth_box`).
        eyes: boxes about the tracked eyes.
        masks: (H, W) bool by name: head, torso, silhouette, backdrop.
    """

    mouth: regions.Box
    eyes: tuple[regions.Box, regions.Box]
    masks: dict[str, np.ndarray]


def frame_regions(clip: Clip, frame: int) -> FrameRegions:
    """The regions of one real frame, from its tracked landmarks and its matte."""
    landmarks = clip.tracks.landmarks_px[frame]
    matte = clip.matte[frame]
    size_px = matte.shape[0]
    half_width = max(1, round(SILHOUETTE_HALF_WIDTH_PX * size_px / regions.REFERENCE_SIZE_PX))
    person = matte >= regions.MATTE_PERSON
    around = 2 * half_width + 1
    grown = ndimage.maximum_filter(person.view(np.uint8), around, mode="nearest")
    shrunk = ndimage.minimum_filter(person.view(np.uint8), around, mode="nearest")
    band = grown != shrunk
    head, torso = regions.head_torso_masks(landmarks, matte)
    return FrameRegions(
        mouth=regions.mouth_box(landmarks, size_px),
        eyes=regions.eye_boxes(landmarks, size_px),
        masks={
            "head": head & ~band,
            "torso": torso & ~band,
            "silhouette": band,
            "backdrop": ~person & ~band,
        },
    )


def squared_errors(rendered: np.ndarray, real: np.ndarray, where: FrameRegions) -> dict[str, float]:
    """Mean squared error of each region.

    Args:
        rendered, real: (H, W, 3) uint8.

    Returns:
        region name -> mean over its pixels and channels, colours 0..1; NaN for a region without pixels.
    """
    difference = (rendered.astype(np.float32) - real.astype(np.float32)) / 255.0
    error = (difference * difference).mean(axis=-1)
    result = {"full": float(error.mean(dtype=np.float64)), "mouth": _box_mean(error, [where.mouth])}
    result["eyes"] = _box_mean(error, list(where.eyes))
    for name, mask in where.masks.items():
        result[name] = float(error[mask].mean(dtype=np.float64)) if mask.any() else float("nan")
    return result


def psnr_from_mse(mse: np.ndarray) -> np.ndarray:
    """PSNR in dB of mean squared errors of 0..1 colours, at most PSNR_CAP_DB; NaN stays NaN."""
    floor = 10.0 ** (-PSNR_CAP_DB / 10.0)
    return -10.0 * np.log10(np.maximum(np.asarray(mse, np.float64), floor))


def as_bytes(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) float 0..1 -> uint8, as a screen or a file would show it; NaN is refused.

    Raises:
        ValueError: a colour that is not finite.
    """
    if not np.isfinite(picture).all():
        raise ValueError("picture: expected finite colours, got NaN or infinity")
    return np.round(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)


def _box_mean(error: np.ndarray, boxes: list[regions.Box]) -> float:
    return float(np.mean([error[y0:y1, x0:x1].mean(dtype=np.float64) for x0, y0, x1, y1 in boxes]))
