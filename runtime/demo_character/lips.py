"""The mouth's rings: skin around the lips, the rolled lips themselves, and the dark pouch behind them.

Rings run from the outermost skin ring inwards; each has COLUMNS vertices, starting at the corner on picture left,
along the lower lip to the other corner and back along the upper lip, which is the order in which MediaPipe
numbers its lip contours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.runtime.demo_character.controls import MouthControls
from gstalker.runtime.demo_character.sculpt import JAW_HINGE_CM, MOUTH_Y_CM, front_surface, head_distance

COLUMNS = 80
HALF = COLUMNS // 2
BORDER, CONTACT = 4, 8  # rings: edge of the red of the lips, and the line where they meet
RINGS = 13
OUTER_HALF_WIDTH_CM, INNER_HALF_WIDTH_CM = 2.40, 2.12
JAW_FULL_RAD, JAW_GLIDE_CM = 0.30, 1.0  # turn and forward slide of the jaw at jaw_open = 1
CORNER_JAW_SHARE = 0.42  # how far the corners follow the jaw


def column_positions() -> tuple[np.ndarray, np.ndarray]:
    """t (COLUMNS,) from -1 at the left corner to 1 at the right, and side: +1 lower lip, -1 upper lip."""
    i = np.arange(COLUMNS)
    share = np.where(i <= HALF, i, COLUMNS - i) / HALF
    t = 0.5 * (-np.cos(np.pi * share)) + 0.5 * (2 * share - 1)
    return t, np.where((i > 0) & (i < HALF), 1.0, np.where(i > HALF, -1.0, 0.0))


def jaw_rotation(angle_rad: float | np.ndarray) -> np.ndarray:
    """(3, 3) turn about x that brings the chin down and back."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])


def jaw_moved(points: np.ndarray, weight: np.ndarray, jaw_open: float) -> np.ndarray:
    """Points (..., 3) carried along by the jaw by their weight (...)."""
    turned = (points - JAW_HINGE_CM) @ jaw_rotation(jaw_open * JAW_FULL_RAD).T + JAW_HINGE_CM
    turned[..., 2] -= JAW_GLIDE_CM * jaw_open
    return points + weight[..., None] * (turned - points)


def skin_jaw_weight(points: np.ndarray) -> np.ndarray:
    """(...) how far the skin follows the jaw: 0 above the mouth corners and on the neck, 1 at the chin."""
    d = points - JAW_HINGE_CM
    below = np.arctan2(d[..., 1], np.maximum(-d[..., 2], 1e-3))
    low = _smooth((below - 0.33) / 0.42)
    front = _smooth((-points[..., 2] - 0.2) / 5.0)
    throat = _smooth((14.0 - points[..., 1]) / 4.0)
    return low * front * throat


def _smooth(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


@dataclass(frozen=True)
class Lips:
    """Rest shape and how it answers the controls.

    Attributes:
        rest_cm: (RINGS, COLUMNS, 3).
        jaw_weight: (RINGS, COLUMNS).
        t, side: (COLUMNS,) `column_positions`.
    """

    rest_cm: np.ndarray
    jaw_weight: np.ndarray
    t: np.ndarray
    side: np.ndarray

    def deformed(self, mouth: MouthControls) -> np.ndarray:
        """(RINGS, COLUMNS, 3) cm in sculpt space."""
        rings = jaw_moved(self.rest_cm, self.jaw_weight, mouth.jaw_open)
        rings = rings + self._offsets(mouth)
        gap = rings[CONTACT] - rings[CONTACT][_opposite()]  # points from the other lip to this one
        share = np.where(self.side > 0, 0.62, 0.38)[:, None] * mouth.seal
        rings = rings - FOLLOW[:, None, None] * share * gap
        return self._kept_apart(rings)

    def _offsets(self, m: MouthControls) -> np.ndarray:
        t, side = self.t, self.side
        lower, upper = (side > 0).astype(float), (side < 0).astype(float)
        middle = np.sqrt(np.maximum(1 - t * t, 0.0))
        x = -0.95 * m.pucker * t * (1 - 0.25 * t * t) - 0.60 * m.funnel * t
        x = x + (0.50 * m.wide + 0.42 * m.smile) * np.sign(t) * np.abs(t) ** 1.3
        y = -0.42 * m.upper_raise * upper * middle**1.3 + 0.42 * m.lower_drop * lower * middle**1.3
        y = y + 0.28 * m.funnel * side * middle - 0.42 * m.smile * np.abs(t) ** 2.2
        y = y - (0.05 * m.tuck * upper * middle) + 0.05 * m.press * np.abs(t) ** 2
        z = -(0.45 * m.pucker + 0.42 * m.funnel) * (0.35 + 0.65 * middle)
        z = z + (0.30 * m.wide + 0.25 * m.smile) * t * t
        move = FOLLOW[:, None, None] * np.stack([x, y, z], axis=-1)
        # Thickness: the red of the lips grows with pucker and is rolled in when pressed or spread.
        depth = self.rest_cm[:, :, 1] - self.rest_cm[CONTACT, :, 1]
        grow = 0.16 * m.pucker + 0.10 * m.funnel - 0.42 * m.press - 0.14 * m.wide
        red = RED[:, None]
        move[:, :, 1] += red * depth * grow
        move[:, :, 2] += red * middle * (0.14 * m.press - 0.10 * m.pucker)
        # f and v: the lower lip folds back and up under the upper teeth.
        roll = TUCK[:, None] * lower * middle**0.7 * m.tuck
        move[:, :, 1] -= 0.20 * roll
        move[:, :, 2] += 0.55 * roll
        return move

    def _kept_apart(self, rings: np.ndarray) -> np.ndarray:
        """Lips never pass through each other: where the lower one is above the upper, both meet half-way."""
        contact_y = rings[CONTACT, :, 1]
        overlap = np.maximum(-(contact_y - contact_y[_opposite()]) * self.side, 0.0)
        rings[:, :, 1] += FOLLOW[:, None] * 0.5 * overlap * self.side
        return rings


def _opposite() -> np.ndarray:
    """Index of the column above or below each column."""
    return (COLUMNS - np.arange(COLUMNS)) % COLUMNS


# By ring: how far it follows a motion of the lips, how much of the red's thickness it has, and the fold of f.
FOLLOW = np.array([0.22, 0.45, 0.75, 0.97, 1, 1, 1, 1, 1, 1, 1, 0.6, 0.2])
RED = np.array([0.1, 0.3, 0.7, 0.95, 1, 1, 1, 1, 0, 0, 0, 0, 0])
TUCK = np.array([0, 0.04, 0.15, 0.3, 0.35, 0.55, 0.8, 1, 1, 1, 1, 0.3, 0])


def contours(t: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frontal (COLUMNS, 2) of the outermost skin ring, the edge of the red, and the contact line, at rest."""
    middle = np.sqrt(np.maximum(1 - t * t, 0.0))
    bow = 0.12 * np.exp(-((t / 0.14) ** 2))
    upper = -0.74 * (1 - np.abs(t) ** 1.7) ** 0.95 + bow * (np.abs(t) < 0.6)
    lower = 0.95 * middle**1.5
    line = 0.07 * np.exp(-((t / 0.22) ** 2)) - 0.03 * np.exp(-(((np.abs(t) - 0.5) / 0.2) ** 2)) - 0.13 * t * t
    red = np.where(side > 0, lower, np.where(side < 0, upper, 0.0)) - 0.13 * t * t
    skin = np.where(side > 0, 1.75 * middle, np.where(side < 0, -1.42 * middle, 0.0))
    return (
        np.stack([3.45 * t, MOUTH_Y_CM + skin], axis=-1),
        np.stack([OUTER_HALF_WIDTH_CM * t, MOUTH_Y_CM + red], axis=-1),
        np.stack([INNER_HALF_WIDTH_CM * t, MOUTH_Y_CM + line], axis=-1),
    )


def build_lips() -> Lips:
    """The closed mouth at rest."""
    t, side = column_positions()
    skin, border, contact = contours(t, side)
    middle = np.sqrt(np.maximum(1 - t * t, 0.0))
    rest = np.zeros((RINGS, COLUMNS, 3))
    frontal = [skin, skin * 0.52 + border * 0.48, skin * 0.24 + border * 0.76, skin * 0.06 + border * 0.94]
    frontal += [border * (1 - f) + contact * f for f in (0.0, 0.30, 0.62, 0.88, 1.0)]
    forward_upper = (0, 0, 0.02, 0.05, 0.07, 0.24, 0.34, 0.24, -0.06)
    forward_lower = (0, 0, -0.03, 0.0, 0.06, 0.28, 0.42, 0.32, -0.06)
    for ring, xy in enumerate(frontal):
        surface = front_surface(head_distance, xy)
        forward = np.where(side > 0, forward_lower[ring], forward_upper[ring])
        rest[ring] = surface
        rest[ring, :, 2] -= forward * (0.12 + 0.88 * middle) if ring >= 2 else 0.0
    both = 0.5 * (rest[CONTACT] + rest[CONTACT][_opposite()])
    rest[CONTACT] = both  # the lips touch at rest
    inside = ((0.30, 0.06, 0.98), (0.62, 0.32, 0.96), (1.1, 1.25, 0.98), (4.9, 1.1, 0.7))
    for ring, (back, spread, narrow) in enumerate(inside, start=CONTACT + 1):
        rest[ring] = both
        rest[ring, :, 0] *= narrow
        rest[ring, :, 1] += side * spread * middle
        rest[ring, :, 2] += back
    lip = np.where(
        side > 0,
        CORNER_JAW_SHARE + (1 - CORNER_JAW_SHARE) * (1 - np.abs(t) ** 2.4),
        CORNER_JAW_SHARE * np.abs(t) ** 3.0,
    )
    blend = np.array([0.1, 0.45, 0.8, 0.97] + [1.0] * (RINGS - 4))[:, None]
    jaw_weight = blend * lip + (1 - blend) * skin_jaw_weight(rest)
    return Lips(rest_cm=rest, jaw_weight=jaw_weight, t=t, side=side)
