"""The rasterizer in plain PyTorch over dense lists, the way it is usually written.

In float64 it is autograd's word on gradients, in float32 what `bench kernels` compares the CPU rasterizer with.
"""

from __future__ import annotations

import torch

from gstalker.kernels.reference import ALPHA_CUT, ALPHA_MAX, DILATION_PX2, NEAR_M, TRANSMITTANCE_STOP


def rotation_matrices(quats_wxyz: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) from quaternions (N, 4) of any non-zero length."""
    w, x, y, z = torch.nn.functional.normalize(quats_wxyz, dim=1).unbind(1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], dim=1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], dim=1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=1),
    ]
    return torch.stack(rows, dim=1)


def project_to_screen(
    means: torch.Tensor,
    quats_wxyz: torch.Tensor,
    scales: torch.Tensor,
    viewmat: torch.Tensor,
    K: torch.Tensor,
    width_px: int,
    height_px: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres (N, 2) px and dilated covariances (N, 2, 2) px^2 of Gaussians in front of the camera."""
    in_camera = means @ viewmat[:3, :3].T + viewmat[:3, 3]
    z = in_camera[:, 2]
    focal = torch.stack([K[0, 0], K[1, 1]])
    middle = torch.stack([K[0, 2], K[1, 2]])
    slopes = in_camera[:, :2] / z[:, None]
    centres = slopes * focal + middle
    size = torch.tensor([width_px, height_px], dtype=means.dtype)
    margin = 0.15 * size / focal
    clamped = torch.minimum(torch.maximum(slopes, -middle / focal - margin), (size - middle) / focal + margin)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [
            torch.stack([focal[0] / z, zero, -focal[0] * clamped[:, 0] / z], dim=1),
            torch.stack([zero, focal[1] / z, -focal[1] * clamped[:, 1] / z], dim=1),
        ],
        dim=1,
    )
    half = jacobian @ viewmat[:3, :3] @ rotation_matrices(quats_wxyz) * scales[:, None, :]
    covariances = half @ half.transpose(1, 2) + DILATION_PX2 * torch.eye(2, dtype=means.dtype)
    return centres, covariances


def rasterize_dense(
    means: torch.Tensor,
    quats_wxyz: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    colors: torch.Tensor,
    *,
    viewmat: torch.Tensor,
    K: torch.Tensor,
    width_px: int,
    height_px: int,
    background: torch.Tensor,
    tile_px: int = 16,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`differentiable.rasterize` in the precision of its inputs: rgb (H, W, 3), alpha (H, W).

    Each square tile takes the dense list of splats whose bounding box touches it, front to back, evaluates all
    of them at all of its pixels and multiplies transmittances by a cumulative product.
    """
    with torch.no_grad():
        depth = (means @ viewmat[:3, :3].T + viewmat[:3, 3])[:, 2]
        keep = torch.nonzero((depth >= NEAR_M) & (opacities >= ALPHA_CUT))[:, 0]
        keep = keep[torch.argsort(depth[keep], stable=True)]
    opacities, colors = opacities[keep], colors[keep]
    centres, covariances = project_to_screen(
        means[keep], quats_wxyz[keep], scales[keep], viewmat, K, width_px, height_px
    )
    conics = torch.linalg.inv(covariances)
    with torch.no_grad():
        q_max = 2 * torch.log(opacities / ALPHA_CUT) + 1e-3
        extent = torch.sqrt(q_max[:, None] * torch.diagonal(covariances, dim1=1, dim2=2))
        low, high = centres - extent, centres + extent
    plate = background.expand(height_px, width_px, 3)
    rgb_rows, alpha_rows = [], []
    for y0 in range(0, height_px, tile_px):
        y1 = min(y0 + tile_px, height_px)
        rgb_row, alpha_row = [], []
        for x0 in range(0, width_px, tile_px):
            x1 = min(x0 + tile_px, width_px)
            here = (low[:, 0] < x1) & (high[:, 0] > x0) & (low[:, 1] < y1) & (high[:, 1] > y0)
            index = torch.nonzero(here)[:, 0]
            rgb, alpha = _blend_tile(
                centres[index], conics[index], opacities[index], colors[index], plate[y0:y1, x0:x1], x0, y0
            )
            rgb_row.append(rgb)
            alpha_row.append(alpha)
        rgb_rows.append(torch.cat(rgb_row, dim=1))
        alpha_rows.append(torch.cat(alpha_row, dim=1))
    return torch.cat(rgb_rows), torch.cat(alpha_rows)


def _blend_tile(centres, conics, opacities, colors, plate, x0: int, y0: int) -> tuple[torch.Tensor, torch.Tensor]:
    height, width = plate.shape[:2]
    xs = torch.arange(width, dtype=centres.dtype) + x0 + 0.5
    ys = torch.arange(height, dtype=centres.dtype) + y0 + 0.5
    dx = (xs[None, :] - centres[:, 0:1])[:, None, :]
    dy = (ys[None, :] - centres[:, 1:2])[:, :, None]
    a, b, c = conics[:, 0, 0, None, None], conics[:, 0, 1, None, None], conics[:, 1, 1, None, None]
    q = a * dx * dx + 2 * b * dx * dy + c * dy * dy
    alpha = torch.clamp(opacities[:, None, None] * torch.exp(-0.5 * q), max=ALPHA_MAX)
    alpha = torch.where(alpha >= ALPHA_CUT, alpha, torch.zeros_like(alpha))
    after = torch.cumprod(1 - alpha, dim=0)
    # The product only falls, so once a splat would pass the stop, it and all behind it are left out.
    drawn = after > TRANSMITTANCE_STOP
    alpha = torch.where(drawn, alpha, torch.zeros_like(alpha))
    before = torch.cumprod(torch.cat([torch.ones_like(alpha[:1]), 1 - alpha]), dim=0)
    weights = alpha * before[:-1]
    through = before[-1]
    rgb = torch.einsum("nhw,nc->hwc", weights, colors) + through[..., None] * plate
    return rgb, 1 - through
