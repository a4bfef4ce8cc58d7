"""The torso's rigid motion in the picture plane: every frame against one reference frame of the dataset.

Within a take frames are fitted to the take's own first frame, whose folds they share: against a reference whose
clothes lie otherwise, a fit drifts when the person moves. Where the take as a whole sits is the median of what fits
of several of its frames to the reference say.

Gauss-Newton on brightness and silhouette inside the reference's clothes, coarse to fine (Lucas and Kanade 1981,
inverse compositional as Baker and Matthews 2004 have it, with Huber weights for folds that changed). Brightness
is divided by its local mean and spread, so that a lamp does not look like motion. Skin is left out: the neck
follows the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gstalker.runtime.landmarks import FACE_OVAL
from gstalker.runtime.regions import MATTE_PERSON, below_jaw, face_mask

LEVELS = 3  # 1/8, 1/4, 1/2 of 256 px and then the picture itself
ITERATIONS = 12
HUBER = 0.5  # in units of the local spread
SILHOUETTE_WEIGHT = 2.0
SEARCH_PX_AT_256 = 24  # how far apart sittings may be
LARGEST_SHIFT = 0.25  # of the picture
LARGEST_TURN_RAD = 0.4
LEAST_PIXELS = 200
SEAT_FITS = 9  # frames of a take, evenly spread, that are fitted to the reference
SKIN_LAB = 20.0  # distance in a and b of CIE Lab from the face, 8-bit units


@dataclass(frozen=True)
class _Level:
    """One size of the reference, ready for fitting."""

    scale: float
    points: np.ndarray  # (P, 2) px of this level, about the pivot
    template: np.ndarray  # (C, P)
    jacobian: np.ndarray  # (C, P, 3) of dx, dy, angle


class _Template:
    """A region of one frame, to be found again in others.

    Args:
        channels: (C, S, S) of that frame.
        region: (S, S) bool which of its pixels.
        pivot_px: what turns are about.
    """

    def __init__(self, channels: np.ndarray, region: np.ndarray, pivot_px: tuple[float, float]) -> None:
        self._pivot_px = pivot_px
        self._levels = [self._level(channels, region, 2.0**-k) for k in range(LEVELS, -1, -1)]

    def _level(self, channels: np.ndarray, region: np.ndarray, scale: float) -> _Level:
        small = _shrink(channels, scale)
        size = small.shape[-1]
        mask = cv2.resize(region.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) > 0.5
        rows, columns = np.nonzero(mask)
        gradient_y, gradient_x = np.gradient(small, axis=(1, 2))
        x = columns + 0.5 - self._pivot_px[0] * scale
        y = rows + 0.5 - self._pivot_px[1] * scale
        gx, gy = gradient_x[:, rows, columns], gradient_y[:, rows, columns]
        jacobian = np.stack([gx, gy, gy * x - gx * y], axis=-1)
        return _Level(scale, np.stack([x, y], axis=-1), small[:, rows, columns], jacobian)

    def fit(self, channels: np.ndarray, start: np.ndarray, *, coarse: bool = False) -> tuple[np.ndarray, float]:
        """(3,) dx_px, dy_px, angle_rad of another frame from a guess, and what is left of the error.

        Args:
            coarse: at the two smallest sizes alone, for a search; else at all but the smallest.
        """
        motion = start.copy()
        cost = np.inf
        for level in self._levels[:2] if coarse else self._levels[1:]:
            image = _shrink(channels, level.scale)
            motion[:2] *= level.scale
            for _ in range(ITERATIONS):
                cos, sin = np.cos(motion[2]), np.sin(motion[2])
                x = cos * level.points[:, 0] - sin * level.points[:, 1] + motion[0] + self._pivot_px[0] * level.scale
                y = sin * level.points[:, 0] + cos * level.points[:, 1] + motion[1] + self._pivot_px[1] * level.scale
                sampled, inside = _sample(image, x - 0.5, y - 0.5)
                error = sampled - level.template
                size = np.abs(error)
                weight = np.where(size > HUBER, HUBER / np.maximum(size, 1e-9), 1.0) * inside
                cost = float((weight * error**2).sum() / max(1.0, inside.sum()))
                weighted = level.jacobian * weight[..., None]
                hessian = np.einsum("cpi,cpj->ij", weighted, level.jacobian)
                gradient = np.einsum("cpi,cp->i", weighted, error)
                step = np.linalg.solve(hessian + 1e-6 * np.trace(hessian) / 3 * np.eye(3) + 1e-9 * np.eye(3), gradient)
                # Inverse composition: undo the template's step before the motion found so far.
                turned = motion[2] - step[2]
                cos, sin = np.cos(turned), np.sin(turned)
                motion[0] -= cos * step[0] - sin * step[1]
                motion[1] -= sin * step[0] + cos * step[1]
                motion[2] = turned
                if np.abs(step[:2]).max() < 0.01 and abs(step[2]) < 1e-4:
                    break
            motion[:2] /= level.scale
        return motion, cost


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
            self._reference: _Template | None = None
            return
        self.pivot_px = (float(columns.mean()) + 0.5, float(rows.mean()) + 0.5)
        self._reference = _Template(_channels(picture, matte), self.region, self.pivot_px)

    @property
    def can_track(self) -> bool:
        """Whether the reference shows enough of a torso."""
        return self._reference is not None

    def track(self, pictures: np.ndarray, mattes: np.ndarray) -> tuple[np.ndarray, int]:
        """Follow the torso through one take.

        Args:
            pictures: (T, S, S, 3) uint8.
            mattes: (T, S, S) uint8.

        Returns:
            (T, 3) float64 dx_px, dy_px, angle_rad, smoothed over one frame to each side; and in how many
            frames the fit failed and the frame before was kept.
        """
        count = len(pictures)
        if self._reference is None:
            return np.zeros((count, 3)), 0
        first = _channels(pictures[0], mattes[0])
        guess = self._search(first, self._reference)
        start, _ = self._reference.fit(first, guess)
        failed = int(not self._sane(start))
        start = guess if failed else start
        own = _Template(first, self._moved_region(start), self._place(start))
        motion = np.zeros((count, 3))  # against the take's first frame
        seats, seat_frames = [start], set(np.linspace(0, count - 1, SEAT_FITS).astype(int).tolist())
        for index in range(count):
            channels = _channels(pictures[index], mattes[index]) if index else first
            if index:
                fitted, _ = own.fit(channels, motion[index - 1])
                sane = self._sane(start + fitted)
                failed += not sane
                motion[index] = fitted if sane else motion[index - 1]
            if index in seat_frames:
                fitted, _ = self._reference.fit(channels, start + motion[index])
                if self._sane(fitted):
                    seats.append(_before(fitted, motion[index], start))
        seat = np.median(seats, axis=0)
        motion = np.array([_after(seat, m, start) for m in motion])
        padded = np.concatenate([motion[:1], motion, motion[-1:]])
        return (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4, failed

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

    def _search(self, channels: np.ndarray, reference: _Template) -> np.ndarray:
        """The best of fits at the coarsest size started from shifts all round."""
        reach = SEARCH_PX_AT_256 * self._size / 256
        best, least = np.zeros(3), np.inf
        for dy in (0.0, -reach / 2, reach / 2):
            for dx in (0.0, -reach, -reach / 2, reach / 2, reach):
                fitted, cost = reference.fit(channels, np.array([dx, dy, 0.0]), coarse=True)
                if self._sane(fitted) and cost < least:
                    best, least = fitted, cost
        return best

    def _sane(self, motion: np.ndarray) -> bool:
        limit = LARGEST_SHIFT * self._size
        return bool(np.isfinite(motion).all() and np.abs(motion[:2]).max() < limit) and bool(
            abs(motion[2]) < LARGEST_TURN_RAD
        )


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


def _channels(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """(C, S, S) float32: brightness freed of the lamp, within the person, and the silhouette."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    share = matte.astype(np.float32) / 255.0
    sigma = 12.0 * picture.shape[0] / 256
    weight = cv2.GaussianBlur(share, (0, 0), sigma) + 1e-3
    mean = cv2.GaussianBlur(grey * share, (0, 0), sigma) / weight
    spread = np.sqrt(cv2.GaussianBlur(((grey - mean) ** 2) * share, (0, 0), sigma) / weight)
    even = (grey - mean) / (spread + 6.0) * share
    smooth = cv2.GaussianBlur(np.stack([even, SILHOUETTE_WEIGHT * share], axis=-1), (0, 0), picture.shape[0] / 256)
    return np.ascontiguousarray(smooth.transpose(2, 0, 1))


def _shrink(channels: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1.0:
        return channels
    size = round(channels.shape[-1] * scale)
    return np.stack([cv2.resize(c, (size, size), interpolation=cv2.INTER_AREA) for c in channels])


def _sample(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (C, P) at pixel indices, and whether (P,) they are inside the picture."""
    size = image.shape[-1]
    inside = (x >= 0) & (y >= 0) & (x <= size - 1) & (y <= size - 1)
    at_x, at_y = x.astype(np.float32)[None], y.astype(np.float32)[None]
    values = [cv2.remap(c, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0] for c in image]
    return np.stack(values), inside.astype(np.float32)
