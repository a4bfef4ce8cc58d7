"""What moves the character: mouth, eyes and brows by name, head and torso by pose."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np


@dataclass(frozen=True)
class MouthControls:
    """All 0 at rest, 1 at full strength."""

    jaw_open: float = 0.0
    wide: float = 0.0  # corners pulled apart
    pucker: float = 0.0  # corners drawn together, lips pushed forward
    funnel: float = 0.0  # lips flared open
    press: float = 0.0  # lips rolled in and flattened
    seal: float = 0.0  # 1 closes the lips whatever the jaw does
    tuck: float = 0.0  # lower lip under the upper teeth
    upper_raise: float = 0.0
    lower_drop: float = 0.0
    smile: float = 0.0
    tongue_up: float = 0.0  # tip towards the upper teeth

    def as_vector(self) -> np.ndarray:
        """(11,) float64 in the order of the fields."""
        return np.array([getattr(self, f.name) for f in fields(self)])

    @staticmethod
    def from_vector(values: np.ndarray) -> MouthControls:
        """The inverse of `as_vector`."""
        return MouthControls(*(float(v) for v in values))


MOUTH_CONTROLS = tuple(f.name for f in fields(MouthControls))


@dataclass(frozen=True)
class FaceControls:
    """Eyes and brows, as (picture left eye, picture right eye) = (the person's right, left)."""

    blink: tuple[float, float] = (0.0, 0.0)
    squint: tuple[float, float] = (0.0, 0.0)
    brow_inner_up: float = 0.0
    brow_outer_up: tuple[float, float] = (0.0, 0.0)
    brow_down: tuple[float, float] = (0.0, 0.0)
    gaze_rad: tuple[float, float] = (0.0, 0.0)  # towards picture right, downwards


@dataclass(frozen=True)
class CharacterPose:
    """Everything a picture of the character depends on, besides the camera.

    Attributes:
        camera_from_head: (4, 4) rigid, metres.
        camera_from_torso: (4, 4) rigid, metres (`runtime.poses.camera_from_torso`).
    """

    camera_from_head: np.ndarray
    camera_from_torso: np.ndarray
    mouth: MouthControls = field(default_factory=MouthControls)
    face: FaceControls = field(default_factory=FaceControls)
