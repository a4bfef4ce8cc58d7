from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.splat_scenes import plain_camera, random_cloud
from scipy.spatial.transform import Rotation

from gstalker.kernels import reference
from gstalker.kernels.camera import Camera
from gstalker.kernels.gaussians import concatenate, multiply_quats_wxyz


def turn(seed: int) -> np.ndarray:
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_quat(np.random.default_rng(seed).normal(size=4)).as_matrix()
    transform[:3, 3] = [0.1, -0.2, 0.3]
    return transform


def test_moving_the_cloud_and_the_camera_together_changes_no_picture():
    """Tolerance: the moved cloud is rounded to float32 once more."""
    camera, move = plain_camera(), turn(1)
    cloud = random_cloud(80, camera, seed=1)
    moved_camera = Camera(camera.viewmat @ np.linalg.inv(move), camera.K, 32, 32)
    before = reference.render(cloud, camera, np.zeros(3)).rgb
    after = reference.render(cloud.transformed(move), moved_camera, np.zeros(3)).rgb
    assert np.abs(after - before).max() < 1e-4
    assert np.abs(reference.render(cloud.transformed(move), camera, np.zeros(3)).rgb - before).max() > 0.1


def test_colors_of_degree_1_do_not_pretend_to_turn():
    cloud = random_cloud(3, plain_camera(), seed=0, sh_degree=1)
    with pytest.raises(ValueError, match=r"Gaussians.transformed: colour of degree 1 cannot be moved rigidly"):
        cloud.transformed(np.eye(4))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_the_degree_is_read_from_the_coefficients(degree: int):
    assert random_cloud(3, plain_camera(), seed=0, sh_degree=degree).sh_degree == degree


@pytest.mark.parametrize("field", ["quats_wxyz", "scales", "opacities"])
def test_arrays_of_other_shapes_are_refused(field: str):
    cloud = random_cloud(3, plain_camera(), seed=0)
    with pytest.raises(ValueError, match=rf"Gaussians.{field}: expected shape .* for 3 Gaussians"):
        dataclasses.replace(cloud, **{field: getattr(cloud, field)[:2]})


def test_five_color_bands_are_refused():
    cloud = random_cloud(3, plain_camera(), seed=0)
    with pytest.raises(ValueError, match=r"Gaussians.sh_coeffs: expected shape \(3, K, 3\) with K in 1, 4, 9, 16"):
        dataclasses.replace(cloud, sh_coeffs=np.zeros((3, 5, 3), np.float32))


def test_concatenating_keeps_the_order():
    clouds = [random_cloud(count, plain_camera(), seed=count) for count in (2, 0, 3)]
    joined = concatenate(clouds)
    assert len(joined) == 5
    np.testing.assert_array_equal(joined.means[2:], clouds[2].means)
    np.testing.assert_array_equal(joined.sh_coeffs[:2], clouds[0].sh_coeffs)


def test_the_quaternion_product_turns_by_the_right_one_first():
    a, b = (Rotation.from_quat(np.random.default_rng(k).normal(size=(20, 4))) for k in (0, 1))
    product = multiply_quats_wxyz(np.roll(a.as_quat(), 1, axis=1), np.roll(b.as_quat(), 1, axis=1))
    got = Rotation.from_quat(np.roll(product, -1, axis=1))
    assert (got * (a * b).inv()).magnitude().max() < 1e-7
