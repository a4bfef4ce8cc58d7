from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gstalker.kernels.camera import (
    Camera,
    intrinsics,
    project_points,
    rigid_inverse,
    rigid_rotation_quat_wxyz,
    rotation_from_quat_wxyz,
)


def random_rotations(count: int, seed: int) -> Rotation:
    return Rotation.from_quat(np.random.default_rng(seed).normal(size=(count, 4)))


def test_a_point_straight_ahead_falls_on_the_middle():
    camera = Camera(np.eye(4), intrinsics(100.0, 64, 48), 64, 48)
    np.testing.assert_allclose(project_points(np.array([0.0, 0.0, 2.0]), camera), [32, 24])


def test_right_is_right_and_down_is_down():
    """At 2 m and a focal length of 100 px, 0.1 m is 5 px."""
    camera = Camera(np.eye(4), intrinsics(100.0, 64, 48), 64, 48)
    np.testing.assert_allclose(project_points(np.array([[0.1, 0.2, 2.0]]), camera), [[37, 34]])


def test_the_view_matrix_takes_the_world_to_the_camera():
    """A camera 1 m to the right of the origin sees the origin on its left."""
    viewmat = np.eye(4)
    viewmat[0, 3] = -1
    camera = Camera(viewmat, intrinsics(100.0, 64, 48), 64, 48)
    assert project_points(np.array([0.0, 0.0, 10.0]), camera)[0] == pytest.approx(32 - 10)


def test_the_inverse_of_rigid_transforms_undoes_them():
    transforms = np.tile(np.eye(4), (20, 1, 1))
    transforms[:, :3, :3] = random_rotations(20, 0).as_matrix()
    transforms[:, :3, 3] = np.random.default_rng(1).normal(size=(20, 3))
    np.testing.assert_allclose(rigid_inverse(transforms) @ transforms, np.tile(np.eye(4), (20, 1, 1)), atol=1e-14)


def test_quaternions_of_rotations_are_scipys_with_w_first():
    """Half turns, where w vanishes and naive formulas divide by it, among them."""
    rotations = Rotation.concatenate(
        [random_rotations(50, 2), Rotation.from_rotvec(np.pi * np.eye(3)), Rotation.identity(1)]
    )
    quats = rigid_rotation_quat_wxyz(rotations.as_matrix())
    assert (quats[:, 0] >= 0).all()
    back = Rotation.from_quat(np.roll(quats, -1, axis=1))
    assert (back * rotations.inv()).magnitude().max() < 1e-7


def test_rotations_of_quaternions_are_scipys_at_any_length():
    rotations = random_rotations(50, 3)
    quats_wxyz = np.roll(rotations.as_quat(), 1, axis=1) * np.linspace(0.1, 9, 50)[:, None]
    np.testing.assert_allclose(rotation_from_quat_wxyz(quats_wxyz), rotations.as_matrix(), atol=1e-14)


def test_a_camera_of_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"Camera: expected viewmat \(4, 4\) and K \(3, 3\), got \(3, 4\)"):
        Camera(np.eye(4)[:3], np.eye(3), 8, 8)
    with pytest.raises(ValueError, match="Camera: expected a picture of at least 1 x 1 px, got 8 x 0"):
        Camera(np.eye(4), np.eye(3), 8, 0)
