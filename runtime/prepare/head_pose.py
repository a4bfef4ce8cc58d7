"""The head as a rigid body: a person's own 3D landmark model, and its pose in every frame.

The model is the mean of the tracker's 3D landmarks over frontal frames. The pose of a frame is the one that
projects the model's rigid points onto the frame's landmarks (perspective-n-point) with the dataset's fixed
focal length, smoothed over one frame to each side.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from gstalker.runtime.landmarks import LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS, RIGID

# Outer corner to outer corner of a grown person's eyes: mean of men and women, spread about 5 %.
# It only sets how many metres a pixel is; pictures do not depend on it.
OUTER_EYES_M = 0.090
MODEL_FRAMES = 400  # frames at most that the model is the mean of
REFINEMENTS = 4
RIGID_POINTS = list(RIGID)
CHIN, FOREHEAD = 152, 10
FACE_MESH = 468  # landmarks before the ten of the irises


@dataclass(frozen=True)
class PoseTrack:
    """Pose of T frames.

    Attributes:
        camera_from_head: (T, 4, 4) float64, metres.
        residual_px: (T,) root mean square distance of the projected rigid points; NaN where no face was found.
        confidence: (T,) 0..1.
    """

    camera_from_head: np.ndarray
    residual_px: np.ndarray
    confidence: np.ndarray


def intrinsics(focal_px: float, size_px: int) -> np.ndarray:
    """(3, 3) camera matrix with the principal point in the middle."""
    return np.array([[focal_px, 0.0, size_px / 2], [0.0, focal_px, size_px / 2], [0.0, 0.0, 1.0]])


def head_model(landmarks_px: np.ndarray, focal_px: float, size_px: int) -> np.ndarray:
    """The person's resting landmarks in head space.

    Args:
        landmarks_px: (T, 478, 3) finite tracked landmarks of frames from all takes, px.

    Returns:
        (478, 3) float64, metres; origin at the mean of the face mesh, x from the person's right eye to the left
        (to the right in the picture), y down along the line from forehead to chin, z into the head.
    """
    frames = landmarks_px.astype(np.float64)
    turned = frontality(frames)
    keep = np.argsort(turned, kind="stable")[: max(1, min(MODEL_FRAMES, len(frames) // 2))]
    chosen = frames[keep]
    model = _upright(chosen[0] - chosen[0][:FACE_MESH].mean(axis=0))
    for _ in range(2):
        aligned = np.stack([_align(frame, model) for frame in chosen])
        model = _upright(aligned.mean(axis=0))
    outer = np.linalg.norm(model[RIGHT_EYE_CORNERS[0]] - model[LEFT_EYE_CORNERS[0]])
    model = (model - model[:FACE_MESH].mean(axis=0)) * (OUTER_EYES_M / outer)
    return _refine(model, chosen[..., :2], focal_px, size_px)


def frontality(landmarks_px: np.ndarray) -> np.ndarray:
    """(T, 478, 3) -> (T,) how far the face is turned from the camera, rad; 0 looks straight into it."""
    across = landmarks_px[:, LEFT_EYE_CORNERS[0]] - landmarks_px[:, RIGHT_EYE_CORNERS[0]]
    down = landmarks_px[:, CHIN] - landmarks_px[:, FOREHEAD]
    yaw = np.arctan2(across[:, 2], across[:, 0])
    pitch = np.arctan2(down[:, 2], down[:, 1])
    roll = np.arctan2(across[:, 1], across[:, 0])
    return np.sqrt(yaw**2 + pitch**2 + roll**2)


def track_pose(
    landmarks_px: np.ndarray, model_m: np.ndarray, focal_px: float, size_px: int, smooth: bool = True
) -> PoseTrack:
    """Fit the model to each frame of one take.

    Args:
        landmarks_px: (T, 478, >=2), NaN where no face was found; one frame at least is finite.
        model_m: (478, 3) from `head_model`.

    Raises:
        ValueError: no frame has a face.
    """
    seen = np.asarray(np.isfinite(landmarks_px[:, RIGID_POINTS, :2]).all(axis=(1, 2)))
    if not seen.any():
        raise ValueError("landmarks_px: expected a face in one frame at least, got none")
    K = intrinsics(focal_px, size_px)
    points = np.ascontiguousarray(model_m[RIGID_POINTS], np.float64)
    count = len(landmarks_px)
    rotations, translations = np.zeros((count, 3)), np.zeros((count, 3))
    guess_rotation, guess_translation = (
        np.zeros(3),
        np.array([0.0, 0.0, _first_depth(points, landmarks_px[seen][0], K)]),
    )
    for index in np.flatnonzero(seen):
        observed = np.ascontiguousarray(landmarks_px[index, RIGID_POINTS, :2], np.float64)
        _, rotation, translation = cv2.solvePnP(
            points, observed, K, None, guess_rotation.copy(), guess_translation.copy(), useExtrinsicGuess=True
        )
        guess_rotation, guess_translation = rotation.ravel(), translation.ravel()
        rotations[index], translations[index] = guess_rotation, guess_translation
    rotations, translations = _carry_over(rotations, seen), _carry_over(translations, seen)
    matrices = Rotation.from_rotvec(rotations)
    if smooth:
        middle = matrices.mean()
        matrices = middle * Rotation.from_rotvec(_one_two_one((middle.inv() * matrices).as_rotvec()))
        translations = _one_two_one(translations)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = matrices.as_matrix(), translations
    projected = project(points, poses, K)
    residual = np.sqrt(((projected - landmarks_px[:, RIGID_POINTS, :2]) ** 2).sum(axis=-1).mean(axis=-1))
    return PoseTrack(poses, residual, np.where(seen, confidence(residual, size_px), 0.0))


def confidence(residual_px: np.ndarray, size_px: int) -> np.ndarray:
    """0..1 from the residual: .97 at 0.3 % of the picture's width (0.8 of 256 px), .6 at 1.2 %, .13 at 2.4 %."""
    return np.nan_to_num(np.exp(-0.5 * (residual_px / (0.012 * size_px)) ** 2))


def project(points_head_m: np.ndarray, camera_from_head: np.ndarray, K: np.ndarray) -> np.ndarray:
    """(P, 3) points under (T, 4, 4) poses -> (T, P, 2) px."""
    in_camera = points_head_m @ camera_from_head[:, :3, :3].transpose(0, 2, 1) + camera_from_head[:, None, :3, 3]
    in_picture = in_camera @ K.T
    return in_picture[..., :2] / in_picture[..., 2:]


def _first_depth(points: np.ndarray, landmarks_px: np.ndarray, K: np.ndarray) -> float:
    observed = landmarks_px[RIGID_POINTS, :2]
    spread_px = np.linalg.norm(observed - observed.mean(axis=0), axis=1).mean()
    spread_m = np.linalg.norm(points[:, :2] - points[:, :2].mean(axis=0), axis=1).mean()
    return float(K[0, 0] * spread_m / max(spread_px, 1e-6))


def _align(frame: np.ndarray, model: np.ndarray) -> np.ndarray:
    """The similarity transform of `frame` that brings its rigid points nearest to the model's (Umeyama 1991)."""
    source, target = frame[RIGID_POINTS], model[RIGID_POINTS]
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    u, singular, vt = np.linalg.svd((target - target_mean).T @ (source - source_mean))
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ (flip[:, None] * vt)
    scale = (singular * flip).sum() / ((source - source_mean) ** 2).sum()
    return scale * (frame - source_mean) @ rotation.T + target_mean


def _upright(model: np.ndarray) -> np.ndarray:
    """Turn the model to look straight into the camera."""
    x = model[LEFT_EYE_CORNERS[0]] - model[RIGHT_EYE_CORNERS[0]]
    x = x / np.linalg.norm(x)
    y = model[CHIN] - model[FOREHEAD]
    y = y - x * (x @ y)
    y = y / np.linalg.norm(y)
    return model @ np.stack([x, y, np.cross(x, y)]).T


def _refine(model_m: np.ndarray, landmarks_px: np.ndarray, focal_px: float, size_px: int) -> np.ndarray:
    """Shift the points across the line of sight until no landmark's mean reprojection error is left.

    The tracker's depth is that of a distant camera; under perspective its points project a little beside.
    """
    K = intrinsics(focal_px, size_px)
    for _ in range(REFINEMENTS):
        poses = track_pose(landmarks_px, model_m, focal_px, size_px, smooth=False).camera_from_head
        in_camera = model_m @ poses[:, :3, :3].transpose(0, 2, 1) + poses[:, None, :3, 3]
        error_px = landmarks_px - project(model_m, poses, K)
        error_m = np.zeros_like(in_camera)
        error_m[..., :2] = error_px * in_camera[..., 2:] / focal_px
        model_m = model_m + (error_m @ poses[:, :3, :3]).mean(axis=0)
        model_m = model_m - model_m[:FACE_MESH].mean(axis=0)
    return model_m


def _one_two_one(values: np.ndarray) -> np.ndarray:
    padded = np.concatenate([values[:1], values, values[-1:]])
    return (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4


def _carry_over(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Fill unseen frames from the nearest seen one."""
    at = np.flatnonzero(seen)
    nearest = at[np.abs(np.arange(len(values))[:, None] - at[None, :]).argmin(axis=1)]
    return values[nearest]
