"""The torso's motion in the picture plane: every frame against one reference frame of the dataset.

Within a take frames are fitted to the take's own first frame, whose folds they share: against a reference whose
clothes lie otherwise, a fit drifts when the person moves. Where the take as a whole sits is the median of what fits
of several of its frames to the reference say.

Fitted is the reference's clothes, brightness and silhouette (`picture_fit`). Skin is left out: the neck follows the
head.

Somebody who leans or turns the shoulders does not move rigidly in the picture. What an affine fit finds besides turn
and shift, the stretch, is not used to place the torso: it is what the torso's small deltas hear.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from gstalker.runtime.prepare.picture_fit import (
    Template,
    channels_of,
    rigid_motion_matrix,
    rigid_motion_of,
    stretch_of,
    stretched,
)
from gstalker.runtime.prepare.torso_region import torso_region

RIGID_SCALES = (1 / 8, 1 / 4, 1 / 2, 1.0)
SEARCHED, FITTED = 2, 1  # a search looks at the two smallest sizes alone; a fit at all but the smallest
STRETCH_SCALES = (1 / 2, 1.0)
SEARCH_PX_AT_256 = 24  # how far apart sittings may be
LARGEST_SHIFT = 0.25  # of the picture
LARGEST_TURN_RAD = 0.4
LARGEST_STRETCH = 0.25
LEAST_PIXELS = 200
SEAT_FITS = 9  # frames of a take, evenly spread, that are fitted to the reference
STRETCH_EVERY = 4  # frames: nobody leans faster


class TorsoTrack(NamedTuple):
    """What was followed through a take of T frames."""

    motion: np.ndarray  # (T, 3) float64 dx_px, dy_px, angle_rad, smoothed over one frame to each side
    stretch: np.ndarray  # (T, 3) float64 along x, along y, shear; between frames that were looked at, a straight line
    failed: int  # frames in which the fit failed and the frame before was kept


class TorsoTracker:
    """Fits the reference's torso to other frames.

    Args:
        picture: (S, S, 3) uint8 reference frame.
        matte: (S, S) uint8 of it.
        landmarks_px: (478, >=2) of it.

    Attributes:
        region: (S, S) bool pixels that are followed; empty where there is no torso to follow.
        pivot_px: their mean, which the turn is about.
    """

    def __init__(self, picture: np.ndarray, matte: np.ndarray, landmarks_px: np.ndarray) -> None:
        self._size = picture.shape[0]
        self.region = torso_region(picture, matte, landmarks_px)
        rows, columns = np.nonzero(self.region)
        if len(rows) < LEAST_PIXELS:
            self.region = np.zeros_like(self.region)
            self.pivot_px = (self._size / 2, self._size * 0.9)
            self._reference: Template | None = None
            return
        self.pivot_px = (float(columns.mean()) + 0.5, float(rows.mean()) + 0.5)
        channels = channels_of(picture, matte)
        self._reference = Template(channels, self.region, self.pivot_px, "rigid", RIGID_SCALES)
        self._shape = Template(channels, self.region, self.pivot_px, "affine", STRETCH_SCALES)

    @property
    def can_track(self) -> bool:
        """Whether the reference shows enough of a torso."""
        return self._reference is not None

    def track(self, pictures: np.ndarray, mattes: np.ndarray) -> TorsoTrack:
        """Follow the torso through one take.

        Args:
            pictures: (T, S, S, 3) uint8.
            mattes: (T, S, S) uint8.
        """
        count = len(pictures)
        if self._reference is None:
            return TorsoTrack(np.zeros((count, 3)), np.zeros((count, 3)), 0)
        first = channels_of(pictures[0], mattes[0])
        guess = self._search(first, self._reference)
        start = _fit(self._reference, first, guess)
        failed = int(not self._sane(start))
        start = guess if failed else start
        own = Template(first, self._moved_region(start), self._place(start), "rigid", RIGID_SCALES)
        motion = np.zeros((count, 3))  # against the take's first frame
        seats, seat_frames = [start], set(np.linspace(0, count - 1, SEAT_FITS).astype(int).tolist())
        stretches: dict[int, np.ndarray] = {}
        for index in range(count):
            channels = channels_of(pictures[index], mattes[index]) if index else first
            if index:
                fitted = _fit(own, channels, motion[index - 1])
                sane = self._sane(start + fitted)
                failed += not sane
                motion[index] = fitted if sane else motion[index - 1]
            if index in seat_frames:
                fitted = _fit(self._reference, channels, start + motion[index])
                if self._sane(fitted):
                    seats.append(_before(fitted, motion[index], start))
            if index % STRETCH_EVERY == 0 or index == count - 1:
                before = next(reversed(stretches.values()), np.zeros(3))
                stretches[index] = self._stretch(channels, start + motion[index], before)
        seat = np.median(seats, axis=0)
        motion = np.array([_after(seat, m, start) for m in motion])
        padded = np.concatenate([motion[:1], motion, motion[-1:]])
        smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
        at, found = list(stretches), np.array(list(stretches.values()))
        between = np.column_stack([np.interp(np.arange(count), at, column) for column in found.T])
        return TorsoTrack(smooth, between, failed)

    def _stretch(self, channels: np.ndarray, motion: np.ndarray, before: np.ndarray) -> np.ndarray:
        """(3,) of a frame; `before`, the last one found, is where the search starts and what is kept if it fails."""
        fitted, _ = self._shape.fit(channels, stretched(rigid_motion_matrix(motion), before))
        stretch = stretch_of(fitted) if np.isfinite(fitted).all() else before
        return stretch if np.abs(stretch).max() < LARGEST_STRETCH else before

    def _place(self, motion: np.ndarray) -> tuple[float, float]:
        return float(self.pivot_px[0] + motion[0]), float(self.pivot_px[1] + motion[1])

    def _moved_region(self, motion: np.ndarray) -> np.ndarray:
        """(S, S) bool the reference's region where a motion takes it."""
        cos, sin = np.cos(motion[2]), np.sin(motion[2])
        px, py = self.pivot_px[0] - 0.5, self.pivot_px[1] - 0.5  # warpAffine counts from the first pixel's centre
        warp = np.array(
            [[cos, -sin, px + motion[0] - cos * px + sin * py], [sin, cos, py + motion[1] - sin * px - cos * py]]
        )
        size = (self._size, self._size)
        return cv2.warpAffine(self.region.astype(np.uint8), warp, size, flags=cv2.INTER_NEAREST).astype(bool)

    def _search(self, channels: np.ndarray, reference: Template) -> np.ndarray:
        """The best of fits at the coarsest size started from shifts all round."""
        reach = SEARCH_PX_AT_256 * self._size / 256
        best, least = np.zeros(3), np.inf
        for dy in (0.0, -reach / 2, reach / 2):
            for dx in (0.0, -reach, -reach / 2, reach / 2, reach):
                matrix, cost = reference.fit(channels, rigid_motion_matrix(np.array([dx, dy, 0.0])), last=SEARCHED)
                fitted = rigid_motion_of(matrix)
                if self._sane(fitted) and cost < least:
                    best, least = fitted, cost
        return best

    def _sane(self, motion: np.ndarray) -> bool:
        limit = LARGEST_SHIFT * self._size
        return bool(np.isfinite(motion).all() and np.abs(motion[:2]).max() < limit) and bool(
            abs(motion[2]) < LARGEST_TURN_RAD
        )


def _fit(template: Template, channels: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(3,) dx_px, dy_px, angle_rad of another picture, from a guess (3,)."""
    return rigid_motion_of(template.fit(channels, rigid_motion_matrix(start), first=FITTED)[0])


def _after(seat: np.ndarray, motion: np.ndarray, start: np.ndarray) -> np.ndarray:
    """A seat (3,), then a motion (3,) within the take, whose turn is about where `start` put the pivot."""
    cos, sin = np.cos(motion[2]), np.sin(motion[2])
    x, y = seat[:2] - start[:2]
    return np.array(
        [start[0] + motion[0] + cos * x - sin * y, start[1] + motion[1] + sin * x + cos * y, seat[2] + motion[2]]
    )


def _before(fitted: np.ndarray, motion: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The seat that `_after` takes to `fitted`."""
    cos, sin = np.cos(motion[2]), np.sin(motion[2])
    x, y = fitted[:2] - start[:2] - motion[:2]
    return np.array([start[0] + cos * x + sin * y, start[1] - sin * x + cos * y, fitted[2] - motion[2]])
