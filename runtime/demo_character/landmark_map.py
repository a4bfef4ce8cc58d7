"""Which point of the character is which of MediaPipe's 478 face landmarks."""

from __future__ import annotations

import numpy as np

from gstalker.runtime import landmarks
from gstalker.runtime.demo_character import eyelids, features, lips
from gstalker.runtime.demo_character.face_mesh import CHART_CENTRE_CM, FaceMesh
from gstalker.runtime.demo_character.mesh import chart_of
from gstalker.runtime.demo_character.sculpt import front_surface
from gstalker.runtime.demo_character.textures import brow_half_width, brow_line

COUNT = 478

# Chart points (u, v) of landmarks on free skin: the midline, and picture left whose mirror is picture right.
# Where MediaPipe's landmarker sees them on this character, averaged over 18 views (within 0.8 to 2 px of it at
# 256 x 256; 4 px at the jaw angle, which slides with the view); `test_landmark_map` keeps watch.
_MIDLINE_V = {
    1: 0.156, 2: 0.236, 4: 0.090, 5: 0.005, 6: -0.245, 8: -0.488, 9: -0.577, 10: -0.817, 151: -0.698,
    152: 0.871, 168: -0.364, 195: -0.071, 197: -0.149,
}  # fmt: skip
_SIDE_UV = {
    21: (-0.852, -0.758), 54: (-0.680, -0.804), 58: (-1.191, 0.693), 67: (-0.345, -0.836), 93: (-1.255, -0.007),
    98: (-0.183, 0.227), 103: (-0.521, -0.833), 109: (-0.176, -0.824), 127: (-1.182, -0.538),
    132: (-1.192, 0.296), 136: (-0.702, 0.896), 148: (-0.127, 0.879), 149: (-0.360, 0.891),
    150: (-0.492, 0.906), 162: (-1.019, -0.686), 172: (-0.927, 0.842), 176: (-0.242, 0.883),
    234: (-1.248, -0.279),
}  # fmt: skip
_BROW_X_CM = (5.0, 4.5, 3.8, 2.75, 1.35)  # outer to inner; the first five landmarks follow the lower edge


def mirror_landmark() -> dict[int, int]:
    """The landmark on the other side of the face, for those of `_SIDE_UV`."""
    oval = landmarks.FACE_OVAL
    pairs = {oval[i]: oval[-i % len(oval)] for i in range(len(oval))}
    return {**pairs, 98: 327}


def anchor_chart() -> dict[int, tuple[float, float]]:
    """Chart points (u, v) of the landmarks that lie on free skin."""
    chart = {index: (0.0, v) for index, v in _MIDLINE_V.items()}
    for index, (u, v) in _SIDE_UV.items():
        chart[index] = (u, v)
        chart[mirror_landmark()[index]] = (-u, v)
    for side, group in ((-1.0, landmarks.RIGHT_BROW), (1.0, landmarks.LEFT_BROW)):
        for i, index in enumerate(group):
            x = _BROW_X_CM[i % 5]
            edge = 0.75 * brow_half_width(x) * (1.0 if i < 5 else -1.0)
            point = front_surface(eyelids.lid_and_skin, np.array([side * x, brow_line(x) + edge]))
            u, v = chart_of(point, CHART_CENTRE_CM)
            chart[index] = (float(u), float(v))
    return chart


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
