"""Poses of head and torso as numbers that can be mixed, and the soft clamp to what the avatar was trained on."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

SOFT_SHARE = 0.1  # of the trained range: as far beyond its ends a clamped value may come
COMPONENT_NAMES = ("rotation x", "rotation y", "rotation z", "translation x", "translation y", "translation z")


def head_vector(avatar_from_head: np.ndarray) -> np.ndarray:
    """(..., 6) float64 rotation vector (rad) and translation (m) of rigid (..., 4, 4)."""
    pose = np.asarray(avatar_from_head, np.float64)
    return np.concatenate([Rotation.from_matrix(pose[..., :3, :3]).as_rotvec(), pose[..., :3, 3]], axis=-1)


def head_matrix(vector: np.ndarray) -> np.ndarray:
    """(4, 4) float64 of `head_vector`."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(vector[:3]).as_matrix()
    pose[:3, 3] = vector[3:]
    return pose


def torso_vector(avatar_from_torso: np.ndarray) -> np.ndarray:
    """(..., 4) float64 translation (m) and turn about z (rad) of (..., 4, 4): a torso moves in no other way."""
    pose = np.asarray(avatar_from_torso, np.float64)
    return np.concatenate([pose[..., :3, 3], np.arctan2(pose[..., 1, 0], pose[..., 0, 0])[..., None]], axis=-1)


def torso_matrix(vector: np.ndarray) -> np.ndarray:
    """(4, 4) float64 of `torso_vector`."""
    cos, sin = np.cos(vector[3]), np.sin(vector[3])
    pose = np.eye(4)
    pose[:2, :2] = [[cos, -sin], [sin, cos]]
    pose[:3, 3] = vector[:3]
    return pose


def soft_clamp(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Leave values between low and high alone, and bend those beyond towards a limit.

    x above high becomes high + m (1 - exp(-(x - high) / m)) with m = SOFT_SHARE (high - low), and alike below low: the
    slope is 1 at the end of the range and falls to 0, so the map is smooth and rising and never goes further
    than m beyond the range. The head follows ever less instead of stopping dead.
    """
    margin = np.maximum(SOFT_SHARE * (high - low), 1e-9)
    above, below = np.maximum(values - high, 0.0), np.maximum(low - values, 0.0)
    inside = np.clip(values, low, high)
    return inside - margin * np.expm1(-above / margin) + margin * np.expm1(-below / margin)
