"""Which point of the character is which of MediaPipe's 478 face landmarks."""

from __future__ import annotations

import numpy as np

from gstalker.runtime import landmarks
from gstalker.runtime.demo_character import eyelids, features, lips
from gstalker.runtime.demo_character.face_mesh import FaceMesh

COUNT = 478


def anchor_chart() -> dict[int, tuple[float, float]]:
    """Chart points (u, v) of the landmarks that lie on free skin."""
    return {}


def landmark_vertices(face: FaceMesh, left_eye_start: int, right_eye_start: int) -> np.ndarray:
    """(478,) int64 vertex of each landmark, -1 for those without one.

    Args:
        face: its vertices come first in the character.
        left_eye_start, right_eye_start: first vertex of the eyeball on picture left and right.
    """
    vertex = np.full(COUNT, -1, np.int64)
    every = lips.COLUMNS // len(landmarks.LIPS_OUTER)
    for i, index in enumerate(landmarks.LIPS_OUTER):
        vertex[index] = face.lip_vertex(lips.BORDER, i * every)
    for i, index in enumerate(landmarks.LIPS_INNER):
        vertex[index] = face.lip_vertex(lips.CONTACT, i * every)
    every = eyelids.COLUMNS // len(landmarks.LEFT_EYE)
    for eye, group in enumerate((landmarks.RIGHT_EYE, landmarks.LEFT_EYE)):  # the person's right is picture left
        for i, index in enumerate(group):
            vertex[index] = face.lid_vertex(eye, eyelids.MARGIN, i * every)
    for start, group in ((left_eye_start, landmarks.RIGHT_IRIS), (right_eye_start, landmarks.LEFT_IRIS)):
        for index, at in zip(group, features.iris_vertices(), strict=True):
            vertex[index] = start + at
    for index, at in face.anchors.items():
        vertex[index] = at
    return vertex
