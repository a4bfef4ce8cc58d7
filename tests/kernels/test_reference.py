from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.splat_scenes import one_splat, plain_camera, random_cloud, tilted_camera
from scipy.spatial.transform import Rotation

from gstalker.kernels import reference
from gstalker.kernels.camera import Camera, project_points
from gstalker.kernels.gaussians import Gaussians, concatenate
from gstalker.kernels.sh import evaluate_sh

BLACK = np.zeros(3)


def test_one_splat_is_the_gaussian_worked_out_by_hand():
    """0.01 m at 1 m and focal length 100 px is sigma 1 px, 1.3 px^2 with the dilation; float64 throughout."""
    picture = reference.render(one_splat(), plain_camera(), BLACK)
    axis = np.arange(32) + 0.5 - 16
    q = (axis[None, :] ** 2 + axis[:, None] ** 2) / 1.3
    alpha = 0.5 * np.exp(-q / 2)
    alpha[alpha < 1 / 255] = 0
    # float32 inputs: 0.01 and the colour are only that exact.
    np.testing.assert_allclose(picture.alpha, alpha, atol=1e-7)
    np.testing.assert_allclose(picture.rgb, alpha[..., None] * [1.0, 0.5, 0.25], atol=1e-7)


def test_an_anisotropic_splat_turns_the_way_its_quaternion_says():
    """A needle along local x, turned by +30 degrees about z (from x to y, which points down), leans down right."""
    cloud = one_splat(scales_m=(0.05, 0.001, 0.001), opacity=0.9)
    x, y, z, w = Rotation.from_euler("z", 30, degrees=True).as_quat()
    cloud = dataclasses.replace(cloud, quats_wxyz=np.array([[w, x, y, z]], np.float32))
    alpha = reference.render(cloud, plain_camera(), BLACK).alpha
    rows, columns = np.nonzero(alpha > 0.3)
    slope = np.polyfit(columns, rows, 1)[0]
    assert slope == pytest.approx(np.tan(np.radians(30)), abs=0.05)


def test_the_brightest_pixel_is_where_the_point_projects():
    camera = tilted_camera(61, 47)
    mean = (0.05, 0.08, 0.9)
    alpha = reference.render(one_splat(mean_m=mean, opacity=0.8), camera, BLACK).alpha
    row, column = np.unravel_index(np.argmax(alpha), alpha.shape)
    np.testing.assert_allclose([column + 0.5, row + 0.5], project_points(np.array(mean), camera), atol=0.5 + 1e-6)


def test_an_independent_sum_over_all_pixels_gives_the_same_picture():
    """The rectangle around each splat leaves nothing out: a dense evaluation with scipy's rotations agrees."""
    camera = tilted_camera(40, 30)
    cloud = random_cloud(60, camera, seed=3, sigma_px=(0.8, 6), sh_degree=2)
    rgb, alpha = dense(cloud, camera, np.array([0.2, 0.3, 0.4]))
    picture = reference.render(cloud, camera, np.array([0.2, 0.3, 0.4]))
    np.testing.assert_allclose(picture.rgb, rgb, atol=1e-12)
    np.testing.assert_allclose(picture.alpha, alpha, atol=1e-12)


def dense(cloud: Gaussians, camera: Camera, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    w_px, h_px = camera.width_px, camera.height_px
    rotation, translation = camera.viewmat[:3, :3], camera.viewmat[:3, 3]
    points = cloud.means.astype(float) @ rotation.T + translation
    colors = np.maximum(evaluate_sh(cloud.sh_coeffs.astype(float), cloud.means + rotation.T @ translation), 0.0)
    pixel_y, pixel_x = np.mgrid[0:h_px, 0:w_px] + 0.5
    rgb, through = np.zeros((h_px, w_px, 3)), np.ones((h_px, w_px))
    done = np.zeros((h_px, w_px), bool)
    for i in np.argsort(points[:, 2], kind="stable"):
        x, y, z = points[i]
        tx = z * np.clip(x / z, -(cx + 0.15 * w_px) / fx, (w_px - cx + 0.15 * w_px) / fx)
        ty = z * np.clip(y / z, -(cy + 0.15 * h_px) / fy, (h_px - cy + 0.15 * h_px) / fy)
        jacobian = np.array([[fx / z, 0, -fx * tx / z**2], [0, fy / z, -fy * ty / z**2]])
        axes = Rotation.from_quat(np.roll(cloud.quats_wxyz[i].astype(float), -1)).as_matrix()
        sigma = axes @ np.diag(cloud.scales[i].astype(float) ** 2) @ axes.T
        covariance = jacobian @ rotation @ sigma @ rotation.T @ jacobian.T + 0.3 * np.eye(2)
        offset = np.stack([pixel_x - (fx * x / z + cx), pixel_y - (fy * y / z + cy)], axis=-1)
        q = np.einsum("hwi,ij,hwj->hw", offset, np.linalg.inv(covariance), offset)
        alpha = np.minimum(0.999, float(cloud.opacities[i]) * np.exp(-q / 2))
        alpha[alpha < 1 / 255] = 0
        done |= (alpha > 0) & (through * (1 - alpha) <= 1e-4)
        alpha[done] = 0
        rgb += (alpha * through)[..., None] * colors[i]
        through *= 1 - alpha
    return rgb + through[..., None] * background, 1 - through


def test_the_nearer_splat_covers_the_farther_whatever_their_order():
    near = one_splat(mean_m=(0, 0, 1), opacity=0.9, color=(1, 0, 0))
    far = one_splat(mean_m=(0, 0, 2), opacity=0.9, color=(0, 1, 0))
    there = reference.render(concatenate([near, far]), plain_camera(), BLACK)
    back = reference.render(concatenate([far, near]), plain_camera(), BLACK)
    np.testing.assert_array_equal(there.rgb, back.rgb)
    assert there.rgb[16, 16, 0] > 4 * there.rgb[16, 16, 1]


def test_at_equal_depth_the_first_in_the_list_is_in_front():
    red = one_splat(opacity=0.9, color=(1, 0, 0))
    green = one_splat(opacity=0.9, color=(0, 1, 0))
    rgb = reference.render(concatenate([red, green]), plain_camera(), BLACK).rgb
    assert rgb[16, 16, 0] > 2 * rgb[16, 16, 1]


def test_behind_the_near_plane_nothing_is_drawn():
    camera = plain_camera()
    assert reference.render(one_splat(mean_m=(0, 0, 0.0099)), camera, BLACK).alpha.max() == 0
    assert reference.render(one_splat(mean_m=(0, 0, -1)), camera, BLACK).alpha.max() == 0
    assert reference.render(one_splat(mean_m=(0, 0, 0.0101)), camera, BLACK).alpha.max() > 0


def test_a_stopped_pixel_leaves_out_the_splat_that_stopped_it_and_all_behind():
    """Alpha is at most 0.999, so a second opaque splat would leave 1e-6 < 1e-4 and is not drawn."""
    layers = [one_splat(mean_m=(0, 0, 1 + k), scales_m=(1, 1, 1), opacity=1.0) for k in range(2)]
    weak = one_splat(mean_m=(0, 0, 4), scales_m=(9, 9, 9), opacity=0.1)
    alpha = reference.render(concatenate([*layers, weak]), plain_camera(4, 4), BLACK).alpha
    np.testing.assert_allclose(alpha, 0.999, atol=1e-12)


def test_a_picture_shows_through_as_the_background():
    plate = np.random.default_rng(0).uniform(size=(32, 32, 3))
    picture = reference.render(one_splat(opacity=0.5), plain_camera(), plate)
    np.testing.assert_array_equal(picture.rgb[0], plate[0])
    expected = picture.alpha[16, 16] * np.array([1, 0.5, 0.25]) + (1 - picture.alpha[16, 16]) * plate[16, 16]
    np.testing.assert_allclose(picture.rgb[16, 16], expected, atol=1e-7)


@pytest.mark.parametrize("field", ["means", "quats_wxyz", "scales", "opacities", "sh_coeffs"])
def test_a_value_that_is_not_finite_is_refused_with_its_index(field: str):
    camera = plain_camera()
    cloud = random_cloud(5, camera, seed=0)
    broken = getattr(cloud, field).copy()
    broken[3] = np.nan
    broken[4] = np.inf
    with pytest.raises(ValueError, match=rf"{field}: expected finite values, got .* at index 3 \(the first\)"):
        reference.render(dataclasses.replace(cloud, **{field: broken}), camera, BLACK)


def test_a_quaternion_of_zero_length_is_refused():
    cloud = dataclasses.replace(one_splat(), quats_wxyz=np.zeros((1, 4), np.float32))
    with pytest.raises(ValueError, match="quats_wxyz: expected non-zero lengths, got zero at index 0"):
        reference.render(cloud, plain_camera(), BLACK)


def test_a_background_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"background: expected shape \(3,\) or \(32, 32, 3\), got \(32, 31, 3\)"):
        reference.render(one_splat(), plain_camera(), np.zeros((32, 31, 3)))
    with pytest.raises(ValueError, match="background: expected finite values"):
        reference.render(one_splat(), plain_camera(), np.array([0, np.nan, 0]))


def test_no_gaussians_is_the_background():
    cloud = random_cloud(0, plain_camera(), seed=0)
    picture = reference.render(cloud, plain_camera(), np.array([0.1, 0.2, 0.3]))
    np.testing.assert_array_equal(picture.rgb, np.broadcast_to([0.1, 0.2, 0.3], (32, 32, 3)))
    assert picture.alpha.max() == 0
