"""One head pose as six numbers, against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gstalker.runtime.infer_pose import fill_head_pose
from gstalker.runtime.poses import head_pose_vector


def pose_of(rotation_vector: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(rotation_vector).as_matrix()
    pose[:3, 3] = [0.01, -0.02, 0.03]
    return pose


@pytest.mark.parametrize("angle_rad", [0.0, 1e-12, 1e-8, 1e-4, 0.2, 1.5, 2.5, 3.0, 3.14])
def test_any_turn_about_any_axis_is_the_same_as_scipys(angle_rad: float):
    """float64 matrices: entries err by 1e-16, and near half a turn the angle by the square root of that at most."""
    rng, out = np.random.default_rng(5), np.empty(6)
    axes = np.concatenate([np.eye(3), -np.eye(3), rng.normal(size=(40, 3))])
    for axis in axes / np.linalg.norm(axes, axis=1, keepdims=True):
        pose = pose_of(angle_rad * axis)
        fill_head_pose(pose, out)
        np.testing.assert_allclose(out, head_pose_vector(pose), atol=1e-12)


def test_the_float32_poses_of_a_bundle_will_do():
    out = np.empty(6, np.float32)
    pose = pose_of(np.array([0.1, -0.2, 0.05])).astype(np.float32)
    fill_head_pose(pose, out)
    np.testing.assert_allclose(out, head_pose_vector(pose), atol=1e-6)
