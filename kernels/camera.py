"""A pinhole camera in OpenCV axes (docs/conventions.md), and the rigid transforms between spaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """Where the picture is taken from and how points fall onto it.

    Attributes:
        viewmat: (4, 4) camera_from_world, rigid; camera axes x right, y down, z forward, metres.
        K: (3, 3) intrinsics, px; the centre of the top left pixel is at (0.5, 0.5).
        width_px, height_px: picture size.
    """

    viewmat: np.ndarray
    K: np.ndarray
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        if self.viewmat.shape != (4, 4) or self.K.shape != (3, 3):
            raise ValueError(
                f"Camera: expected viewmat (4, 4) and K (3, 3), got {self.viewmat.shape} and {self.K.shape}."
            )
        if self.width_px < 1 or self.height_px < 1:
            raise ValueError(
                f"Camera: expected a picture of at least 1 x 1 px, got {self.width_px} x {self.height_px}."
            )


def intrinsics(focal_px: float, width_px: int, height_px: int) -> np.ndarray:
    """(3, 3) K of a camera with square pixels that looks through the middle of its picture."""
    return np.array([[focal_px, 0, width_px / 2], [0, focal_px, height_px / 2], [0, 0, 1]], dtype=np.float64)


def project_points(points_m: np.ndarray, camera: Camera) -> np.ndarray:
    """Pixel positions (..., 2) of world points (..., 3) in front of the camera."""
    in_camera_m = points_m @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    homogeneous = in_camera_m @ camera.K.T
    return homogeneous[..., :2] / homogeneous[..., 2:]


def rigid_inverse(target_from_source: np.ndarray) -> np.ndarray:
    """source_from_target of a rigid transform (..., 4, 4)."""
    inverse = np.zeros_like(target_from_source)
    rotation_t = np.swapaxes(target_from_source[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = rotation_t
    inverse[..., :3, 3] = -np.einsum("...ij,...j->...i", rotation_t, target_from_source[..., :3, 3])
    inverse[..., 3, 3] = 1.0
    return inverse


def rigid_rotation_quat_wxyz(rotation: np.ndarray) -> np.ndarray:
    """(..., 4) unit quaternion, w first and >= 0, of rotation matrices (..., 3, 3).

    Source: Bar-Itzhack 2000, 'New method for extracting the quaternion from a rotation matrix': the largest
    eigenvector of a symmetric 4 x 4 matrix, which has no case split and also mends rounding.
    """
    r = np.asarray(rotation, dtype=np.float64)
    k = np.zeros((*r.shape[:-2], 4, 4))
    k[..., 0, 0] = r[..., 0, 0] + r[..., 1, 1] + r[..., 2, 2]
    for i, (a, b) in enumerate(((2, 1), (0, 2), (1, 0)), start=1):
        k[..., 0, i] = k[..., i, 0] = r[..., a, b] - r[..., b, a]
    for i in range(3):
        for j in range(3):
            k[..., i + 1, j + 1] = r[..., i, j] + r[..., j, i]
        k[..., i + 1, i + 1] = 2 * r[..., i, i] - k[..., 0, 0]
    quats = np.linalg.eigh(k)[1][..., -1]
    return quats * np.where(quats[..., :1] < 0, -1.0, 1.0)


def rotation_from_quat_wxyz(quats_wxyz: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotation matrices of quaternions (..., 4), w first, any non-zero length."""
    q = np.asarray(quats_wxyz)
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
