"""Which pixels of the reference frame the torso is followed by."""

from __future__ import annotations

import cv2
import numpy as np

from gstalker.runtime.landmarks import FACE_OVAL
from gstalker.runtime.regions import MATTE_PERSON, below_jaw, face_mask

SKIN_LAB = 20.0  # distance in a and b of CIE Lab from the face, 8-bit units


def torso_region(picture: np.ndarray, matte: np.ndarray, landmarks_px: np.ndarray) -> np.ndarray:
    """(S, S) bool: clothes below the jaw, with a rim of backdrop, without skin of the face's colour."""
    height, width = matte.shape
    person = matte >= MATTE_PERSON
    below = below_jaw(landmarks_px[:, :2], height, width)
    oval = landmarks_px[list(FACE_OVAL), 1]
    gap = 0.04 * (oval.max() - oval.min())
    below &= (np.arange(height) + 0.5)[:, None] > oval.max() - 0.25 * (oval.max() - oval.min())
    torso = person & np.roll(below, round(gap), axis=0) & below
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    face = face_mask(landmarks_px[:, :2], height, width) & person
    clothes = torso
    if face.any():
        middle = np.median(lab[face][:, 1:], axis=0)
        skin = np.linalg.norm(lab[..., 1:] - middle, axis=-1) < SKIN_LAB
        skin = cv2.morphologyEx(skin.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        skin = cv2.dilate(skin, np.ones((5, 5), np.uint8)).astype(bool)
        clothes = torso & ~skin
        if clothes.sum() < 0.3 * torso.sum():  # clothes of the skin's colour, or none: keep all but the neck
            clothes = torso & ((np.arange(height) + 0.5)[:, None] > oval.max() + 2 * gap)
    clothes = cv2.morphologyEx(clothes.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    rim = max(1, round(3 * width / 256))
    wide = cv2.dilate(clothes, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)).astype(bool)
    return (clothes.astype(bool) | (wide & ~person)) & below
