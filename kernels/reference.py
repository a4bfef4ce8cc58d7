"""The referee: the renderer in double precision NumPy, written for reading.

Every other renderer, ours or an engine's, is compared with this one. Rules: docs/conventions.md.
"""

from __future__ import annotations

import numpy as np

from gstalker.kernels.camera import Camera, rotation_from_quat_wxyz
from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.rendered_image import RenderedImage
from gstalker.kernels.sh import evaluate_sh

DILATION_PX2 = 0.3
NEAR_M = 0.01
ALPHA_CUT = 1.0 / 255.0
ALPHA_MAX = 0.999
TRANSMITTANCE_STOP = 1e-4


def render(gaussians: Gaussians, camera: Camera, background: np.ndarray) -> RenderedImage:
    """Draw a cloud, float64.

    Args:
        gaussians: N Gaussians in world space.
        background: (3,) colour or (H, W, 3) picture behind the Gaussians.

    Raises:
        ValueError: the background has another shape, or a value is not finite.

    Source: Zwicker et al. 2001, EWA splatting; Kerbl et al. 2023, arXiv:2308.04079, sec. 4 and 6.
    """
    height, width = camera.height_px, camera.width_px
    background = np.asarray(background, dtype=np.float64)
    if background.shape not in ((3,), (height, width, 3)):
        raise ValueError(f"background: expected shape (3,) or ({height}, {width}, 3), got {background.shape}.")
    if not np.isfinite(background).all():
        raise ValueError("background: expected finite values, got NaN or infinity.")
    _refuse_unusable(gaussians)

    world_from_camera = np.linalg.inv(camera.viewmat.astype(np.float64))
    means = gaussians.means.astype(np.float64)
    colors = evaluate_sh(gaussians.sh_coeffs.astype(np.float64), means - world_from_camera[:3, 3])
    colors = np.maximum(colors, 0.0)
    opacities = gaussians.opacities.astype(np.float64)
    centres_px, covariances_px2, depths_m = project_gaussians(gaussians, camera)
    conics = np.linalg.inv(covariances_px2)

    rgb = np.zeros((height, width, 3))
    transmittance = np.ones((height, width))
    stopped = np.zeros((height, width), dtype=bool)
    visible = np.flatnonzero((depths_m >= NEAR_M) & (opacities >= ALPHA_CUT))
    for i in visible[np.argsort(depths_m[visible], kind="stable")]:
        # Outside this rectangle alpha is below the cut, so leaving it out changes nothing.
        reach = np.sqrt(2 * np.log(opacities[i] / ALPHA_CUT) * np.diag(covariances_px2[i]))
        (x0, y0), (x1, y1) = (
            np.clip(np.floor(centres_px[i] - reach), 0, (width, height)).astype(int),
            np.clip(np.ceil(centres_px[i] + reach), 0, (width, height)).astype(int),
        )
        if x0 >= x1 or y0 >= y1:
            continue
        area = np.s_[y0:y1, x0:x1]
        dx = (np.arange(x0, x1) + 0.5 - centres_px[i, 0])[None, :]
        dy = (np.arange(y0, y1) + 0.5 - centres_px[i, 1])[:, None]
        a, b, c = conics[i, 0, 0], conics[i, 0, 1], conics[i, 1, 1]
        q = a * dx * dx + 2 * b * dx * dy + c * dy * dy
        alpha = np.minimum(ALPHA_MAX, opacities[i] * np.exp(-q / 2))
        candidate = (alpha >= ALPHA_CUT) & ~stopped[area]
        after = transmittance[area] * (1 - alpha)
        drawn = candidate & (after > TRANSMITTANCE_STOP)
        stopped[area] |= candidate & ~drawn
        weight = np.where(drawn, alpha * transmittance[area], 0.0)
        rgb[area] += weight[..., None] * colors[i]
        transmittance[area] = np.where(drawn, after, transmittance[area])
    return RenderedImage(rgb=rgb + transmittance[..., None] * background, alpha=1 - transmittance)


def project_gaussians(gaussians: Gaussians, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where Gaussians fall: centres (N, 2) px, dilated covariances (N, 2, 2) px^2, depths (N,) camera z in m.

    The covariance is the first-order (EWA) one, J W Sigma W^T J^T. For x/z and y/z more than 30 % of half the
    picture beyond its border, J is taken at that limit, as gsplat 1.5 does; the centre is not moved. Rows of
    Gaussians nearer than NEAR_M mean nothing.
    """
    rotation, translation = camera.viewmat[:3, :3].astype(np.float64), camera.viewmat[:3, 3].astype(np.float64)
    in_camera = gaussians.means.astype(np.float64) @ rotation.T + translation
    depths_m = in_camera[:, 2]
    z = np.where(depths_m >= NEAR_M, depths_m, 1.0)
    focal = np.array([camera.K[0, 0], camera.K[1, 1]], dtype=np.float64)
    middle = np.array([camera.K[0, 2], camera.K[1, 2]], dtype=np.float64)
    size = np.array([camera.width_px, camera.height_px], dtype=np.float64)
    slopes = in_camera[:, :2] / z[:, None]
    centres_px = focal * slopes + middle

    margin = 0.3 * (0.5 * size / focal)
    slopes = np.clip(slopes, -middle / focal - margin, (size - middle) / focal + margin)
    jacobian = np.zeros((len(z), 2, 3))
    jacobian[:, 0, 0] = focal[0] / z
    jacobian[:, 0, 2] = -focal[0] * slopes[:, 0] / z
    jacobian[:, 1, 1] = focal[1] / z
    jacobian[:, 1, 2] = -focal[1] * slopes[:, 1] / z
    axes = rotation_from_quat_wxyz(gaussians.quats_wxyz.astype(np.float64)) * gaussians.scales[:, None, :]
    half = jacobian @ rotation @ axes
    return centres_px, half @ half.transpose(0, 2, 1) + DILATION_PX2 * np.eye(2), depths_m


def _refuse_unusable(gaussians: Gaussians) -> None:
    for name in ("means", "quats_wxyz", "scales", "opacities", "sh_coeffs"):
        values = getattr(gaussians, name)
        bad = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"{name}: expected finite values, got {values[first].tolist()} at index {first} (the first)."
            )
    zero = ~gaussians.quats_wxyz.any(axis=1)
    if zero.any():
        raise ValueError(
            f"quats_wxyz: expected non-zero lengths, got zero at index {int(np.argmax(zero))} (the first)."
        )
