"""Regions of a picture from face landmarks and matte: mouth and eye boxes, head and torso masks, openings.

Pure geometry, no torch. All sizes are given for a picture of 256 x 256 and scale with it.
"""

from __future__ import annotations

import numpy as np

from gstalker.runtime import landmarks as lm

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in px; x1 and y1 are one past the end

REFERENCE_SIZE_PX = 256
MOUTH_BOX_PX = (64, 48)  # width, height at 256 px
EYE_BOX_PX = (40, 28)

# The jaw from the person's right cheek over the chin to the left cheek, at the height of the mouth and below.
JAW = (58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288)
MATTE_PERSON = 128  # matte values from here on count as person


def mouth_box(landmarks_px: np.ndarray, size_px: int) -> Box:
    """The box of fixed size about the lips' middle.

    Args:
        landmarks_px: (478, 2) of one frame.
        size_px: the picture is size_px x size_px; the box is moved to lie inside it.
    """
    lips = landmarks_px[list(lm.LIPS)]
    return _box_about((lips.min(axis=0) + lips.max(axis=0)) / 2, MOUTH_BOX_PX, size_px)


def eye_boxes(landmarks_px: np.ndarray, size_px: int) -> tuple[Box, Box]:
    """Boxes of fixed size about the person's right and left eye, by the corners, which blinks leave."""
    right, left = (
        _box_about(landmarks_px[list(corners)].mean(axis=0), EYE_BOX_PX, size_px)
        for corners in (lm.RIGHT_EYE_CORNERS, lm.LEFT_EYE_CORNERS)
    )
    return right, left


def lip_opening_px(landmarks_px: np.ndarray) -> np.ndarray:
    """(..., 478, 2) -> (...) distance between the inner lips in the middle, px."""
    upper, lower = lm.LIP_OPENING
    return np.linalg.norm(landmarks_px[..., upper, :] - landmarks_px[..., lower, :], axis=-1)


def eye_opening_px(landmarks_px: np.ndarray) -> np.ndarray:
    """(..., 478, 2) -> (..., 2) distance between the lids in the middle of the right and the left eye, px."""
    pairs = [
        np.linalg.norm(landmarks_px[..., upper, :] - landmarks_px[..., lower, :], axis=-1)
        for upper, lower in (lm.RIGHT_LIDS, lm.LEFT_LIDS)
    ]
    return np.stack(pairs, axis=-1)


def below_jaw(landmarks_px: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """(H, W) bool: pixels under the jaw curve, which runs on level to both sides from the cheeks."""
    jaw = landmarks_px[list(JAW)]
    order = np.argsort(jaw[:, 0], kind="stable")
    columns = np.arange(width_px) + 0.5
    curve_y = np.interp(columns, jaw[order, 0], jaw[order, 1])
    return (np.arange(height_px) + 0.5)[:, None] > curve_y[None, :]


def head_torso_masks(landmarks_px: np.ndarray, matte: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split the person at the jaw.

    Args:
        landmarks_px: (478, 2) of one frame.
        matte: (H, W) uint8, 255 person.

    Returns:
        head (H, W) bool: face, ears and hair above the jaw curve; torso (H, W) bool: neck, clothes and
        whatever else of the person is below it. They share no pixel.
    """
    person = matte >= MATTE_PERSON
    below = below_jaw(landmarks_px, *matte.shape)
    return person & ~below, person & below


def polygon_mask(points_px: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """(P, 2) corners in order -> (H, W) bool, true where a pixel's centre is inside (even-odd rule)."""
    x = np.arange(width_px)[None, :] + 0.5
    y = np.arange(height_px)[:, None] + 0.5
    inside = np.zeros((height_px, width_px), bool)
    for (x0, y0), (x1, y1) in zip(points_px, np.roll(points_px, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def face_mask(landmarks_px: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """(H, W) bool: inside the face oval."""
    return polygon_mask(landmarks_px[list(lm.FACE_OVAL)], height_px, width_px)


def _box_about(centre_px: np.ndarray, at_reference_px: tuple[int, int], size_px: int) -> Box:
    width, height = (min(round(v * size_px / REFERENCE_SIZE_PX), size_px) for v in at_reference_px)
    x0 = int(np.clip(round(float(centre_px[0]) - width / 2), 0, size_px - width))
    y0 = int(np.clip(round(float(centre_px[1]) - height / 2), 0, size_px - height))
    return x0, y0, x0 + width, y0 + height
