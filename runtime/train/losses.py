"""What a rendered frame is judged by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gstalker.kernels.ssim import fused_ssim
from gstalker.runtime.train.config import LossConfig


@dataclass(frozen=True)
class FrameLoss:
    """The total, and its parts for the log: () tensors, detached. Reading one waits for the device."""

    total: Tensor
    l1: Tensor
    dssim: Tensor
    matte: Tensor
    delta: Tensor

    def parts(self) -> dict[str, Tensor]:
        """What the log calls them."""
        return {"loss": self.total, "l1": self.l1, "dssim": self.dssim, "matte": self.matte, "delta": self.delta}


def pixel_weights(
    size_px: int,
    mouth_box: np.ndarray,
    eye_boxes: np.ndarray,
    confidence: float,
    config: LossConfig,
    device: torch.device | None = None,
) -> Tensor:
    """(H, W, 1) weight of each pixel's L1 error, mean 1 apart from the frame's own confidence.

    Args:
        size_px: picture size.
        mouth_box: (4,) x0, y0, x1, y1.
        eye_boxes: (2, 4).
        confidence: of the head pose, 0..1; a frame that was tracked badly teaches less.
        config: weights.
        device: where they are made; the CPU if None.
    """
    weights = torch.ones(size_px, size_px, 1, device=device)
    for x0, y0, x1, y1 in eye_boxes.tolist():
        weights[y0:y1, x0:x1] = config.eyes
    x0, y0, x1, y1 = mouth_box.tolist()
    weights[y0:y1, x0:x1] = config.mouth
    return weights * (confidence / weights.mean())


def frame_loss(
    rgb: Tensor, alpha: Tensor, real: Tensor, matte: Tensor, weights: Tensor, delta_outputs: Tensor | None,
    config: LossConfig, share: float = 1.0,
) -> FrameLoss:  # fmt: skip
    """L1 + D-SSIM on the picture, L1 on the matte, size of the deltas.

    Args:
        rgb: (H, W, 3) rendered over the clip's backdrop.
        alpha: (H, W) rendered.
        real: (H, W, 3) the frame.
        matte: (H, W) 0..1.
        weights: (H, W, 1) of `pixel_weights`.
        delta_outputs: (M, 11) the field's output in its own units, or None in stage 1.
        share: of the whole picture's area that H x W is; pixels weigh as they do in the whole.

    Source: Kerbl et al. 2023, arXiv:2308.04079, sec. 5.1 for L1 with D-SSIM; TalkingGaussian (arXiv:2404.15264),
    sec. 3.4 for the delta and matte terms.
    """
    l1 = ((rgb - real).abs() * weights).mean()
    dssim = 1.0 - fused_ssim(rgb, real)
    outline = (alpha - matte).abs().mean()
    total = share * ((1 - config.dssim) * l1 + config.dssim * dssim + config.matte * outline)
    delta = rgb.new_zeros(())
    if delta_outputs is not None:
        delta = delta_outputs.square().mean()
        total = total + config.delta * delta
    return FrameLoss(total, l1.detach(), dssim.detach(), outline.detach(), delta.detach())


def mean_loss(losses: list[FrameLoss]) -> FrameLoss:
    """The mean of several frames' losses, part by part."""
    return FrameLoss(
        *(torch.stack(values).mean() for values in zip(*(x.parts().values() for x in losses), strict=True))
    )


def random_patch(matte: Tensor, size_px: int, generator: torch.Generator) -> tuple[slice, slice]:
    """Rows and columns of a square patch about a random pixel of the person, inside the picture.

    `matte` (H, W) 0..1 lies on the CPU: where the person is decides sizes, for which a GPU would be waited.
    """
    height, width = matte.shape
    person = torch.nonzero(matte > 0.5)
    pick = int(torch.randint(max(len(person), 1), (1,), generator=generator))
    row, column = person[pick].tolist() if len(person) else (height // 2, width // 2)
    side = min(size_px, height, width)
    top = min(max(row - side // 2, 0), height - side)
    left = min(max(column - side // 2, 0), width - side)
    return slice(top, top + side), slice(left, left + side)
