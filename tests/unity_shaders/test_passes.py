"""GaussianAvatar.shader: its passes as they stand there, blending, depth, colour space and stereo."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slangpy", reason="slangpy, which runs HLSL, has no wheel for this machine")

import slangpy as spy
from helpers.splat_scenes import one_splat, plain_camera
from helpers.unity_shaders.avatar import Avatar
from helpers.unity_shaders.gpu import Gpu, Target
from helpers.unity_shaders.pictures import (
    BACKGROUND,
    Agreement,
    agreement,
    avatar_of,
    over,
    reference_picture,
    splat_picture,
)
from helpers.unity_shaders.scenes import Scene, View, made_scene, mixed_pose, placed, views
from helpers.unity_shaders.unity_camera import unity_eye

from gstalker.bench import unity_fill
from gstalker.kernels.camera import Camera, rotation_from_quat_wxyz
from gstalker.kernels.gaussians import Gaussians, concatenate
from gstalker.kernels.quantise import QuantisationBox

BOX = QuantisationBox((-1, -1, -1), (1, 1, 1), -9.0, -2.0)
NO_MOVERS = np.zeros((0, 16), np.uint8)
NEAR_M, FAR_M = 0.1, 10.0


@pytest.fixture(scope="module")
def scene() -> Scene:
    return made_scene(1500)


@pytest.fixture(scope="module")
def splats(gpu: Gpu, scene: Scene) -> np.ndarray:
    """(H, W, 4) premultiplied."""
    return splat_picture(gpu, avatar_of(gpu, scene), scene, views(256)["portrait"])


def composite(gpu: Gpu, name: str, splats: np.ndarray, over_rgb: np.ndarray, **values: Any) -> np.ndarray:
    """(H, W, 3) of a composite pass onto a picture; a copy of that picture is there to read."""
    height, width = over_rgb.shape[:2]
    under = np.concatenate([over_rgb, np.ones((height, width, 1))], axis=-1)
    target = Target(width, height, gpu.picture(under), None, 1)
    given = {
        "_GsSplatPicture": gpu.picture(splats, "rgba16_float"),
        "_GsScenePicture": gpu.picture(under),
        "sampler_linear_clamp": gpu.sampler,
        "_GsScreenSize": spy.float2(width, height),
        "_GsExposure": 1.0,
    }
    gpu.draw(gpu.passes()[name], target, given | values)
    return gpu.pixels(target.color)[..., :3]


def linear_from_display(rgb: np.ndarray) -> np.ndarray:
    """sRGB's decoding as IEC 61966-2-1 has it."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0) + 0.055) / 1.055) ** 2.4)


def display_from_linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * np.maximum(rgb, 0) ** (1 / 2.4) - 0.055)


def plate(size_px: int) -> np.ndarray:
    """(H, W, 3) a picture behind, in display space, with both ends of the range in it."""
    y, x = np.mgrid[:size_px, :size_px] / (size_px - 1)
    return np.stack([y, x, 0.5 + 0.5 * np.sin(20 * x * y)], axis=-1)


def test_a_gamma_projects_picture_is_the_splats_over_what_was_there(gpu: Gpu, splats: np.ndarray):
    behind = plate(256)
    picture = composite(gpu, "CompositeGamma", splats, behind)
    np.testing.assert_allclose(picture, over(splats, behind), rtol=0, atol=1e-6)


def test_a_linear_projects_picture_is_the_same_to_the_eye(gpu: Gpu, splats: np.ndarray):
    """Blended in display space although the target holds linear light: decoded, it is the gamma project's picture.

    pow is good to about 1e-4 of the value, and Vulkan asks for no more: measured 3e-6 here, allowed 1/20 of 1/255.
    """
    behind = plate(256)
    linear = composite(gpu, "CompositeLinear", splats, linear_from_display(behind))
    np.testing.assert_allclose(display_from_linear(linear), over(splats, behind), rtol=0, atol=2e-4)


def test_blending_in_linear_light_would_not_be_the_same(gpu: Gpu, splats: np.ndarray):
    """What the intermediate target is for: soft edges differ by far more than what counts as off."""
    behind = plate(256)
    naive = linear_from_display(splats[..., :3].clip(0)) + (1 - splats[..., 3:]) * linear_from_display(behind)
    assert np.abs(display_from_linear(naive) - over(splats, behind)).max() > 10 / 255


def test_the_pass_for_the_other_colour_space_makes_the_comparison_fail(gpu: Gpu, splats: np.ndarray):
    """A gamma slip either way: the gamma pass onto linear light, the linear pass onto display values."""
    behind = plate(256)
    slip = composite(gpu, "CompositeGamma", splats, linear_from_display(behind))
    assert not agreement(display_from_linear(slip), over(splats, behind)).good
    slip = composite(gpu, "CompositeLinear", splats, behind)
    assert not agreement(slip, over(splats, behind)).good


def test_without_the_copy_only_soft_edges_differ(gpu: Gpu, splats: np.ndarray):
    behind = plate(256)
    linear = composite(gpu, "CompositeLinearNoCopy", splats, linear_from_display(behind))
    error = np.abs(display_from_linear(linear) - over(splats, behind)).max(axis=-1)
    alpha = splats[..., 3]
    assert error[alpha == 0].max() < 2e-4
    assert error[alpha > 0.998].max() < 2 / 255
    assert 5 / 255 < error.max() < 0.2


def test_exposure_scales_linear_light_and_leaves_the_blend_alone(gpu: Gpu, splats: np.ndarray):
    """HDRP before exposure: everything in the target is eight times brighter, the avatar with it."""
    behind = plate(256)
    plain = composite(gpu, "CompositeLinear", splats, linear_from_display(behind))
    bright = composite(gpu, "CompositeLinear", splats, 8 * linear_from_display(behind), _GsExposure=8.0)
    np.testing.assert_allclose(bright / 8, plain, rtol=0, atol=1e-4)


def test_a_picture_of_another_render_scale_is_enlarged_smoothly(gpu: Gpu, splats: np.ndarray):
    """A quarter of the pixels, twice enlarged: still the same picture, to about what half the resolution can hold."""
    half = splats.reshape(128, 2, 128, 2, 4).mean(axis=(1, 3))
    picture = composite(gpu, "CompositeGamma", half, plate(256))
    assert agreement(picture, over(splats, plate(256))).psnr_db > 30


def two_splats() -> tuple[Gaussians, Camera]:
    """A red one at 1 m and a green one at 2 m, both nearly opaque in the middle of the picture."""
    near = one_splat(mean_m=(0, 0, 1), scales_m=(0.05, 0.05, 0.05), opacity=0.95, color=(1, 0, 0))
    far = one_splat(mean_m=(0, 0, 2), scales_m=(0.1, 0.1, 0.1), opacity=0.95, color=(0, 1, 0))
    return concatenate([near, far]), plain_camera(64, 64, 100.0)


def shown(gpu: Gpu, cloud: Gaussians, camera: Camera) -> Avatar:
    avatar = Avatar(gpu, cloud, np.zeros(len(cloud), np.uint8), BOX)
    avatar.show(NO_MOVERS, NO_MOVERS, 0.0)
    eye = unity_eye(camera, NEAR_M, FAR_M)
    avatar.project([eye], (camera.width_px, camera.height_px), [np.eye(4), np.eye(4)])
    return avatar


def device_depth(depth_m: Any) -> Any:
    """Reversed, as Unity has it: 1 at the near plane, 0 at the far one."""
    return NEAR_M / (FAR_M - NEAR_M) * (FAR_M / depth_m - 1)


def scene_depth(gpu: Gpu, target: Target, depth_m: np.ndarray) -> None:
    """Fill a target's depth through the SceneDepth pass from a camera's depth of any size."""
    picture = np.zeros((*depth_m.shape, 4))
    picture[..., 0] = device_depth(depth_m)
    gpu.draw(
        gpu.passes()["SceneDepth"],
        target,
        {"_GsSceneDepth": gpu.picture(picture), "_GsScreenSize": spy.float2(target.width_px, target.height_px)},
        clear_depth=0.0,
    )


def test_the_scene_hides_what_lies_behind_it(gpu: Gpu):
    """A wall at 1.5 m on the left half, from a depth picture of a quarter of the size, hides the green splat there."""
    cloud, camera = two_splats()
    avatar = shown(gpu, cloud, camera)
    target = gpu.target(64, 64, depth=True)
    wall_m = np.where(np.arange(32) < 16, 1.5, 9.0)[None, :].repeat(32, axis=0)
    scene_depth(gpu, target, wall_m)
    np.testing.assert_allclose(gpu.pixels(target.depth)[:, :32], device_depth(1.5), rtol=0, atol=1e-6)
    avatar.draw(target, clear=True)
    picture = gpu.pixels(target.color)
    assert picture[32, 31, 0] > 0.9
    assert picture[32, 31, 1] == 0, "the green splat behind the wall shows"
    assert picture[32, 33, 1] > 0.02, "the green splat beside the wall is hidden"
    assert picture[32, 31, 0] == pytest.approx(picture[32, 32, 0], abs=1e-2)

    avatar.draw(target, clear=True, z_test="Always")
    assert gpu.pixels(target.color)[32, 31, 1] > 0.02, "the property leaves the scene's depth out"


def test_splats_do_not_hide_one_another_by_depth(gpu: Gpu):
    """The Splats pass tests depth but writes none."""
    cloud, camera = two_splats()
    avatar = shown(gpu, cloud, camera)
    target = gpu.target(64, 64, depth=True)
    scene_depth(gpu, target, np.full((64, 64), 9.0))
    before = gpu.pixels(target.depth)
    avatar.draw(target, clear=True)
    np.testing.assert_array_equal(gpu.pixels(target.depth), before)


def test_depth_is_written_on_request_where_splats_are_at_least_half_opaque(gpu: Gpu):
    cloud, camera = two_splats()
    avatar = shown(gpu, cloud, camera)
    target = gpu.target(64, 64, depth=True)
    scene_depth(gpu, target, np.full((64, 64), 9.0))
    avatar.draw(target, shader_pass="SplatDepth", clear=True)
    depth = gpu.pixels(target.depth).reshape(64, 64)
    assert depth[32, 32] == pytest.approx(device_depth(1.0), abs=1e-6), "the nearest one's, at its centre"
    sigma_px = 100.0 * 0.05
    reach_px = sigma_px * np.sqrt(2 * np.log(0.95 / 0.5))
    radius = np.hypot(*(np.mgrid[:64, :64] + 0.5 - 32))
    written = np.abs(depth - device_depth(9.0)) > 1e-6
    np.testing.assert_array_equal(
        written[np.abs(radius - reach_px) > 0.2], (radius < reach_px)[np.abs(radius - reach_px) > 0.2]
    )
    assert gpu.pixels(target.color).max() == 0, "ColorMask 0 keeps the colours out"


def test_a_splat_before_unitys_near_plane_is_drawn(gpu: Gpu):
    """The rule says 0.01 m, whatever the camera's near plane is; Unity's default is 0.3 m."""
    cloud = one_splat(mean_m=(0, 0, 0.02), scales_m=(0.001, 0.001, 0.001), opacity=0.9)
    avatar = shown(gpu, cloud, plain_camera(64, 64, 100.0))
    target = gpu.target(64, 64)
    avatar.draw(target, clear=True)
    assert gpu.pixels(target.color)[32, 32, 3] > 0.8


def stereo_cameras(size_px: int, canted_rad: float = 0.0) -> list[Camera]:
    """Two eyes 64 mm apart, looking through off-axis pictures the same way as most headsets do, or turned outwards."""
    eyes = []
    for side in (-1, 1):
        K = np.array([[0.9 * size_px, 0, (0.5 - 0.08 * side) * size_px], [0, 0.9 * size_px, 0.47 * size_px], [0, 0, 1]])
        viewmat, turn = np.eye(4), np.eye(4)
        viewmat[:3, 3] = [-0.032 * side, 0.0, 0.4]
        turn[:3, :3] = rotation_from_quat_wxyz(np.array([np.cos(canted_rad / 2), 0, -side * np.sin(canted_rad / 2), 0]))
        eyes.append(Camera(turn @ viewmat, K, size_px, size_px))
    return eyes


def projected(avatar: Avatar, scene: Scene, cameras: list[Camera], eyes_per_draw: int = 1) -> Avatar:
    avatar.show(scene.steps[0].movers, scene.steps[1].movers, 0.4)
    size = cameras[0].width_px, cameras[0].height_px
    poses = [mixed_pose(scene, part, 0.4) for part in (0, 1)]
    avatar.project([unity_eye(c) for c in cameras], size, poses, eyes_per_draw=eyes_per_draw)
    return avatar


def test_each_eye_of_a_stereo_picture_equals_its_mono_picture(gpu: Gpu, scene: Scene):
    """One sort for both, drawn in one instanced draw into an array and in a draw for each eye: to the last bit."""
    avatar, cameras, mono = avatar_of(gpu, scene), stereo_cameras(256), []
    for camera in cameras:
        target = gpu.target(256, 256)
        projected(avatar, scene, [camera]).draw(target, clear=True)
        mono.append(gpu.pixels(target.color))
    assert np.abs(mono[0] - mono[1]).max() > 0.2, "the eyes should not see the same"

    array = gpu.target(256, 256, slices=2)
    projected(avatar, scene, cameras, eyes_per_draw=2).draw(array, clear=True, eye_array=True)
    single = [gpu.target(256, 256) for _ in cameras]
    projected(avatar, scene, cameras)
    for eye in (0, 1):
        avatar.draw(single[eye], eye=eye, clear=True)
        np.testing.assert_array_equal(gpu.pixels(array.color, eye), mono[eye])
        np.testing.assert_array_equal(gpu.pixels(single[eye].color), mono[eye])


def test_each_eye_of_a_stereo_picture_is_the_references(gpu: Gpu, scene: Scene):
    for found in stereo_agreement(gpu, scene, canted_rad=0.0):
        assert found.good, str(found)


def test_one_order_for_both_eyes_serves_canted_displays_nearly_as_well(gpu: Gpu, scene: Scene):
    """Turned outwards by 5 degrees each, the order by the mean of the depths is not exactly each eye's own.

    Measured 58.5 dB, 1.0 % of pixels off by more than 2/255 and 8/255 at worst: allowed 3 dB and twice that.
    """
    for found in stereo_agreement(gpu, scene, canted_rad=0.09):
        assert found.psnr_db > 55.5, str(found)
        assert 0 < found.share_off < 0.02, str(found)
        assert found.worst < 16 / 255, str(found)


def stereo_agreement(gpu: Gpu, scene: Scene, canted_rad: float) -> list[Agreement]:
    """Each eye of one instanced draw against the reference's picture of it."""
    avatar, cameras = avatar_of(gpu, scene), stereo_cameras(256, canted_rad)
    array = gpu.target(256, 256, slices=2)
    projected(avatar, scene, cameras, eyes_per_draw=2).draw(array, clear=True, eye_array=True)
    return [
        agreement(over(gpu.pixels(array.color, eye), BACKGROUND), reference_picture(scene, View(camera)))
        for eye, camera in enumerate(cameras)
    ]


def test_a_splat_that_one_eye_alone_sees_is_drawn_for_that_eye_alone(gpu: Gpu):
    cloud = one_splat(mean_m=(-0.25, 0, 0.5), scales_m=(0.01, 0.01, 0.01), opacity=0.9)
    avatar = Avatar(gpu, cloud, np.zeros(1, np.uint8), BOX)
    avatar.show(NO_MOVERS, NO_MOVERS, 0.0)
    eyes = []
    for x_m in (-0.1, 0.3):
        camera = plain_camera(64, 64, 50.0)
        viewmat = np.eye(4)
        viewmat[0, 3] = -x_m
        eyes.append(unity_eye(Camera(viewmat, camera.K, 64, 64)))
    avatar.project(eyes, (64, 64), [np.eye(4), np.eye(4)], eyes_per_draw=2)
    assert gpu.read(avatar.arguments, np.uint32)[1] == 2, "one splat, two instances"
    array = gpu.target(64, 64, slices=2)
    avatar.draw(array, clear=True, eye_array=True)
    assert gpu.pixels(array.color, 0)[..., 3].max() > 0.5
    assert gpu.pixels(array.color, 1).max() == 0


@pytest.mark.parametrize("name", ["CompositeGamma", "CompositeLinear", "CompositeLinearNoCopy"])
def test_composites_serve_both_slices_of_a_stereo_target_at_once(gpu: Gpu, splats: np.ndarray, name: str):
    """The right eye's picture is the left one's mirror image: every slice must get its own."""
    behind = linear_from_display(plate(256))
    under = np.concatenate([behind, np.ones((256, 256, 1))], axis=-1)
    both_under, both = np.stack([under, under[::-1]]), np.stack([splats, splats[:, ::-1]])
    target = Target(256, 256, gpu.picture(both_under), None, 2)
    values = {
        "_GsSplatPicture": gpu.picture(both, "rgba16_float"),
        "_GsScenePicture": gpu.picture(both_under),
        "sampler_linear_clamp": gpu.sampler,
        "_GsScreenSize": spy.float2(256, 256),
        "_GsExposure": 1.0,
    }
    gpu.draw(gpu.passes()[name], target, values, instances=2, eye_array=True)
    for eye in (0, 1):
        wanted = composite(gpu, name, both[eye], both_under[eye][..., :3])
        np.testing.assert_allclose(gpu.pixels(target.color, eye)[..., :3], wanted, rtol=0, atol=1e-6)


COUNTING_FRAGMENT = "float4 Fragment(GsSplatVaryings varyings) : SV_Target { return 1; }"


@pytest.mark.parametrize("corners", [4, 8])
def test_as_many_fragments_are_shaded_as_the_fill_benchmark_counts(gpu: Gpu, scene: Scene, corners: int):
    """The package's vertex function with a fragment that adds one to its pixel, against `gstalker bench unity-fill`.

    Corners are snapped to 1/256 px by the rasterizer: an edge moves by 1/512 px at most, which for splats this size is
    below a share of 5e-4 of their fragments, and random in sign.
    """
    view = views(256)["close-up"]
    avatar = avatar_of(gpu, scene)
    avatar.globals["_GsCorners"] = corners
    projected(avatar, scene, [view.camera])
    whole = gpu.passes()["Splats"]
    body = whole.body[: whole.body.index("float4 Fragment(")] + COUNTING_FRAGMENT
    target = gpu.target(256, 256, color="rgba32_float")
    avatar.draw(target, shader_pass=replace(whole, body=body, blend=("One", "One")), clear=True)
    shaded = gpu.pixels(target.color)[..., 0].sum()
    counted = unity_fill.count_fragments(placed(scene, 0.4), view.camera).polygons[corners]
    assert shaded == pytest.approx(counted, rel=5e-4)
    assert counted > 5e5
