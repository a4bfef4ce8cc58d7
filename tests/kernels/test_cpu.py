from __future__ import annotations

import dataclasses

import numba
import numpy as np
import pytest
from helpers.splat_scenes import one_splat, plain_camera, random_cloud, tilted_camera

from gstalker.kernels import cpu, reference
from gstalker.kernels.gaussians import Gaussians, concatenate
from gstalker.kernels.rendered_image import RenderedImage

BLACK = np.zeros(3)

# Measured in November 2026 on an AMD EPYC with AVX-512: 2.4e-6 on 12,000 splats; taken four times.
TOLERANCE = 1e-5


def assert_same_picture(drawn: RenderedImage, expected: RenderedImage, *, unlucky_pixels: int = 0) -> None:
    """Single precision everywhere, but where rounding tips a threshold.

    An alpha that lies within rounding of 1/255 is drawn by one and not by the other; a transmittance within
    rounding of 1e-4 stops one and not the other, and then all that is behind, 1e-4 of white, or the splat that
    stopped it, is missing. Such pixels are counted apart and may be off by 1/255 at most.
    """
    error = np.abs(drawn.rgb - expected.rgb).max(axis=2)
    error = np.maximum(error, np.abs(drawn.alpha - expected.alpha))
    unlucky = int((error > TOLERANCE).sum())
    worst = np.unravel_index(np.argmax(error), error.shape)
    report = f"worst {error.max():.2e} at row, column {worst}; {unlucky} pixels beyond {TOLERANCE}"
    assert unlucky <= unlucky_pixels, report
    assert error.max() <= 1 / 255, report


@pytest.mark.parametrize(
    ("width_px", "height_px"), [(37, 53), (1, 1), (130, 17), (300, 5), (64, 32), (65, 33)], ids=lambda v: str(v)
)
@pytest.mark.parametrize("opacity", [(0.05, 0.6), (0.95, 1.0)], ids=["translucent", "opaque"])
def test_the_picture_is_the_references_at_any_size(width_px: int, height_px: int, opacity: tuple[float, float]):
    camera = tilted_camera(width_px, height_px)
    cloud = random_cloud(300, camera, seed=width_px, opacity=opacity, sh_degree=3)
    plate = np.random.default_rng(1).uniform(size=(height_px, width_px, 3))
    assert_same_picture(cpu.render(cloud, camera, plate), reference.render(cloud, camera, plate), unlucky_pixels=2)


def test_a_full_scene_is_the_references():
    camera = tilted_camera(256, 256)
    cloud = random_cloud(12_000, camera, seed=5, sigma_px=(1.5, 4.0))
    background = np.array([0.2, 0.4, 0.6])
    assert_same_picture(
        cpu.render(cloud, camera, background), reference.render(cloud, camera, background), unlucky_pixels=10
    )


def test_splats_that_cover_the_picture_and_needles_are_the_references():
    """Sigmas up to 400 px beside 0.05 px, turned every way: exact spans, no cancellation."""
    camera = tilted_camera(150, 40)
    cloud = random_cloud(60, camera, seed=8, sigma_px=(0.05, 400.0), opacity=(0.02, 0.5))
    assert_same_picture(cpu.render(cloud, camera, BLACK), reference.render(cloud, camera, BLACK), unlucky_pixels=5)


def test_splats_far_outside_the_picture_are_the_references():
    """Centres up to two pictures away, wide enough to reach in: there the Jacobian is clamped."""
    camera = tilted_camera(48, 48)
    cloud = random_cloud(200, camera, seed=9, sigma_px=(5.0, 40.0), opacity=(0.05, 0.3), overhang=2.0)
    assert_same_picture(cpu.render(cloud, camera, BLACK), reference.render(cloud, camera, BLACK), unlucky_pixels=3)


@pytest.mark.parametrize("opacity", [0.0, 0.0039, 0.00393, 1.0])
def test_the_ends_of_opacity_are_the_references(opacity: float):
    """1/255 is 0.00392: below nothing is drawn, just above only the middle."""
    cloud = one_splat(opacity=opacity, mean_m=(0.005, 0.005, 1))
    drawn = cpu.render(cloud, plain_camera(), BLACK)
    assert_same_picture(drawn, reference.render(cloud, plain_camera(), BLACK))
    assert (drawn.alpha.max() > 0) == (opacity > 1 / 255)


def test_near_plane_depth_order_and_ties_are_the_references():
    camera = plain_camera()
    layers = [
        one_splat(mean_m=(0.001 * k, 0, z), opacity=0.7, color=(k % 2, k / 4, 1 - k / 4))
        for k, z in enumerate([0.5, 0.3, 0.3, -1.0, 0.0099, 0.0101, 0.3])
    ]
    cloud = concatenate(layers)
    assert_same_picture(cpu.render(cloud, camera, BLACK), reference.render(cloud, camera, BLACK))


def test_nothing_in_sight_is_the_background():
    plate = np.random.default_rng(0).uniform(size=(32, 32, 3)).astype(np.float32)
    for cloud in (random_cloud(0, plain_camera(), seed=0), one_splat(mean_m=(0, 0, -1))):
        picture = cpu.render(cloud, plain_camera(), plate)
        np.testing.assert_array_equal(picture.rgb, plate)
        assert picture.alpha.max() == 0


def test_the_number_of_threads_changes_no_bit():
    camera = tilted_camera(150, 70)
    cloud = random_cloud(500, camera, seed=4)
    g_rgb = np.random.default_rng(2).normal(size=(70, 150, 3))
    before = numba.get_num_threads()
    results = []
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            drawing = draw(cloud, camera.viewmat, camera.K, 150, 70)
            gradients = cpu.draw_backward(drawing, g_rgb, g_rgb[..., 0])
            results.append((drawing.rgb, *dataclasses.astuple(gradients)))
    finally:
        numba.set_num_threads(before)
    for one, other in zip(results[0], results[-1], strict=True):
        np.testing.assert_array_equal(one, other)


def draw(cloud: Gaussians, viewmat: np.ndarray, K: np.ndarray, width_px: int, height_px: int) -> cpu.Drawing:
    colors = cloud.sh_coeffs[:, 0]
    return cpu.draw(
        cloud.means,
        cloud.quats_wxyz,
        cloud.scales,
        cloud.opacities,
        colors,
        viewmat,
        K,
        width_px,
        height_px,
        BLACK,
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["means", "quats_wxyz", "scales", "opacities"])
def test_a_value_that_is_not_finite_is_refused_with_its_index(field: str, bad: float):
    cloud = random_cloud(3000, plain_camera(), seed=0)
    broken = getattr(cloud, field).copy()
    broken[1701], broken[2900] = bad, np.nan
    with pytest.raises(ValueError, match=rf"{field}: expected finite values, got .* at index 1701 \(the first\)"):
        cpu.render(dataclasses.replace(cloud, **{field: broken}), plain_camera(), BLACK)


def test_a_color_that_is_not_finite_is_refused():
    cloud = one_splat(color=(np.nan, 0, 0))
    with pytest.raises(ValueError, match=r"colors: expected finite values, got .* at index 0"):
        cpu.render(cloud, plain_camera(), BLACK)


def test_infinities_that_would_cancel_are_refused():
    cloud = dataclasses.replace(one_splat(), means=np.array([[np.inf, -np.inf, 1]], np.float32))
    with pytest.raises(ValueError, match="means: expected finite values"):
        cpu.render(cloud, plain_camera(), BLACK)


def test_a_quaternion_of_zero_length_is_refused():
    cloud = dataclasses.replace(one_splat(), quats_wxyz=np.zeros((1, 4), np.float32))
    with pytest.raises(ValueError, match="quats_wxyz: expected non-zero lengths, got zero at index 0"):
        cpu.render(cloud, plain_camera(), BLACK)


def test_wrong_shapes_are_refused():
    cloud = one_splat()
    with pytest.raises(ValueError, match=r"background: expected shape \(3,\) or \(32, 32, 3\), got \(32, 3\)"):
        cpu.render(cloud, plain_camera(), np.zeros((32, 3)))
    with pytest.raises(ValueError, match="background: expected finite values"):
        cpu.render(cloud, plain_camera(), np.array([np.inf, 0, 0]))
    with pytest.raises(ValueError, match=r"quats_wxyz: expected shape \(1, 4\) for 1 Gaussians, got \(1, 3\)"):
        cpu.draw(
            cloud.means,
            cloud.means,
            cloud.scales,
            cloud.opacities,
            cloud.means,
            np.eye(4),
            np.eye(3),
            8,
            8,
            BLACK,
        )


def test_huge_finite_values_do_no_harm():
    """Far beyond anything real, but finite: no crash, no NaN in the picture."""
    clouds = [
        one_splat(mean_m=(1e30, -1e30, 1e30)),
        one_splat(mean_m=(1e18, 0, 0.02), scales_m=(1e18, 1e18, 1e18)),
        one_splat(scales_m=(1e15, 1e15, 1e15)),
        one_splat(scales_m=(0, 0, 0)),
    ]
    assert np.isfinite(cpu.render(concatenate(clouds), plain_camera(), BLACK).rgb).all()


def test_random_finite_rubbish_does_no_harm():
    """Every magnitude single precision has, in every field: nothing crashes and the picture stays finite."""
    rng = np.random.default_rng(0)
    camera = tilted_camera(64, 48)
    for _ in range(30):
        cloud = random_cloud(400, camera, seed=0)
        wild = {
            field: getattr(cloud, field) * 10.0 ** rng.uniform(-36, 36, getattr(cloud, field).shape)
            for field in ("means", "quats_wxyz", "scales")
        }
        wild = {name: np.clip(v, -1e38, 1e38).astype(np.float32) for name, v in wild.items()}
        drawing = draw(dataclasses.replace(cloud, **wild), camera.viewmat, camera.K, 64, 48)
        assert np.isfinite(drawing.rgb).all()
        cpu.draw_backward(drawing, drawing.rgb, drawing.transmittance)


def test_a_camera_that_is_no_camera_is_refused():
    with pytest.raises(ValueError, match=r"viewmat: expected \(4, 4\) finite values"):
        draw(one_splat(), np.full((4, 4), np.nan), np.eye(3), 8, 8)
    with pytest.raises(ValueError, match=r"K: expected \(3, 3\) finite values with positive focal lengths"):
        draw(one_splat(), np.eye(4), np.diag([0.0, 1, 1]), 8, 8)


def test_warming_up_leaves_nothing_to_compile():
    cpu.warm_up()
    compiled = len(cpu.blend.signatures), len(cpu.blend_backward.signatures), len(cpu.project.signatures)
    camera = plain_camera()
    drawing = draw(one_splat(), camera.viewmat, camera.K, 32, 32)
    cpu.draw_backward(drawing, drawing.rgb, drawing.transmittance)
    cpu.render(one_splat(), camera, np.zeros((32, 32, 3)))
    from_the_wire = np.frombuffer(np.zeros((32, 32, 3), np.float32).tobytes(), np.float32).reshape(32, 32, 3)
    cpu.render(one_splat(), camera, from_the_wire)
    after = len(cpu.blend.signatures), len(cpu.blend_backward.signatures), len(cpu.project.signatures)
    assert after == compiled
