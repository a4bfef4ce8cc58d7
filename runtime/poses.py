"""Poses shared by training, evaluation and inference: the torso's rigid motion in the picture plane."""

from __future__ import annotations

import numpy as np


def camera_from_torso(
    torso_motion: np.ndarray, pivot_px: tuple[float, float], depth_m: float, focal_px: float, size_px: int
) -> np.ndarray:
    """The torso's rigid pose that draws the tracked motion.

    Torso space has camera axes; its origin is where the pivot's ray meets the plane z = depth_m. At the
    reference frame (motion zero) the transform is a pure translation to that point.

    Args:
        torso_motion: (..., 3) dx_px, dy_px, angle_rad (`runtime.dataset.Tracks`).
        pivot_px: the point the turn is about, in the reference frame.
        depth_m: distance of the torso plane.
        focal_px, size_px: the dataset's camera.

    Returns:
        (..., 4, 4) float64 camera_from_torso, metres.
    """
    motion = np.asarray(torso_motion, np.float64)
    metres_per_px = depth_m / focal_px
    cos, sin = np.cos(motion[..., 2]), np.sin(motion[..., 2])
    pose = np.zeros((*motion.shape[:-1], 4, 4))
    pose[..., 0, 0], pose[..., 0, 1] = cos, -sin
    pose[..., 1, 0], pose[..., 1, 1] = sin, cos
    pose[..., 2, 2] = pose[..., 3, 3] = 1.0
    pose[..., 0, 3] = (pivot_px[0] - size_px / 2 + motion[..., 0]) * metres_per_px
    pose[..., 1, 3] = (pivot_px[1] - size_px / 2 + motion[..., 1]) * metres_per_px
    pose[..., 2, 3] = depth_m
    return pose
