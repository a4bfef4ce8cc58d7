"""A face as some tracker sees it now, whatever program or phone it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

# What the head turns about, seen from its origin: trackers send turns alone, and a head that turned about its middle
# would slide on its neck. Height and depth of the uppermost neck joint below and behind the middle of an adult face.
NECK_FROM_HEAD_M = np.array([0.0, 0.065, 0.055])


@dataclass(frozen=True, eq=False)
class FaceState:
    """One state of a live face.

    Attributes:
        weights: ARKit names in any case -> 0..1.
        rest_from_head: (4, 4) turn of the head from its rest pose, avatar axes; None where none was sent.
    """

    weights: dict[str, float]
    rest_from_head: np.ndarray | None


class FaceSource(Protocol):
    """Gives the newest state of a live face; runs in a thread of its own and never blocks."""

    @property
    def status(self) -> str:
        """One line: what it is and how it fares."""
        ...

    def read(self) -> FaceState | None:
        """The newest state since the last call, None where nothing came."""
        ...

    def close(self) -> None:
        """End it."""
        ...


def turned_about_the_neck(rotation: np.ndarray) -> np.ndarray:
    """(4, 4) rest_from_head of a turn (3, 3) in avatar axes about the top of the neck."""
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = NECK_FROM_HEAD_M - rotation @ NECK_FROM_HEAD_M
    return pose
