"""gsplat's rasterizer behind the signatures of this package, for machines with an NVIDIA GPU.

gsplat is imported when it is first needed and only where CUDA answers: beside a CPU build of torch, touching its
back end starts a compiler and fails. gsplat takes one background colour per picture, so the background is laid
under by hand, the same way for colours and pictures.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import torch

from gstalker.kernels.camera import Camera
from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.reference import DILATION_PX2, NEAR_M
from gstalker.kernels.rendered_image import RenderedImage
from gstalker.kernels.sh import view_colors


def why_unavailable() -> str | None:
    """Why this back end cannot run here and what would help, in one line; None where it can."""
    if not torch.cuda.is_available():
        return "torch sees no CUDA device: a CUDA build of torch and an NVIDIA driver are needed, or use the CPU"
    if importlib.util.find_spec("gsplat") is None:
        return 'gsplat is not installed: pip install "gstalker[gpu]"'
    return None


def rasterize(
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
    screen_gradients: torch.Tensor | None = None,
    check_values: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`differentiable.rasterize` on CUDA tensors: rgb ([B,] H, W, 3), alpha ([B,] H, W).

    B frames are one call: each has Gaussians of its own, which in gsplat is a batch of scenes of one camera each;
    several cameras would have to share their Gaussians.

    Args:
        check_values: refuse values that are not finite, at the price of one wait for the GPU. Without it a frame
            with such values comes out not finite or incomplete.

    Raises:
        RuntimeError: no CUDA device, or gsplat is not installed.
        ValueError: a value is not finite.
    """
    reason = why_unavailable()
    if reason is not None:
        raise RuntimeError(f"CUDA rasterizer: {reason}.")
    batch = means.shape[:-2]
    background = background.to(means)
    if means.shape[-2] == 0:
        alpha = means.new_zeros((*batch, height_px, width_px))
        return background.expand(*batch, height_px, width_px, 3) + 0 * means.sum(), alpha
    parameters = {
        "means": means,
        "quats_wxyz": quats_wxyz,
        "scales": scales,
        "opacities": opacities,
        "colors": colors,
    }
    if check_values:
        _refuse_unusable(parameters)

    # The rules are docs/conventions.md's; gsplat 1.5's own constants are the same: alpha at most 0.999, cut at
    # 1/255, stop at a transmittance of 1e-4, slopes held 30 % beyond the picture's border.
    from gsplat import rasterization  # pyright: ignore[reportMissingImports]  extra "gpu"

    rgb, alpha, meta = rasterization(
        *(values.float() for values in parameters.values()),
        viewmats=viewmat.to(means).expand(*batch, 1, 4, 4),
        Ks=K.to(means).expand(*batch, 1, 3, 3),
        width=width_px,
        height=height_px,
        near_plane=NEAR_M,
        eps2d=DILATION_PX2,
        packed=False,
        rasterize_mode="classic",
    )
    if screen_gradients is not None and meta["means2d"].requires_grad:

        def collect(g_means2d: torch.Tensor) -> None:
            lengths = torch.linalg.vector_norm(g_means2d, dim=-1)  # ([B,] 1, N)
            screen_gradients.add_(lengths.reshape(-1, lengths.shape[-1]).sum(dim=0))

        meta["means2d"].register_hook(collect)
    rgb, alpha = rgb.squeeze(-4), alpha.squeeze(-4)  # the only camera
    return rgb + (1 - alpha) * background, alpha[..., 0]


def render(gaussians: Gaussians, camera: Camera, background: np.ndarray) -> RenderedImage:
    """`cpu.render` through gsplat; arrays in and out are NumPy's.

    Raises:
        RuntimeError: no CUDA device, or gsplat is not installed.
        ValueError: a value is not finite, or the background has a wrong shape.
    """
    reason = why_unavailable()
    if reason is not None:
        raise RuntimeError(f"CUDA rasterizer: {reason}.")
    if np.shape(background) not in ((3,), (camera.height_px, camera.width_px, 3)):
        raise ValueError(
            f"background: expected shape (3,) or ({camera.height_px}, {camera.width_px}, 3), "
            f"got {np.shape(background)}."
        )

    def upload(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(array, dtype=np.float32), device="cuda")

    with torch.no_grad():
        rgb, alpha = rasterize(
            upload(gaussians.means),
            upload(gaussians.quats_wxyz),
            upload(gaussians.scales),
            upload(gaussians.opacities),
            upload(view_colors(gaussians, camera)),
            viewmat=upload(camera.viewmat),
            K=upload(camera.K),
            width_px=camera.width_px,
            height_px=camera.height_px,
            background=upload(background),
        )
    return RenderedImage(rgb=rgb.cpu().numpy(), alpha=alpha.cpu().numpy())


def _refuse_unusable(parameters: dict[str, torch.Tensor]) -> None:
    """One wait for the GPU when all is well; the search for the culprit comes after."""
    batch_dims = parameters["means"].dim() - 2
    rows = {name: p.detach().flatten(0, batch_dims) for name, p in parameters.items()}
    finite = torch.stack([torch.isfinite(values).all() for values in rows.values()]).all()
    zero_quats = ~rows["quats_wxyz"].any(dim=1)
    if bool(finite & ~zero_quats.any()):
        return
    for name, values in rows.items():
        bad = ~torch.isfinite(values.reshape(len(values), -1)).all(dim=1)
        if bad.any():
            first = int(torch.nonzero(bad)[0, 0])
            raise ValueError(
                f"{name}: expected finite values, got {values[first].tolist()} at index {first} (the first)."
            )
    first = int(torch.nonzero(zero_quats)[0, 0])
    raise ValueError(f"quats_wxyz: expected non-zero lengths, got zero at index {first} (the first).")
