"""Eyelids: rings around each eye opening that slide over the eyeball's sphere, and lashes along their edge.

COLUMNS vertices a ring, from the outer corner along the lower lid to the inner corner and back along the upper
lid, as MediaPipe numbers its eye contours. Built for the eye on picture right (x > 0); the other is its mirror.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.runtime.demo_character.sculpt import (
    EYE_CENTRE_CM,
    EYE_RADIUS_CM,
    front_surface,
    head_distance,
    smooth_min,
)

COLUMNS = 48
HALF = COLUMNS // 2
# Rings from outside in: 0 orbit .. CREASE .. lid plate .. MARGIN (front edge of the lid) .. wet inner edge.
CREASE, MARGIN = 3, 7
RINGS = 9
OPEN_HALF_WIDTH_CM = 1.40
UPPER_CM, LOWER_CM = 0.57, 0.45  # opening above and below the line through the corners, straight gaze
LID_RADIUS_CM = EYE_RADIUS_CM + 0.10


def column_positions() -> tuple[np.ndarray, np.ndarray]:
    """t (COLUMNS,) from 1 at the outer corner to -1 at the inner; side: +1 lower lid, -1 upper."""
    i = np.arange(COLUMNS)
    share = np.where(i <= HALF, i, COLUMNS - i) / HALF
    t = 0.5 * np.cos(np.pi * share) + 0.5 * (1 - 2 * share)
    return t, np.where((i > 0) & (i < HALF), 1.0, np.where(i > HALF, -1.0, 0.0))


@dataclass(frozen=True)
class Eyelids:
    """One eye's lids (picture right).

    Attributes:
        rest_cm: (RINGS, COLUMNS, 3) eye open, straight gaze.
    """

    rest_cm: np.ndarray
    t: np.ndarray
    side: np.ndarray

    def deformed(self, blink: float, squint: float, gaze_down_rad: float) -> np.ndarray:
        """(RINGS, COLUMNS, 3) cm. The upper lid follows the gaze downwards and upwards."""
        rings = self.rest_cm.copy()
        frontal = rings[:, :, :2] - EYE_CENTRE_CM[:2]
        edge = frontal[MARGIN].copy()
        line = _corner_line(self.t)
        meet = line + 0.72 * (self._lower_edge() - line)
        upper = np.where(self.side < 0, 1.0, 0.0)
        lower = np.where(self.side > 0, 1.0, 0.0)
        middle = np.sqrt(np.maximum(1 - self.t**2, 0.0))
        edge[:, 1] += upper * middle * (0.55 * gaze_down_rad * EYE_RADIUS_CM + 0.16 * squint)
        edge[:, 1] += lower * middle * (0.20 * gaze_down_rad * EYE_RADIUS_CM - 0.22 * squint)
        closed = np.where(self.side == 0, edge[:, 1], meet)
        edge[:, 1] = edge[:, 1] * (1 - blink) + closed * blink
        for ring in range(CREASE + 1, RINGS):
            share = PLATE[ring]
            xy = frontal[CREASE] * (1 - share) + edge * share
            # The plate stays near the sphere where it is close to the edge, and near the crease's depth above it.
            radius = LID_RADIUS_CM + LIFT[ring]
            inside = np.maximum(radius**2 - (xy**2).sum(axis=-1), 0.02)
            z_sphere = -np.sqrt(inside)
            rings[ring, :, :2] = xy + EYE_CENTRE_CM[:2]
            rings[ring, :, 2] = z_sphere + EYE_CENTRE_CM[2]
        return rings

    def _lower_edge(self) -> np.ndarray:
        return _edge_y(self.t, np.ones_like(self.side))


PLATE = np.array([np.nan, np.nan, np.nan, 0.0, 0.30, 0.62, 0.86, 1.0, 1.0])
LIFT = np.array([0, 0, 0, 0, 0.05, 0.07, 0.08, 0.06, -0.09])


def _opposite() -> np.ndarray:
    return (COLUMNS - np.arange(COLUMNS)) % COLUMNS


def _corner_line(t: np.ndarray) -> np.ndarray:
    return 0.06 - 0.13 * t  # the outer corner sits higher


def _edge_y(t: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Frontal y of the lid's edge relative to the eye centre, eye open."""
    upper = -UPPER_CM * np.maximum(1 - np.abs(t + 0.12 * (1 - t * t)) ** 2.3, 0.0) ** 0.85
    lower = LOWER_CM * np.maximum(1 - np.abs(t - 0.15 * (1 - t * t)) ** 2.2, 0.0) ** 0.9
    return _corner_line(t) + np.where(side > 0, lower, np.where(side < 0, upper, 0.0))


def lid_and_skin(points: np.ndarray) -> np.ndarray:
    """Distance field of the face with the lids' bulge over the eyeballs."""
    p = np.array(points)
    p[..., 0] = np.abs(p[..., 0])
    ball = np.linalg.norm(p - EYE_CENTRE_CM, axis=-1) - (LID_RADIUS_CM + 0.02)
    return smooth_min(head_distance(points), ball, 0.9)


def build_eyelids() -> Eyelids:
    """The open eye on picture right."""
    t, side = column_positions()
    middle = np.sqrt(np.maximum(1 - t * t, 0.0))
    edge = np.stack([OPEN_HALF_WIDTH_CM * t, _edge_y(t, side)], axis=-1)
    outward = np.where(side < 0, -1.0, np.where(side > 0, 1.0, 0.0))
    crease = edge + np.stack([0.10 * t, outward * np.where(side < 0, 0.36, 0.24) * (0.25 + 0.75 * middle)], axis=-1)
    orbit = np.stack([2.05 * t, _corner_line(t) + outward * np.where(side < 0, 1.42, 1.20) * middle**0.9], axis=-1)
    rest = np.zeros((RINGS, COLUMNS, 3))
    for ring, share in enumerate((0.0, 0.42, 0.78, 1.0)):
        xy = orbit * (1 - share) + crease * share + EYE_CENTRE_CM[:2]
        rest[ring] = front_surface(lid_and_skin, xy)
    rest[CREASE, :, 2] += np.where(side < 0, 0.13, 0.03) * middle  # the fold lies deeper
    rest[CREASE - 1, :, 2] -= np.where(side < 0, 0.05, 0.0) * middle
    rest[MARGIN, :, :2] = edge + EYE_CENTRE_CM[:2]
    lids = Eyelids(rest_cm=rest, t=t, side=side)
    return Eyelids(rest_cm=lids.deformed(0.0, 0.0, 0.0), t=t, side=side)
