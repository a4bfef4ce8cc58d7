"""Spherical harmonics of degree 0 to 3: colour that depends on where it is seen from."""

from __future__ import annotations

import numpy as np

from gstalker.kernels.camera import Camera
from gstalker.kernels.gaussians import Gaussians

# Real spherical harmonics with the sign convention of 3D Gaussian splatting (Kerbl et al. 2023 and gsplat).
SH_DEGREE_0 = 0.28209479177387814  # 1 / (2 sqrt(pi))
SH_DEGREE_1 = 0.4886025119029199  # sqrt(3 / (4 pi))
SH_DEGREE_2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
SH_DEGREE_3 = (
    0.5900435899266435,
    2.890611442640554,
    0.4570457994644658,
    0.3731763325901154,
    1.445305721320277,
)


def sh_terms(x, y, z, count: int) -> list:
    """The first `count` basis functions at unit directions; x, y, z of any array type, the result's too."""
    c2, c3 = SH_DEGREE_2, SH_DEGREE_3
    xx, yy, zz = x * x, y * y, z * z
    terms = [
        SH_DEGREE_0 + 0 * x,
        -SH_DEGREE_1 * y,
        SH_DEGREE_1 * z,
        -SH_DEGREE_1 * x,
        c2[0] * x * y,
        -c2[0] * y * z,
        c2[1] * (2 * zz - xx - yy),
        -c2[0] * x * z,
        c2[2] * (xx - yy),
        -c3[0] * y * (3 * xx - yy),
        c3[1] * x * y * z,
        -c3[2] * y * (4 * zz - xx - yy),
        c3[3] * z * (2 * zz - 3 * xx - 3 * yy),
        -c3[2] * x * (4 * zz - xx - yy),
        c3[4] * z * (xx - yy),
        -c3[0] * x * (xx - 3 * yy),
    ]
    return terms[:count]


def evaluate_sh(sh_coeffs: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(N, 3) colours 0.5 + sum of coefficient times basis, not clamped.

    Args:
        sh_coeffs: (N, K, 3), K in 1, 4, 9, 16.
        directions: (N, 3) from the camera to the Gaussian, any length: normalised here, zero stays zero.
    """
    count = sh_coeffs.shape[1]
    if count == 1:
        return 0.5 + SH_DEGREE_0 * sh_coeffs[:, 0]
    unit = directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    basis = np.stack(sh_terms(unit[:, 0], unit[:, 1], unit[:, 2], count), axis=1)
    return 0.5 + np.einsum("nk,nkc->nc", basis, sh_coeffs)


def view_colors(gaussians: Gaussians, camera: Camera) -> np.ndarray:
    """(N, 3) colours of a cloud seen by a camera, clamped at 0 below, in the precision of the cloud."""
    centre_m = -camera.viewmat[:3, :3].T @ camera.viewmat[:3, 3]
    colors = evaluate_sh(gaussians.sh_coeffs, gaussians.means - centre_m)
    return np.maximum(colors, 0).astype(gaussians.sh_coeffs.dtype)
