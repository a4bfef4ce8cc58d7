"""The camera of this project as Unity would have it: the matrices that a game engine hands to the shaders."""

from __future__ import annotations

import numpy as np
from helpers.unity_shaders.avatar import Eye

from gstalker.kernels.camera import Camera

NEAR_M, FAR_M = 0.3, 1000.0  # Unity's defaults
WORLD_FROM_OPENCV = np.diag([1.0, -1.0, 1.0, 1.0])
"""Unity's world for an object at its origin: avatar space with y up (docs/conventions.md)."""


def unity_eye(camera: Camera, near_m: float = NEAR_M, far_m: float = FAR_M, *, flipped: bool = False) -> Eye:
    """What Unity says of a camera that sees the world as `camera` sees avatar space.

    Args:
        flipped: as for a picture kept upside down, which Unity does in render textures on most platforms.
    """
    # Camera.worldToCameraMatrix looks down -z with y up, as OpenGL does: y and z of OpenCV's camera change sign.
    view_from_world = np.diag([1.0, -1.0, -1.0, 1.0]) @ camera.viewmat @ WORLD_FROM_OPENCV
    # Matrix4x4.Frustum by the frustum's sides at depth 1; u grows to the right, v down.
    left, right = -camera.K[0, 2] / camera.K[0, 0], (camera.width_px - camera.K[0, 2]) / camera.K[0, 0]
    top, bottom = camera.K[1, 2] / camera.K[1, 1], -(camera.height_px - camera.K[1, 2]) / camera.K[1, 1]
    clip_from_view = np.array(
        [
            [2 / (right - left), 0, (right + left) / (right - left), 0],
            [0, 2 / (top - bottom), (top + bottom) / (top - bottom), 0],
            [0, 0, near_m / (far_m - near_m), near_m * far_m / (far_m - near_m)],  # reversed: 1 near, 0 far
            [0, 0, -1, 0],
        ]
    )
    if flipped:
        clip_from_view[1] *= -1
    return Eye(view_from_world, clip_from_view)
