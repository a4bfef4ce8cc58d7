"""The square that is cut out of a video: the same for every take of one picture size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gstalker.runtime.landmarks import FACE_OVAL

EDGE_TRIM = 0.01  # of the shorter side, at every edge: digitised video has dark or torn edge rows
FACE_HEIGHTS = 2.4  # side of the square in heights of the face, where the picture has that much
MARGIN = 0.15  # of the face's height, kept round the face wherever it moves


@dataclass(frozen=True)
class Crop:
    """A square in pixels of the upright video, and the size it is brought to."""

    x0: int
    y0: int
    side: int
    size_px: int

    @property
    def scale(self) -> float:
        return self.size_px / self.side

    def picture(self, picture: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> (size_px, size_px, 3) uint8."""
        cut = picture[self.y0 : self.y0 + self.side, self.x0 : self.x0 + self.side]
        if self.side == self.size_px:
            return np.ascontiguousarray(cut)
        # INTER_AREA averages when making smaller; Lanczos keeps edges when making larger.
        how = cv2.INTER_AREA if self.side > self.size_px else cv2.INTER_LANCZOS4
        return cv2.resize(np.ascontiguousarray(cut), (self.size_px, self.size_px), interpolation=how)

    def landmarks(self, landmarks_px: np.ndarray) -> np.ndarray:
        """(..., 3) points of the video, z in px -> the same in the cropped picture."""
        return (landmarks_px - np.array([self.x0, self.y0, 0.0])) * self.scale


def choose_crop(landmarks_px: np.ndarray, width_px: int, height_px: int, size_px: int) -> Crop:
    """A square about the face, as large as FACE_HEIGHTS faces or the picture allows.

    Args:
        landmarks_px: (T, 478, >=2) finite landmarks of all takes of this picture size.
    """
    trim = int(EDGE_TRIM * min(width_px, height_px))
    oval = landmarks_px[:, list(FACE_OVAL), :2]
    low, high = oval.min(axis=1), oval.max(axis=1)  # (T, 2)
    face_height = float(np.median(high[:, 1] - low[:, 1]))
    reach = np.percentile(high, 98, axis=0) - np.percentile(low, 2, axis=0) + 2 * MARGIN * face_height
    side = round(max(FACE_HEIGHTS * face_height, float(reach.max())))
    side = max(2, min(side, width_px - 2 * trim, height_px - 2 * trim))
    middle = np.median((low + high) / 2, axis=0)
    x0 = int(np.clip(round(middle[0] - side / 2), trim, width_px - trim - side))
    y0 = int(np.clip(round(middle[1] - side / 2), trim, height_px - trim - side))
    return Crop(x0, y0, side, size_px)
