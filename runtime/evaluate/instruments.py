"""Which instruments this machine has: similarity, perceptual distance, a face detector."""

from __future__ import annotations

import numpy as np

from gstalker.runtime.evaluate.evaluation import Instruments


def ssim(rendered: np.ndarray, real: np.ndarray) -> float:
    """Structural similarity of two (H, W, 3) uint8 pictures (`kernels.ssim`)."""
    import torch

    from gstalker.kernels.ssim import fused_ssim

    pair = [torch.from_numpy(p.astype(np.float32) / 255.0) for p in (rendered, real)]
    return float(fused_ssim(pair[0], pair[1]))


def arithmetic_only() -> Instruments:
    """What is always there."""
    return Instruments(ssim=ssim, detector=None, lpips=None)
