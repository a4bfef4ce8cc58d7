from __future__ import annotations

import numpy as np
import pytest
from helpers.portrait_video import face_points
from scipy.spatial.transform import Rotation

from gstalker.runtime.landmarks import FACE_OVAL, LEFT_EYE_CORNERS, LIPS, RIGHT_EYE_CORNERS
from gstalker.runtime.prepare.head_pose import (
    OUTER_EYES_M,
    RIGID_POINTS,
    confidence,
    head_model,
    intrinsics,
    project,
    track_pose,
)

SIZE_PX = 256
FOCAL_PX = 563.2
K = intrinsics(FOCAL_PX, SIZE_PX)


def true_model() -> np.ndarray:
    """A symmetric-eyed made face in head space, metres."""
    points = face_points((0.0, 0.0), (1.0, 1.0)).astype(np.float64)
    points[:, 2] -= points[[10, 152], 2].mean()  # forehead and chin are rim points: depth 0 already
    across = np.linalg.norm(points[LEFT_EYE_CORNERS[0]] - points[RIGHT_EYE_CORNERS[0]])
    points = points * (OUTER_EYES_M / across)
    return points - points[:468].mean(axis=0)


def true_poses(count: int = 60) -> np.ndarray:
    phase = np.linspace(0, 2 * np.pi, count)
    turn = np.radians(np.stack([6 * np.sin(phase), 9 * np.cos(phase), 3 * np.sin(2 * phase)], axis=-1))
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.from_rotvec(turn).as_matrix()
    poses[:, :3, 3] = np.stack([0.01 * np.sin(phase), 0.005 * np.cos(phase), 0.8 + 0.02 * np.sin(phase)], axis=-1)
    return poses


def seen(model: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """(T, 478, 3) landmarks as a tracker with weak perspective depth gives them."""
    flat = project(model, poses, K)
    turned = model @ poses[:, :3, :3].transpose(0, 2, 1)
    depth = turned[..., 2] * FOCAL_PX / poses[:, None, 2, 3]
    return np.concatenate([flat, depth[..., None]], axis=-1)


def test_known_poses_come_back_from_exact_landmarks():
    model, poses = true_model(), true_poses()
    track = track_pose(seen(model, poses), model, FOCAL_PX, SIZE_PX, smooth=False)
    # solvePnP stops its iteration at about 1e-7 relative.
    np.testing.assert_allclose(track.camera_from_head, poses, atol=2e-4)
    assert track.residual_px.max() < 1e-2
    assert track.confidence.min() > 0.999


def test_smoothing_keeps_a_steady_motion_and_halves_noise():
    model, poses = true_model(), true_poses(120)
    rng = np.random.default_rng(seed=2)
    noisy = seen(model, poses)
    noisy[..., :2] += rng.normal(0, 0.5, noisy[..., :2].shape)
    smooth = track_pose(noisy, model, FOCAL_PX, SIZE_PX).camera_from_head
    rough = track_pose(noisy, model, FOCAL_PX, SIZE_PX, smooth=False).camera_from_head
    error = [np.abs(t[:, :3, 3] - poses[:, :3, 3]).mean() for t in (smooth, rough)]
    # [1 2 1]/4 leaves sqrt(6)/4 = 0.61 of white noise; 0.75 allows for the draw.
    assert error[0] < 0.75 * error[1]
    assert np.linalg.det(smooth[:, :3, :3]) == pytest.approx(np.ones(120), abs=1e-9)


def test_the_model_projects_onto_the_landmarks_it_was_made_from():
    model, poses = true_model(), true_poses()
    landmarks = seen(model, poses)
    found = head_model(landmarks, FOCAL_PX, SIZE_PX)
    outer = np.linalg.norm(found[LEFT_EYE_CORNERS[0]] - found[RIGHT_EYE_CORNERS[0]])
    assert outer == pytest.approx(OUTER_EYES_M, rel=0.03)
    track = track_pose(landmarks, found, FOCAL_PX, SIZE_PX, smooth=False)
    error = np.linalg.norm(project(found, track.camera_from_head, K) - landmarks[..., :2], axis=-1)
    # Measured 0.03 px in the median; what is left is the weak perspective of the tracker's depth.
    assert np.median(error[:, RIGID_POINTS]) < 0.1
    assert np.median(error) < 0.1
    assert np.abs(found[:468].mean(axis=0)).max() < 1e-9, "the origin is the mean of the face mesh"


def test_the_model_looks_straight_into_the_camera():
    model = true_model()
    tilted = true_poses()
    tilted[:, :3, :3] = Rotation.from_rotvec(np.radians([5.0, -7.0, 4.0])).as_matrix() @ tilted[:, :3, :3]
    found = head_model(seen(model, tilted), FOCAL_PX, SIZE_PX)
    across = found[LEFT_EYE_CORNERS[0]] - found[RIGHT_EYE_CORNERS[0]]
    down = found[152] - found[10]
    # 1 degree: the refinement moves single points by a fraction of a millimetre.
    assert np.degrees(np.arctan2(np.hypot(across[1], across[2]), across[0])) < 1
    assert np.degrees(np.arctan2(abs(down[2]), down[1])) < 1
    assert across[0] > 0
    lips, oval = found[list(LIPS), 2].mean(), found[list(FACE_OVAL), 2].mean()
    assert lips < oval, "the middle of the face is nearer to the camera than its rim"


def test_frames_without_a_face_carry_the_nearest_pose_with_no_confidence():
    model, poses = true_model(), true_poses(20)
    landmarks = seen(model, poses)
    landmarks[[0, 1, 10]] = np.nan
    track = track_pose(landmarks, model, FOCAL_PX, SIZE_PX, smooth=False)
    np.testing.assert_array_equal(track.camera_from_head[0], track.camera_from_head[2])
    np.testing.assert_array_equal(track.camera_from_head[10], track.camera_from_head[9])
    assert track.confidence[[0, 1, 10]].tolist() == [0, 0, 0]
    assert np.isfinite(track.camera_from_head).all()


def test_a_take_without_any_face_is_refused():
    with pytest.raises(ValueError, match="expected a face in one frame at least"):
        track_pose(np.full((3, 478, 2), np.nan), true_model(), FOCAL_PX, SIZE_PX)


def test_confidence_falls_from_one_to_nothing_with_the_residual():
    values = confidence(np.array([0.0, 0.8, 3.0, 6.1, 30.0, np.nan]), SIZE_PX)
    assert values == pytest.approx([1.0, 0.967, 0.62, 0.14, 0.0, 0.0], abs=0.01)
