"""Find a region of one picture again in another: the motion in the picture plane that takes it there.

Gauss-Newton on brightness and silhouette, coarse to fine (Lucas and Kanade 1981, inverse compositional as Baker and
Matthews 2004 have it, with Huber weights for what changed). Brightness is divided by its local mean and spread, so
that a lamp does not look like motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

ITERATIONS = 12
HUBER = 0.5  # in units of the local spread
SILHOUETTE_WEIGHT = 2.0
SHAPE_UNIT = 40 / 256  # of the picture: how far from the pivot a stretch moves as much as a shift does
ROW = 1024
SHAPE_HELD = 1e-3  # what a flat region holds a stretch with, as a share of the mean curvature


@dataclass(frozen=True)
class _Level:
    """One size of the picture, ready for fitting."""

    scale: float
    points: np.ndarray  # (P, 2) px of this level, about the pivot
    template: np.ndarray  # (C, P)
    jacobian: np.ndarray  # (C, P, D): of dx, dy, angle, or of dx, dy and the four numbers of a matrix
    unit_px: float  # what the matrix's numbers are counted in


class Template:
    """A region of one picture, to be found again in others.

    A motion is a (2, 3) matrix [A | t]: a point that lies x (2,) px from the pivot comes to lie A x + t from it.

    Args:
        channels: (C, S, S) of that picture, of `channels_of`.
        region: (S, S) bool which of its pixels.
        pivot_px: what turns are about.
        moves: "rigid" for turns and shifts, "affine" for stretches besides.
        scales: sizes of the picture to fit at, coarse to fine.
    """

    def __init__(
        self,
        channels: np.ndarray,
        region: np.ndarray,
        pivot_px: tuple[float, float],
        moves: Literal["rigid", "affine"],
        scales: tuple[float, ...],
    ) -> None:
        self._pivot_px = np.array(pivot_px)
        self._moves = moves
        self._levels = [self._level(channels, region, scale) for scale in scales]

    def _level(self, channels: np.ndarray, region: np.ndarray, scale: float) -> _Level:
        small = _shrink(channels, scale)
        size = small.shape[-1]
        mask = cv2.resize(region.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) > 0.5
        rows, columns = np.nonzero(mask)
        gradient_y, gradient_x = np.gradient(small, axis=(1, 2))
        x, y = columns + 0.5 - self._pivot_px[0] * scale, rows + 0.5 - self._pivot_px[1] * scale
        gx, gy = gradient_x[:, rows, columns], gradient_y[:, rows, columns]
        unit = SHAPE_UNIT * size
        by = [gy * x - gx * y] if self._moves == "rigid" else [g * along / unit for g in (gx, gy) for along in (x, y)]
        jacobian = np.stack([gx, gy, *by], axis=-1)
        return _Level(scale, np.stack([x, y], axis=-1), small[:, rows, columns], jacobian, unit)

    def fit(self, channels: np.ndarray, start: np.ndarray, first: int = 0, last: int | None = None) -> tuple[
        np.ndarray, float
    ]:  # fmt: skip
        """The motion (2, 3) that takes the region to another picture, and what is left of the error.

        Args:
            channels: (C, S, S) of the other picture.
            start: (2, 3) a guess.
            first, last: which of the sizes to fit at, as in a slice; all of them unless said.
        """
        turn, shift = start[:, :2].copy(), start[:, 2].copy()
        cost = np.inf
        for level in self._levels[first:last]:
            image = _shrink(channels, level.scale)
            shift *= level.scale
            for _ in range(ITERATIONS):
                x, y = (level.points @ turn.T + shift + self._pivot_px * level.scale).T
                sampled, inside = _sample(image, x - 0.5, y - 0.5)
                error = sampled - level.template
                size = np.abs(error)
                weight = np.where(size > HUBER, HUBER / np.maximum(size, 1e-9), 1.0) * inside
                cost = float((weight * error**2).sum() / max(1.0, inside.sum()))
                step = _solve(level.jacobian, weight, error)
                # Inverse composition: undo the template's step before the motion found so far.
                turn = turn @ np.linalg.inv(self._step_matrix(step, level.unit_px))
                shift -= turn @ step[:2]
                if np.abs(step[:2]).max() < 0.01 and np.abs(step[2:]).max() < self._small:
                    break
            shift /= level.scale
        return np.column_stack([turn, shift]), cost

    @property
    def _small(self) -> float:
        return 1e-4 if self._moves == "rigid" else 0.01  # rad; px at a unit's distance

    def _step_matrix(self, step: np.ndarray, unit_px: float) -> np.ndarray:
        if self._moves == "rigid":
            return rigid_motion_matrix(np.array([0.0, 0.0, step[2]]))[:, :2]
        return np.eye(2) + step[2:].reshape(2, 2) / unit_px


def _solve(jacobian: np.ndarray, weight: np.ndarray, error: np.ndarray) -> np.ndarray:
    weighted = jacobian * weight[..., None]
    hessian = np.einsum("cpi,cpj->ij", weighted, jacobian)
    gradient = np.einsum("cpi,cp->i", weighted, error)
    count = len(hessian)
    mean = np.trace(hessian) / count
    held = np.full(count, 1e-6 * mean + 1e-9)
    if count > 3:
        held[2:] += SHAPE_HELD * mean
    return np.linalg.solve(hessian + np.diag(held), gradient)


def rigid_motion_matrix(motion: np.ndarray) -> np.ndarray:
    """(2, 3) matrix of dx_px, dy_px, angle_rad (3,)."""
    cos, sin = np.cos(motion[2]), np.sin(motion[2])
    return np.array([[cos, -sin, motion[0]], [sin, cos, motion[1]]])


def rigid_motion_of(matrix: np.ndarray) -> np.ndarray:
    """(3,) dx_px, dy_px, angle_rad of a rigid motion (2, 3)."""
    return np.array([matrix[0, 2], matrix[1, 2], np.arctan2(matrix[1, 0], matrix[0, 0])])


def stretch_of(matrix: np.ndarray) -> np.ndarray:
    """(3,) stretch along x, along y, and shear of a motion (2, 3): P - 1 of A = R P with R a turn, P symmetric."""
    _, sizes, axes = np.linalg.svd(matrix[:, :2])
    stretch = axes.T @ np.diag(sizes) @ axes
    return np.array([stretch[0, 0] - 1, stretch[1, 1] - 1, stretch[0, 1]])


def stretched(matrix: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """A rigid motion (2, 3) after a stretch (3,)."""
    along_x, along_y, shear = stretch
    return np.column_stack([matrix[:, :2] @ [[1 + along_x, shear], [shear, 1 + along_y]], matrix[:, 2]])


def channels_of(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """(2, S, S) float32 of a picture (S, S, 3) uint8 with its matte (S, S) uint8.

    Brightness freed of the lamp, within the person, and the silhouette.
    """
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
    at_x, at_y = _in_rows(x), _in_rows(y)
    values = [cv2.remap(c, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for c in image]
    return np.stack([v.ravel()[: len(x)] for v in values]), inside.astype(np.float32)


def _in_rows(values: np.ndarray) -> np.ndarray:
    """(R, ROW) float32 of values (P,), filled up with zeros: OpenCV takes no more than 32766 in a row."""
    filled = np.zeros(-(-len(values) // ROW) * ROW, np.float32)
    filled[: len(values)] = values
    return filled.reshape(-1, ROW)
