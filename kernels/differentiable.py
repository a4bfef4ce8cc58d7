"""Rendering with gradients, for training: torch autograd over the CPU and CUDA rasterizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gstalker.kernels import cpu, cuda
from gstalker.kernels.sh import SH_DEGREE_0, sh_terms

Array = torch.Tensor | np.ndarray


def sh_torch(sh_coeffs: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """`sh.evaluate_sh` with gradients: (N, K, 3), (N, 3) -> (N, 3), not clamped."""
    count = sh_coeffs.shape[1]
    if count == 1:
        return 0.5 + SH_DEGREE_0 * sh_coeffs[:, 0]
    unit = torch.nn.functional.normalize(directions, dim=1)
    basis = torch.stack(sh_terms(unit[:, 0], unit[:, 1], unit[:, 2], count), dim=1)
    return 0.5 + torch.einsum("nk,nkc->nc", basis, sh_coeffs)


class _CpuRasterizer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, means, quats, scales, opacities, colors, background, viewmat, K, size, screen):
        drawing = cpu.draw(
            means.detach().numpy(),
            quats.detach().numpy(),
            scales.detach().numpy(),
            opacities.detach().numpy(),
            colors.detach().numpy(),
            viewmat,
            K,
            size[0],
            size[1],
            background.detach().numpy(),
        )
        # Saved so that torch complains if they are changed in place before the backward pass reads them.
        ctx.save_for_backward(means, quats, scales, background)
        ctx.drawing = drawing
        ctx.screen = screen
        ctx.background_is_color = background.ndim == 1
        return torch.from_numpy(drawing.rgb), torch.from_numpy(1 - drawing.transmittance)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        g_rgb, g_alpha = grads
        _ = ctx.saved_tensors
        drawing: cpu.Drawing = ctx.drawing
        g_background = None
        if ctx.needs_input_grad[5]:
            g_background = g_rgb * torch.from_numpy(drawing.transmittance)[..., None]
            if ctx.background_is_color:
                g_background = g_background.sum((0, 1))
        if not any(ctx.needs_input_grad[:5]):
            return (None,) * 5 + (g_background,) + (None,) * 4
        g = cpu.draw_backward(drawing, g_rgb.numpy(), g_alpha.numpy())
        if ctx.screen is not None:
            ctx.screen += torch.from_numpy(g.screen)
        own = (g.means, g.quats_wxyz, g.scales, g.opacities, g.colors)
        return (*(torch.from_numpy(a) for a in own), g_background, None, None, None, None)


def rasterize(
    means: torch.Tensor,
    quats_wxyz: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    colors: torch.Tensor,
    *,
    viewmat: Array,
    K: Array,
    width_px: int,
    height_px: int,
    background: Array,
    backend: str = "cpu",
    screen_gradients: torch.Tensor | None = None,
    check_values: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw Gaussians, with gradients for all five inputs and for the background.

    All five may have a further axis B in front, frames that are drawn each from its own Gaussians; so may the
    background, a picture then, and the results. On a GPU that is one call, on the CPU one frame after the other.

    Args:
        means: (N, 3) world positions, metres.
        quats_wxyz: (N, 4), w first, any non-zero length (normalised here, gradient included).
        scales: (N, 3) linear standard deviations, metres.
        opacities: (N,) in 0..1.
        colors: (N, 3) display-space colours, not clamped here (spherical harmonics: `sh_torch` first).
        viewmat: (4, 4) camera_from_world, rigid; K: (3, 3) px. Neither is differentiated.
        background: (3,) colour or (H, W, 3) picture.
        backend: "cpu" (numba) or "cuda" (gsplat).
        screen_gradients: optional (N,) float32 tensor, same device; backward adds |dL/d mean2d| in 1/px, of all
            frames.
        check_values: refuse values that are not finite. The CPU always does; on a GPU it costs a wait for it.

    Returns:
        rgb (H, W, 3) and alpha (H, W) float32.

    Raises:
        ValueError: a shape disagrees, a value is not finite, or the back end is unknown.
        RuntimeError: backend "cuda" on a machine without CUDA or gsplat.
    """
    if not isinstance(background, torch.Tensor):
        background = torch.from_numpy(np.asarray(background, dtype=np.float32))
    count = means.shape[-2]
    if screen_gradients is not None and screen_gradients.shape != (count,):
        raise ValueError(f"screen_gradients: expected shape ({count},), got {tuple(screen_gradients.shape)}.")
    if backend == "cuda":
        return cuda.rasterize(
            means,
            quats_wxyz,
            scales,
            opacities,
            colors,
            viewmat=torch.as_tensor(viewmat),
            K=torch.as_tensor(K),
            width_px=width_px,
            height_px=height_px,
            background=background,
            screen_gradients=screen_gradients,
            check_values=check_values,
        )
    if backend != "cpu":
        raise ValueError(f'backend: expected "cpu" or "cuda", got "{backend}".')
    if means.device.type != "cpu":
        raise ValueError(f'backend "cpu": expected tensors on the CPU, got them on {means.device}.')
    if means.dim() == 3:
        plates = background if background.dim() == 4 else [background] * len(means)
        frames = zip(means, quats_wxyz, scales, opacities, colors, plates, strict=True)
        camera = {"viewmat": viewmat, "K": K, "width_px": width_px, "height_px": height_px}
        drawn = [rasterize(*f[:5], background=f[5], screen_gradients=screen_gradients, **camera) for f in frames]
        return torch.stack([rgb for rgb, _ in drawn]), torch.stack([alpha for _, alpha in drawn])
    return _CpuRasterizer.apply(
        means,
        quats_wxyz,
        scales,
        opacities,
        colors,
        background,
        _host_array(viewmat),
        _host_array(K),
        (width_px, height_px),
        screen_gradients,
    )


def _host_array(array: Array) -> np.ndarray:
    return array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
