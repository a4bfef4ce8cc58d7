"""Poses shared by training, evaluation and export: avatar space, head pose as numbers, the torso's rigid motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from gstalker.runtime.dataset import Dataset, DatasetManifest


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


def torso_camera_poses(manifest: DatasetManifest, torso_motion: np.ndarray) -> np.ndarray:
    """(T, 4, 4) float64 camera_from_torso of tracked motion (T, 3)."""
    return camera_from_torso(
        torso_motion, manifest.torso_pivot_px, manifest.torso_depth_m, manifest.focal_px, manifest.size_px
    )


def torso_rigid_motion(manifest: DatasetManifest, torso_motion: np.ndarray) -> np.ndarray:
    """(T, 3) float64 dx_m, dy_m, angle_rad of tracked motion (T, 3) dx_px, dy_px, angle_rad."""
    metres_per_px = manifest.torso_depth_m / manifest.focal_px
    return torso_motion * [metres_per_px, metres_per_px, 1]


@dataclass(frozen=True)
class AvatarSpace:
    """Where avatar space lies: a fixed translation in front of the camera (docs/conventions.md)."""

    camera_from_avatar: np.ndarray  # (4, 4) float64
    torso_origin_avatar_m: np.ndarray  # (3,) the torso's place at the reference frame


def avatar_space(dataset: Dataset) -> AvatarSpace:
    """Put the origin at the mean head position over the training clips."""
    places = [dataset.tracks(c.name).camera_from_head[:, :3, 3] for c in dataset.clips("train")]
    camera_from_avatar = np.eye(4)
    camera_from_avatar[:3, 3] = np.concatenate(places).mean(axis=0)
    m = dataset.manifest
    still = camera_from_torso(np.zeros(3), m.torso_pivot_px, m.torso_depth_m, m.focal_px, m.size_px)
    return AvatarSpace(camera_from_avatar, still[:3, 3] - camera_from_avatar[:3, 3])


def head_pose_vector(avatar_from_head: np.ndarray) -> np.ndarray:
    """(..., 4, 4) -> (..., 6) rotation vector (rad) and translation (m)."""
    flat = np.asarray(avatar_from_head, np.float64).reshape(-1, 4, 4)
    turns = Rotation.from_matrix(flat[:, :3, :3]).as_rotvec()
    vectors = np.concatenate([turns, flat[:, :3, 3]], axis=1)
    return vectors.reshape(*np.shape(avatar_from_head)[:-2], 6)
