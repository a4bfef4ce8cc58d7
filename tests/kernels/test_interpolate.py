"""Frames between frames: the fast mixture against the readable one, and what any mixture must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from gstalker.kernels.frame import Frame
from gstalker.kernels.interpolate import (
    Movers,
    interpolate_frames,
    interpolate_movers,
    interpolate_movers_reference,
    interpolate_pose,
)


def random_movers(count: int, seed: int) -> Movers:
    rng = np.random.default_rng(seed)
    quats = rng.normal(size=(count, 4))
    return (
        rng.normal(0, 0.1, (count, 3)).astype(np.float32),
        (quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype(np.float32),
        np.exp(rng.uniform(-8, -3, (count, 3))).astype(np.float32),
        rng.uniform(0, 1, count).astype(np.float32),
    )


def frame_of(index: int, movers: Movers, pose: np.ndarray | None = None) -> Frame:
    pose = np.eye(4) if pose is None else pose
    return Frame(index, index / 25, *movers, avatar_from_head=pose, avatar_from_torso=pose)


def turn(rotation_rad: list[float], translation_m: list[float]) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(rotation_rad).as_matrix()
    pose[:3, 3] = translation_m
    return pose


@given(weight=st.floats(0, 1), seed=st.integers(0, 50))
def test_the_fast_mixture_is_the_readable_one_to_single_precision(weight: float, seed: int):
    a, b = random_movers(40, seed), random_movers(40, seed + 1000)
    for fast, slow in zip(interpolate_movers(a, b, weight), interpolate_movers_reference(a, b, weight), strict=True):
        assert fast.dtype == np.float32
        # A few roundings of 6e-8 each; opposite quaternions cancel to 0.7 of their length at worst.
        np.testing.assert_allclose(fast, slow, rtol=3e-6, atol=3e-7)


def test_opposite_quaternions_are_the_same_rotation():
    means, quats, scales, opacities = random_movers(30, 3)
    flipped = interpolate_movers((means, quats, scales, opacities), (means, -quats, scales, opacities), 0.4)
    np.testing.assert_allclose(np.abs((flipped[1] * quats).sum(axis=1)), 1, atol=1e-6)


def test_halfway_between_one_and_four_millimetres_are_two():
    a = random_movers(1, 0)
    scales = interpolate_movers((a[0], a[1], np.full((1, 3), 1e-3, np.float32), a[3]),
                                (a[0], a[1], np.full((1, 3), 4e-3, np.float32), a[3]), 0.5)[2]  # fmt: skip
    np.testing.assert_allclose(scales, 2e-3, rtol=1e-6)


def test_a_small_turn_is_mixed_along_its_arc():
    """Neighbouring frames differ by a few degrees: there the normalised line is off by less than 2e-3 degrees."""
    end = Rotation.from_rotvec([0, 0, np.deg2rad(10)]).as_quat(scalar_first=True)
    plain = np.array([[1, 0, 0, 0]], np.float32)
    rest = random_movers(1, 0)
    for weight in (0.1, 0.25, 0.5, 0.9):
        mixed = interpolate_movers(
            (rest[0], plain, rest[2], rest[3]), (rest[0], end[None].astype(np.float32), rest[2], rest[3]), weight
        )[1][0]
        got_deg = np.rad2deg(2 * np.arctan2(mixed[3], mixed[0]))
        assert abs(got_deg - 10 * weight) < 2e-3


@given(weight=st.floats(0, 1), seed=st.integers(0, 200))
def test_poses_are_mixed_as_scipy_does_and_stay_rigid(weight: float, seed: int):
    rng = np.random.default_rng(seed)
    a, b = (turn(rng.normal(0, 1, 3).tolist(), rng.normal(0, 1, 3).tolist()) for _ in range(2))
    pose = interpolate_pose(a, b, weight)
    expected = Slerp([0, 1], Rotation.from_matrix(np.stack([a[:3, :3], b[:3, :3]])))(weight).as_matrix()
    np.testing.assert_allclose(pose[:3, :3], expected, atol=1e-7)
    np.testing.assert_allclose(pose[:3, 3], a[:3, 3] + weight * (b[:3, 3] - a[:3, 3]), atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)


def test_two_poses_that_are_one_stay_it():
    pose = turn([0.3, -0.2, 0.1], [0.01, 0.02, 0.03])
    np.testing.assert_allclose(interpolate_pose(pose, pose, 0.3), pose, atol=1e-12)


def test_at_a_frame_the_frame_itself_comes_back():
    a, b = frame_of(3, random_movers(5, 0)), frame_of(4, random_movers(5, 1))
    assert interpolate_frames(a, b, a.time_s) is a
    assert interpolate_frames(a, b, b.time_s) is b


def test_between_frames_everything_moves_together():
    a = frame_of(3, random_movers(5, 0), turn([0, 0, 0], [0, 0, 0]))
    b = frame_of(4, random_movers(5, 1), turn([0, 0.2, 0], [0.01, 0, 0]))
    middle = interpolate_frames(a, b, 3.5 / 25)
    assert (middle.index, middle.time_s) == (3, 3.5 / 25)
    np.testing.assert_allclose(middle.means, (a.means + b.means) / 2, atol=1e-7)
    np.testing.assert_allclose(middle.opacities, (a.opacities + b.opacities) / 2, atol=1e-7)
    np.testing.assert_allclose(middle.avatar_from_head, turn([0, 0.1, 0], [0.005, 0, 0]), atol=1e-9)
    np.testing.assert_allclose(middle.avatar_from_torso, middle.avatar_from_head, atol=1e-12)


def test_a_time_outside_and_frames_out_of_order_are_refused():
    a, b = frame_of(3, random_movers(5, 0)), frame_of(4, random_movers(5, 1))
    for earlier, later, time_s in ((a, b, 0.11), (a, b, 0.17), (b, a, 0.14), (a, a, a.time_s), (a, b, float("nan"))):
        with pytest.raises(ValueError, match="expected a time between frames in order"):
            interpolate_frames(earlier, later, time_s)


def test_frames_of_two_avatars_are_refused():
    with pytest.raises(ValueError, match="expected frames of one avatar, got 5 and 6 movers"):
        interpolate_frames(frame_of(3, random_movers(5, 0)), frame_of(4, random_movers(6, 1)), 3.5 / 25)
