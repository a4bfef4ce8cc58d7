"""GaussianAvatar.compute: each kernel against a slow twin in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slangpy", reason="slangpy, which runs HLSL, has no wheel for this machine")

from helpers.splat_scenes import random_cloud, tilted_camera
from helpers.unity_shaders.avatar import EYE_OF_PART, GAUSSIAN, SPLAT, Avatar, Eye
from helpers.unity_shaders.gpu import Gpu
from helpers.unity_shaders.scenes import Scene, TimeStep, made_scene, mixed_frame, mixed_pose, placed, views
from helpers.unity_shaders.unity_camera import WORLD_FROM_OPENCV, unity_eye

from gstalker.kernels import reference
from gstalker.kernels.camera import Camera, rotation_from_quat_wxyz
from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.quantise import QuantisationBox
from gstalker.kernels.sh import view_colors

BOX = QuantisationBox((-0.3, -0.2, -0.1), (0.25, 0.3, 0.2), -9.0, -2.5)
IDENTITY = [np.eye(4), np.eye(4)]
NO_MOVERS = np.zeros((0, 16), np.uint8)
FIELDS = ("means", "quats_wxyz", "scales", "opacities", "sh_coeffs")


def posed(gpu: Gpu, avatar: Avatar) -> np.ndarray:
    return gpu.read(avatar.posed, GAUSSIAN)


def every_rotation_word() -> np.ndarray:
    """Movers whose rotation word leaves out each component in turn, among random codes."""
    rng = np.random.default_rng(3)
    words = rng.integers(0, 2**32, (2000, 4), dtype=np.uint32)
    words[:, 2] = (words[:, 2] & 0x3FFFFFFF) | (np.arange(2000, dtype=np.uint32) % 4) << 30
    # Three smaller components of a unit quaternion: |code - 511| / (511 sqrt 2) with a sum of squares below 3/4.
    codes = rng.integers(511 - 300, 511 + 300, (2000, 3), dtype=np.uint32)
    words[:, 2] = (words[:, 2] & 0xC0000000) | codes[:, 0] | codes[:, 1] << 10 | codes[:, 2] << 20
    return words.view(np.uint8)


def one_step_scene(movers: np.ndarray, other: np.ndarray | None = None, static: int = 100) -> Scene:
    count = len(movers) + static
    rng = np.random.default_rng(4)
    canonical = Gaussians(
        means=rng.normal(size=(count, 3)).astype(np.float32),
        quats_wxyz=np.tile(np.array([0.5, -0.5, 0.5, 0.5], np.float32), (count, 1)),
        scales=rng.uniform(0.001, 0.01, (count, 3)).astype(np.float32),
        opacities=rng.uniform(0, 1, count).astype(np.float32),
        sh_coeffs=np.zeros((count, 1, 3), np.float32),
    )
    part_ids = (np.arange(count) % 2).astype(np.uint8)
    poses = (np.eye(4), np.eye(4))
    return Scene(
        canonical, part_ids, BOX, (TimeStep(movers, poses), TimeStep(movers if other is None else other, poses)), 0.1
    )


@pytest.mark.parametrize("mix", [0.0, 0.25, 1.0])
def test_movers_are_decoded_and_mixed_as_numpy_does(gpu: Gpu, mix: float):
    """Tolerances: float32 rounding of values up to 0.3 m and of logarithms up to 9, which exp turns into a share."""
    movers = every_rotation_word()
    other = np.roll(movers, 4, axis=0)
    scene = one_step_scene(movers, other)
    avatar = Avatar(gpu, scene.canonical, scene.part_ids, BOX)
    avatar.show(movers, other, mix)

    got, wanted = posed(gpu, avatar), mixed_frame(scene, mix)
    moved = got[: len(movers)]
    np.testing.assert_allclose(moved["mean_m"], wanted.means, rtol=0, atol=1e-7)
    np.testing.assert_allclose(moved["opacity"], wanted.opacities, rtol=0, atol=3e-7)
    np.testing.assert_allclose(moved["scale_m"], wanted.scales, rtol=5e-6, atol=0)
    np.testing.assert_allclose(moved["quat_wxyz"], wanted.quats_wxyz, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(got["part"], scene.part_ids)


def test_gaussians_that_cannot_move_keep_their_canonical_values(gpu: Gpu):
    movers = every_rotation_word()
    scene = one_step_scene(movers, static=100)
    avatar = Avatar(gpu, scene.canonical, scene.part_ids, BOX)
    avatar.show(movers, movers, 0.5)
    still = posed(gpu, avatar)[len(movers) :]
    np.testing.assert_array_equal(still["mean_m"], scene.canonical.means[len(movers) :])
    np.testing.assert_allclose(still["quat_wxyz"], scene.canonical.quats_wxyz[len(movers) :], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(still["scale_m"], scene.canonical.scales[len(movers) :])
    np.testing.assert_array_equal(still["opacity"], scene.canonical.opacities[len(movers) :])


def test_the_worked_point_of_the_conventions_lands_where_unity_has_it(gpu: Gpu):
    """2 cm to the right, 5 cm up, 60 cm in front: view space of a Unity camera at the origin is (0.02, 0.05, -0.60)."""
    scene = one_step_scene(every_rotation_word())
    avatar = Avatar(gpu, scene.canonical, scene.part_ids, BOX)
    avatar.show(scene.steps[0].movers, scene.steps[0].movers, 0.0)
    camera = Camera(np.eye(4), np.array([[400.0, 0, 128], [0, 400, 128], [0, 0, 1]]), 256, 256)
    avatar.project([unity_eye(camera)], (256, 256), IDENTITY)
    eye = gpu.read(avatar.eyes_of_parts, EYE_OF_PART)[0]
    point = np.array([0.02, -0.05, 0.60, 1.0])
    in_view = [eye[row].astype(np.float64) @ point for row in ("view_x", "view_y", "view_z")]
    np.testing.assert_allclose(in_view, [0.02, 0.05, -0.60], rtol=0, atol=1e-7)


def test_parts_are_seen_through_pose_object_and_view_at_once(gpu: Gpu):
    """Two eyes, two poses, an object with shear and mirroring: rows and the eye's place, against float64 matrices."""
    scene = one_step_scene(every_rotation_word())
    avatar = Avatar(gpu, scene.canonical, scene.part_ids, BOX)
    avatar.show(scene.steps[0].movers, scene.steps[0].movers, 0.0)
    world_from_object = np.array([[1.2, 0.3, 0, 0.5], [-0.1, -0.7, 0.2, 1.5], [0.4, 0, 0.9, -2], [0, 0, 0, 1]])
    made = made_scene(200)
    poses = [mixed_pose(made, part, 0.3) for part in (0, 1)]
    found = views()
    eyes = [unity_eye(found["grazing"].camera), unity_eye(found["off-axis VR eye"].camera)]
    avatar.project(eyes, (512, 512), poses, world_from_object)

    got = gpu.read(avatar.eyes_of_parts, EYE_OF_PART)
    for number in range(4):
        eye, part = divmod(number, 2)
        view = eyes[eye].view_from_world @ world_from_object @ WORLD_FROM_OPENCV @ poses[part]
        rows = np.stack([got[number][row] for row in ("view_x", "view_y", "view_z")])
        np.testing.assert_allclose(rows, view[:3], rtol=0, atol=2e-6)
        wanted_eye = np.linalg.inv(view)[:3, 3]
        np.testing.assert_allclose(got[number]["eye_in_part_m"][:3], wanted_eye, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", list(views()))
def test_splats_fall_where_the_reference_projects_them(gpu: Gpu, name: str):
    """Float32 against float64: measured 1.6e-4 px and 2.5e-6 of a covariance's size; a margin of six and of eight."""
    scene, view = made_scene(3000), views()[name]
    avatar = Avatar(gpu, scene.canonical, scene.part_ids, scene.box)
    avatar.show(scene.steps[0].movers, scene.steps[1].movers, 0.4)
    place = np.eye(4) if view.world_from_avatar is None else view.world_from_avatar
    camera = view.camera
    size = np.array([camera.width_px, camera.height_px])
    poses = [mixed_pose(scene, part, 0.4) for part in (0, 1)]
    eye = unity_eye(camera, flipped=view.flipped)
    avatar.project([eye], (512, 512), poses, WORLD_FROM_OPENCV @ place @ WORLD_FROM_OPENCV)

    cloud = placed(scene, 0.4, view.world_from_avatar)
    centres_px, covariances_px2, depths_m = reference.project_gaussians(cloud, camera)
    splats = gpu.read(avatar.splats, SPLAT)[: len(cloud)]
    seen = splats["color_opacity"][:, 3] > 0
    reach = np.sqrt(2 * np.log(np.maximum(cloud.opacities * 255.0, 1)))[:, None]
    extent_px = reach * np.sqrt(np.stack([covariances_px2[:, 0, 0], covariances_px2[:, 1, 1]], axis=1))
    inside = ((centres_px + extent_px > 0) & (centres_px - extent_px < size)).all(axis=1)
    wanted_seen = (depths_m >= reference.NEAR_M) & (cloud.opacities >= reference.ALPHA_CUT) & inside
    np.testing.assert_array_equal(seen, wanted_seen)
    assert seen.sum() > 500

    down = 1 if view.flipped else -1  # NDC's y points up unless the projection is upside down
    got_px = (splats["centre_ndc"][seen] * [1, down] + 1) / 2 * size
    major, minor = splats["major_px"][seen] * [1, down], splats["minor_px"][seen]
    across = np.stack([-major[:, 1], major[:, 0]], axis=1)
    across *= (minor / np.linalg.norm(major, axis=1))[:, None]
    got = np.einsum("ni,nj->nij", major, major) + np.einsum("ni,nj->nij", across, across)
    share = np.abs(got - covariances_px2[seen]).max(axis=(1, 2)) / covariances_px2[seen].max(axis=(1, 2))
    worst_px = np.abs(got_px - centres_px[seen]).max()
    assert worst_px < 1e-3, f"worst centre {worst_px:.4f} px"
    assert share.max() < 2e-5, f"worst covariance {share.max():.1e} of its size"
    assert (minor**2 >= reference.DILATION_PX2 * 0.999).all()
    clip = eye.clip_from_view
    wanted_depth = np.clip(-clip[2, 2] + clip[2, 3] / depths_m[seen], 0, 1)
    np.testing.assert_allclose(splats["depth_ndc"][seen], wanted_depth, rtol=0, atol=1e-5)


def test_splats_are_ordered_far_to_near_and_of_equal_depths_the_lower_index_last(gpu: Gpu):
    """The exact reverse of the reference's order, among splats whose depths are all small integers, many equal."""
    rng = np.random.default_rng(8)
    count = 3000
    depths = rng.integers(1, 60, count) / 4.0
    depths[:50] = rng.choice([-3.0, 0.0, 0.005], 50)
    scene = one_step_scene(NO_MOVERS, static=count)
    means = np.column_stack([np.zeros((count, 2)), depths]).astype(np.float32)
    opacities = np.where(np.arange(count) % 17 == 0, 0.003, 0.5).astype(np.float32)  # below 1/255: never drawn
    canonical = Gaussians(
        means, scene.canonical.quats_wxyz, scene.canonical.scales, opacities, scene.canonical.sh_coeffs
    )
    avatar = Avatar(gpu, canonical, scene.part_ids, BOX)
    avatar.show(NO_MOVERS, NO_MOVERS, 0.0)
    camera = Camera(np.eye(4), np.array([[400.0, 0, 128], [0, 400, 128], [0, 0, 1]]), 256, 256)
    avatar.project([unity_eye(camera)], (256, 256), IDENTITY)

    drawn = (means[:, 2] >= reference.NEAR_M) & (opacities >= reference.ALPHA_CUT)
    front_to_back = np.flatnonzero(drawn)[np.argsort(means[drawn, 2], kind="stable")]
    arguments = gpu.read(avatar.arguments, np.uint32)
    assert arguments.tolist() == [18, int(drawn.sum()), 0, 0]
    order = gpu.read(avatar.drawn_order, np.uint32)
    np.testing.assert_array_equal(order[: drawn.sum()], front_to_back[::-1])
    np.testing.assert_array_equal(np.sort(order), np.arange(count))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_colours_follow_the_view_as_spherical_harmonics_say(gpu: Gpu, degree: int):
    """Half floats keep 11 bits: of colours up to 2, an error of 2^-11 at most; float32 adds next to nothing."""
    camera = tilted_camera(256, 256)
    cloud = random_cloud(1500, camera, seed=degree, sh_degree=degree, overhang=0.0)
    avatar = Avatar(gpu, cloud, np.zeros(len(cloud), np.uint8), BOX)
    avatar.show(NO_MOVERS, NO_MOVERS, 0.0)
    avatar.project([unity_eye(camera)], (256, 256), IDENTITY)
    splats = gpu.read(avatar.splats, SPLAT)[: len(cloud)]
    seen = splats["color_opacity"][:, 3] > 0
    wanted = view_colors(Gaussians(*(getattr(cloud, n).astype(np.float64) for n in FIELDS)), camera)
    error = np.abs(splats["color_opacity"][seen, :3] - wanted[seen])
    assert seen.sum() > 1300
    assert wanted.max() < 2
    assert error.max() <= 2.0**-11 + 1e-5, f"worst colour {error.max():.2e}"


def test_a_quality_level_may_leave_out_the_higher_harmonics(gpu: Gpu):
    camera = tilted_camera(256, 256)
    cloud = random_cloud(300, camera, seed=5, sh_degree=3, overhang=0.0)
    avatar = Avatar(gpu, cloud, np.zeros(len(cloud), np.uint8), BOX)
    avatar.globals["_GsHarmonicsUsed"] = 1
    avatar.show(NO_MOVERS, NO_MOVERS, 0.0)
    avatar.project([unity_eye(camera)], (256, 256), IDENTITY)
    splats = gpu.read(avatar.splats, SPLAT)[: len(cloud)]
    flat = Gaussians(cloud.means, cloud.quats_wxyz, cloud.scales, cloud.opacities, cloud.sh_coeffs[:, :1])
    seen = splats["color_opacity"][:, 3] > 0
    assert np.abs(splats["color_opacity"][seen, :3] - view_colors(flat, camera)[seen]).max() <= 2.0**-11 + 1e-5


def weights_of(cloud: Gaussians, camera: Camera) -> np.ndarray:
    """(N,) the largest weight of each Gaussian in any pixel, near to far, float64 and without an early stop."""
    centres_px, covariances_px2, depths_m = reference.project_gaussians(cloud, camera)
    conics = np.linalg.inv(covariances_px2)
    x, y = np.meshgrid(np.arange(camera.width_px) + 0.5, np.arange(camera.height_px) + 0.5)
    light, weights = np.ones(x.shape), np.zeros(len(cloud))
    for i in np.argsort(depths_m, kind="stable"):
        offset = np.stack([x - centres_px[i, 0], y - centres_px[i, 1]], axis=-1)
        q = np.einsum("...i,ij,...j->...", offset, conics[i], offset)
        alpha = np.minimum(reference.ALPHA_MAX, cloud.opacities[i] * np.exp(-q / 2))
        alpha = np.where(alpha >= reference.ALPHA_CUT, alpha, 0)
        weights[i] = (alpha * light).max()
        light *= 1 - alpha
    return weights


def test_what_shows_most_goes_first_under_a_splat_budget(gpu: Gpu):
    """Weights of an uneven 50 x 40 picture against NumPy, then ranks, then what a budget draws; indices stay.

    Opacity has the 11 bits of a half float: an alpha of up to 1 errs by 2^-12, and so do the dozen before it at most.
    """
    scene = made_scene(800)
    avatar = Avatar(gpu, scene.canonical, scene.part_ids, scene.box)
    camera = views(50)["portrait"].camera
    camera = Camera(camera.viewmat, camera.K, 50, 40)
    avatar.show(scene.steps[0].movers, scene.steps[1].movers, 0.4)
    poses = [mixed_pose(scene, part, 0.4) for part in (0, 1)]
    avatar.project([unity_eye(camera)], (50, 40), poses)
    avatar.weigh((50, 40))
    weights, wanted = gpu.read(avatar.weights, np.float32), weights_of(placed(scene, 0.4), camera)
    assert wanted.max() > 0.5
    assert (wanted < 0.01).sum() > 50, "some should hardly show"
    assert np.abs(weights - wanted).max() < 13 * 2.0**-12
    ranks = gpu.read(avatar.ranks, np.uint32)
    np.testing.assert_array_equal(np.argsort(ranks), np.argsort(-weights, kind="stable"))

    seen = {}
    for budget in (800, 200, 0):
        avatar.project([unity_eye(views()["portrait"].camera)], (512, 512), poses, budget=budget)
        seen[budget] = gpu.read(avatar.splats, SPLAT)[:800]["color_opacity"][:, 3] > 0
    np.testing.assert_array_equal(seen[200], seen[800] & (ranks < 200))
    assert seen[800].sum() > 750
    assert not seen[0].any()
    assert gpu.read(avatar.arguments, np.uint32)[1] == 0


def test_weights_keep_the_greatest_of_all_moments_weighed(gpu: Gpu):
    """Front and back of the same head: each Gaussian's weight is the larger of its two."""
    scene = made_scene(400)
    avatar = Avatar(gpu, scene.canonical, scene.part_ids, scene.box)
    avatar.show(scene.steps[0].movers, scene.steps[0].movers, 0.0)
    alone = []
    for name in ("portrait", "from behind"):
        fresh = Avatar(gpu, scene.canonical, scene.part_ids, scene.box)
        fresh.show(scene.steps[0].movers, scene.steps[0].movers, 0.0)
        for each in (fresh, avatar):
            each.project([unity_eye(views(64)[name].camera)], (64, 64), IDENTITY)
            each.weigh((64, 64))
        alone.append(gpu.read(fresh.weights, np.float32))
    np.testing.assert_array_equal(gpu.read(avatar.weights, np.float32), np.maximum(*alone))
    assert np.abs(alone[0] - alone[1]).max() > 0.5

    values = {"_GsGaussianCount": 400, "_GsWeights": avatar.weights}
    gpu.run("GaussianAvatar.compute", "ClearWeights", 7, values)
    assert not gpu.read(avatar.weights, np.uint32).any()


def test_an_orthographic_camera_sees_the_covariance_without_foreshortening(gpu: Gpu):
    """Unity's scene view and some games: px are focal times metres at every depth, and J is the same everywhere."""
    camera = tilted_camera(256, 256)
    cloud = random_cloud(300, camera, seed=9, overhang=0.0)
    avatar = Avatar(gpu, cloud, np.zeros(len(cloud), np.uint8), BOX)
    avatar.show(NO_MOVERS, NO_MOVERS, 0.0)
    half_m, near_m, far_m = 0.3, 0.1, 10.0
    view = unity_eye(camera).view_from_world
    ortho = np.diag([1 / half_m, 1 / half_m, 1 / (far_m - near_m), 1.0])
    ortho[2, 3] = far_m / (far_m - near_m)
    avatar.project([Eye(view, ortho)], (256, 256), IDENTITY)
    splats = gpu.read(avatar.splats, SPLAT)[: len(cloud)]
    seen = splats["color_opacity"][:, 3] > 0
    assert seen.sum() > 200
    to_px = 128 / half_m
    axes = rotation_from_quat_wxyz(cloud.quats_wxyz.astype(np.float64)) * cloud.scales[:, None, :]
    axes = to_px * (camera.viewmat[:2, :3] * [[1], [-1]]) @ axes
    wanted = axes @ axes.transpose(0, 2, 1) + reference.DILATION_PX2 * np.eye(2)
    lengths = np.sqrt(np.linalg.eigvalsh(wanted)[seen])
    np.testing.assert_allclose(np.linalg.norm(splats["major_px"][seen], axis=1), lengths[:, 1], rtol=1e-5)
    np.testing.assert_allclose(splats["minor_px"][seen], lengths[:, 0], rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["means", "scales"])
def test_a_value_that_is_not_finite_is_not_drawn_and_spoils_nothing(gpu: Gpu, field: str, bad: float):
    camera = tilted_camera(256, 256)
    cloud = random_cloud(300, camera, seed=6, overhang=0.0)
    getattr(cloud, field)[7] = bad
    avatar = Avatar(gpu, cloud, np.zeros(len(cloud), np.uint8), BOX)
    avatar.show(NO_MOVERS, NO_MOVERS, 0.0)
    avatar.project([unity_eye(camera)], (256, 256), IDENTITY)
    drawn = gpu.read(avatar.arguments, np.uint32)[1]
    order = gpu.read(avatar.drawn_order, np.uint32)
    assert sorted(order.tolist()) == list(range(300))
    assert 7 not in order[:drawn]
    assert drawn > 250
