"""Head, eyes and torso move within their limits, by seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from gstalker.runtime.demo_character.motion import MotionConfig, head_pose, make_motion

TIMES_S = np.arange(25 * 60) / 25  # a minute


def yaw_deg(poses: np.ndarray) -> np.ndarray:
    return np.degrees(np.arcsin(poses[:, 0, 2]))


def test_the_same_seed_moves_the_same_and_another_differently():
    one, again, other = (make_motion(TIMES_S, [0.5, 1.5], seed, 256) for seed in (3, 3, 4))
    assert np.array_equal(one.camera_from_head, again.camera_from_head)
    assert np.array_equal(one.torso_motion, again.torso_motion)
    assert one.face == again.face
    assert np.abs(one.camera_from_head - other.camera_from_head).max() > 0.01


@pytest.mark.parametrize("limit_deg", [15.0, 45.0])
def test_yaw_fills_its_range_and_stays_inside(limit_deg: float):
    poses = make_motion(TIMES_S, [], 0, 256, MotionConfig(max_yaw_deg=limit_deg, max_roll_deg=0.0)).camera_from_head
    turned = yaw_deg(poses)
    # Accents add no yaw, and with no roll the matrix entry is the sine of yaw times the cosine of pitch.
    assert np.abs(turned).max() <= limit_deg + 1e-6
    assert turned.max() > 0.7 * limit_deg
    assert turned.min() < -0.7 * limit_deg


def test_poses_are_rigid():
    rotations = make_motion(TIMES_S, [0.3], 1, 256).camera_from_head[:, :3, :3]
    assert np.abs(rotations @ np.swapaxes(rotations, 1, 2) - np.eye(3)).max() < 1e-12
    assert np.linalg.det(rotations) == pytest.approx(1.0)


def test_positive_yaw_turns_the_face_to_picture_left():
    forward = head_pose(0.3, 0.0, 0.0)[:3, :3] @ [0.0, 0.0, -1.0]
    assert forward[0] < -0.2
    assert head_pose(0.0, 0.3, 0.0)[:3, :3][1] @ [0.0, 0.0, -1.0] > 0.2, "positive pitch looks down"


def test_blinks_come_about_every_three_seconds_and_each_shuts_on_a_frame():
    shut = np.array([f.blink[0] for f in make_motion(TIMES_S, [], 2, 256).face])
    moving = np.flatnonzero(np.diff(np.concatenate([[0], shut > 0, [0]]).astype(int)))
    starts, ends = moving[::2], moving[1::2]
    peaks = [shut[a:b].max() for a, b in zip(starts, ends, strict=True) if b < len(shut)]
    # Poisson with mean 20 in a minute; 8 to 34 is outside 2.5 standard deviations.
    assert 8 <= len(peaks) <= 34
    assert min(peaks) == 1.0
    assert np.median(ends - starts) in (4, 5, 6), "a blink lasts about 200 ms"


def test_the_torso_sways_on_its_own():
    motion = make_motion(TIMES_S, [], 5, 256)
    assert 2.0 < np.ptp(motion.torso_motion[:, 0]) < 12.0
    head_x = motion.camera_from_head[:, 0, 3]
    assert abs(np.corrcoef(head_x, motion.torso_motion[:, 0])[0, 1]) < 0.6


def test_stress_raises_the_brows():
    stresses = [float(s) for s in np.arange(1, 59, 0.8)]
    calm = np.mean([f.brow_inner_up for f in make_motion(TIMES_S, [], 6, 256).face])
    lively = np.mean([f.brow_inner_up for f in make_motion(TIMES_S, stresses, 6, 256).face])
    assert lively > 1.5 * calm, "measured 1.9"
