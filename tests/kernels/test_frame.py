from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.splat_scenes import plain_camera, random_cloud
from scipy.spatial.transform import Rotation

from gstalker.kernels.frame import PART_HEAD, PART_TORSO, Frame, assemble
from gstalker.kernels.gaussians import Gaussians

PARTS = np.array([PART_HEAD, PART_HEAD, PART_TORSO, PART_HEAD, PART_TORSO], np.uint8)


def still_frame(canonical: Gaussians, movers: int) -> Frame:
    return Frame(
        index=7,
        time_s=0.28,
        means=canonical.means[:movers],
        quats_wxyz=canonical.quats_wxyz[:movers],
        scales=canonical.scales[:movers],
        opacities=canonical.opacities[:movers],
        avatar_from_head=np.eye(4),
        avatar_from_torso=np.eye(4),
    )


@pytest.fixture
def canonical() -> Gaussians:
    cloud = random_cloud(5, plain_camera(), seed=0)
    unit = cloud.quats_wxyz / np.linalg.norm(cloud.quats_wxyz, axis=1, keepdims=True)
    return dataclasses.replace(cloud, quats_wxyz=unit)


def test_a_frame_that_moves_nothing_is_the_canonical_cloud(canonical: Gaussians):
    assembled = assemble(canonical, PARTS, still_frame(canonical, 3))
    for field in ("means", "quats_wxyz", "scales", "opacities", "sh_coeffs"):
        np.testing.assert_allclose(getattr(assembled, field), getattr(canonical, field), atol=1e-6)
        assert getattr(assembled, field).dtype == np.float32


def test_movers_take_the_frames_values_and_the_rest_keep_their_own(canonical: Gaussians):
    frame = still_frame(canonical, 2)
    frame = dataclasses.replace(frame, means=frame.means + 1, scales=frame.scales * 2, opacities=frame.opacities * 0.5)
    assembled = assemble(canonical, PARTS, frame)
    np.testing.assert_allclose(assembled.means[:2], canonical.means[:2] + 1, atol=1e-6)
    np.testing.assert_allclose(assembled.means[2:], canonical.means[2:], atol=1e-6)
    np.testing.assert_array_equal(assembled.scales[:2], canonical.scales[:2] * 2)
    np.testing.assert_array_equal(assembled.opacities[2:], canonical.opacities[2:])


def test_each_part_is_put_in_its_own_pose(canonical: Gaussians):
    poses = []
    for k in range(2):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_quat(np.random.default_rng(k).normal(size=4)).as_matrix()
        pose[:3, 3] = [k, 2 * k, 3]
        poses.append(pose)
    frame = dataclasses.replace(
        still_frame(canonical, 3), avatar_from_head=poses[PART_HEAD], avatar_from_torso=poses[PART_TORSO]
    )
    assembled = assemble(canonical, PARTS, frame)
    for i, part in enumerate(PARTS):
        rotation = Rotation.from_matrix(poses[part][:3, :3])
        np.testing.assert_allclose(
            assembled.means[i], rotation.apply(canonical.means[i]) + poses[part][:3, 3], atol=1e-6
        )
        expected = rotation * Rotation.from_quat(np.roll(canonical.quats_wxyz[i], -1))
        got = Rotation.from_quat(np.roll(assembled.quats_wxyz[i], -1))
        assert (got * expected.inv()).magnitude() < 1e-6


def test_more_movers_than_gaussians_are_refused(canonical: Gaussians):
    frame = still_frame(random_cloud(6, plain_camera(), seed=1), 6)
    with pytest.raises(ValueError, match="frame 7: expected at most 5 movers, got 6"):
        assemble(canonical, PARTS, frame)


def test_a_third_part_is_refused(canonical: Gaussians):
    with pytest.raises(ValueError, match=r"part_ids: expected only 0 \(head\) and 1 \(torso\), got \[0, 1, 2\]"):
        assemble(canonical, np.array([0, 1, 2, 0, 0]), still_frame(canonical, 2))
