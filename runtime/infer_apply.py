"""The networks' outputs onto the canonical Gaussians, in NumPy: what the fused kernel must agree with."""

from __future__ import annotations

import numpy as np


def apply_deltas(
    means: np.ndarray,
    quats_wxyz: np.ndarray,
    scales: np.ndarray,
    opacities: np.ndarray,
    opacity_logits: np.ndarray,
    deltas: np.ndarray,
    torso_deltas: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The networks' outputs (Mh, 11) and (Mt, 3) onto the canonical movers, in NumPy: means, quats, scales, opacities.

    Args:
        means, quats_wxyz, scales, opacities, opacity_logits: of the M = Mh + Mt canonical movers; unit quaternions.
    """
    head = len(deltas)
    means, quats, scales, opacities = means.copy(), quats_wxyz.copy(), scales.copy(), opacities.copy()
    means[:head] += deltas[:, 0:3]
    means[head:] += torso_deltas
    quats[:head] += deltas[:, 3:7]
    quats[:head] /= np.linalg.norm(quats[:head], axis=1, keepdims=True)
    scales[:head] *= np.exp(deltas[:, 7:10])
    opacities[:head] = 1 / (1 + np.exp(-(opacity_logits[:head] + deltas[:, 10])))
    return means, quats, scales, opacities
