"""Made clouds and cameras for the rasterizers' tests."""

from __future__ import annotations

import numpy as np

from gstalker.kernels.camera import Camera, intrinsics
from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.sh import SH_DEGREE_0


def tilted_camera(width_px: int, height_px: int) -> Camera:
    """A camera whose rows and columns all matter: turned, moved, unequal focal lengths, centre off the middle."""
    angle = 0.1
    viewmat = np.eye(4)
    viewmat[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ]
    viewmat[:3, 3] = [0.02, -0.03, 0.05]
    K = intrinsics(1.2 * width_px, width_px, height_px)
    K[1, 1] *= 1.1
    K[0, 2] += 1.3
    K[1, 2] -= 0.7
    return Camera(viewmat, K, width_px, height_px)


def random_cloud(
    count: int,
    camera: Camera,
    *,
    seed: int,
    sigma_px: tuple[float, float] = (0.8, 4.0),
    opacity: tuple[float, float] = (0.05, 1.0),
    overhang: float = 0.2,
    sh_degree: int = 0,
) -> Gaussians:
    """Splats of random shape spread over the picture and `overhang` of its size around, 0.8 to 1.2 m away."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(0.8, 1.2, count)
    size = np.array([camera.width_px, camera.height_px])
    pixels = rng.uniform(-overhang, 1 + overhang, (count, 2)) * size
    focal = np.array([camera.K[0, 0], camera.K[1, 1]])
    in_camera = np.column_stack([(pixels - [camera.K[0, 2], camera.K[1, 2]]) / focal * z[:, None], z])
    means = (in_camera - camera.viewmat[:3, 3]) @ camera.viewmat[:3, :3]
    bands = (sh_degree + 1) ** 2
    sh_coeffs = rng.normal(scale=0.1, size=(count, bands, 3))
    sh_coeffs[:, 0] = (rng.uniform(0, 1, (count, 3)) - 0.5) / SH_DEGREE_0
    arrays = (
        means,
        rng.normal(size=(count, 4)),
        np.exp(rng.uniform(np.log(sigma_px[0]), np.log(sigma_px[1]), (count, 3))) / focal[0],
        rng.uniform(*opacity, count),
        sh_coeffs,
    )
    return Gaussians(*(a.astype(np.float32) for a in arrays))


def one_splat(
    *,
    mean_m: tuple[float, float, float] = (0.0, 0.0, 1.0),
    scales_m: tuple[float, float, float] = (0.01, 0.01, 0.01),
    opacity: float = 0.5,
    color: tuple[float, float, float] = (1.0, 0.5, 0.25),
) -> Gaussians:
    """A single Gaussian with its axes along the world's."""
    return Gaussians(
        means=np.array([mean_m], np.float32),
        quats_wxyz=np.array([[1, 0, 0, 0]], np.float32),
        scales=np.array([scales_m], np.float32),
        opacities=np.array([opacity], np.float32),
        sh_coeffs=((np.array([[color]]) - 0.5) / SH_DEGREE_0).astype(np.float32),
    )


def plain_camera(width_px: int = 32, height_px: int = 32, focal_px: float = 100.0) -> Camera:
    """At the origin, looking along +z."""
    return Camera(np.eye(4), intrinsics(focal_px, width_px, height_px), width_px, height_px)
