"""Canonical Gaussians to camera space in one pass forward and one back, for training on a CPU (numba).

What `AvatarModel.posed` does with forty of torch's operators over arrays of every Gaussian.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from gstalker.kernels.sh import SH_DEGREE_0

_SH = np.float32(SH_DEGREE_0)


class Place(NamedTuple):
    """A rigid pose of one part: camera_from_part."""

    pose: Tensor  # (4, 4)
    quat_matrix: Tensor  # (4, 4) that turns quaternions w, x, y, z by the pose's rotation


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _forward(
    means, quats, log_scales, logits, sh, deltas, torso_deltas, poses, turns, o_means, o_quats, o_scales, o_alphas,
    o_colors,
):  # fmt: skip
    movers, torso_end = len(deltas), len(deltas) + len(torso_deltas)
    q = np.empty(4, np.float32)
    for i in range(len(means)):
        part = 1 if movers <= i < torso_end else 0
        pose, turn = poses[part], turns[part]
        x, y, z, logit = means[i, 0], means[i, 1], means[i, 2], logits[i]
        length = np.float32(0)
        for k in range(4):
            length += quats[i, k] * quats[i, k]
        inverse = np.float32(1) / max(np.sqrt(length), np.float32(1e-12))
        for k in range(4):
            q[k] = quats[i, k] * inverse
        if i < movers:
            x, y, z = x + deltas[i, 0], y + deltas[i, 1], z + deltas[i, 2]
            for k in range(4):
                q[k] += deltas[i, 3 + k]
            for k in range(3):
                o_scales[i, k] = math.exp(log_scales[i, k] + deltas[i, 7 + k])
            logit += deltas[i, 10]
        else:
            if part == 1:
                j = i - movers
                x, y, z = x + torso_deltas[j, 0], y + torso_deltas[j, 1], z + torso_deltas[j, 2]
            for k in range(3):
                o_scales[i, k] = math.exp(log_scales[i, k])
        o_alphas[i] = np.float32(1) / (np.float32(1) + math.exp(-logit))
        for k in range(3):
            o_means[i, k] = pose[k, 0] * x + pose[k, 1] * y + pose[k, 2] * z + pose[k, 3]
            o_colors[i, k] = np.float32(0.5) + _SH * sh[i, k]
        for k in range(4):
            o_quats[i, k] = turn[k, 0] * q[0] + turn[k, 1] * q[1] + turn[k, 2] * q[2] + turn[k, 3] * q[3]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _backward(
    quats, scales, alphas, poses, turns, g_means, g_quats, g_scales, g_alphas, g_colors, o_means, o_quats,
    o_log_scales, o_logits, o_sh, o_deltas, o_torso_deltas,
):  # fmt: skip
    movers, torso_end = len(o_deltas), len(o_deltas) + len(o_torso_deltas)
    g_q = np.empty(4, np.float32)
    for i in range(len(quats)):
        part = 1 if movers <= i < torso_end else 0
        pose, turn = poses[part], turns[part]
        length = np.float32(0)
        for k in range(4):
            length += quats[i, k] * quats[i, k]
        inverse = np.float32(1) / max(np.sqrt(length), np.float32(1e-12))
        along = np.float32(0)
        for k in range(4):
            g_q[k] = (
                turn[0, k] * g_quats[i, 0] + turn[1, k] * g_quats[i, 1] + turn[2, k] * g_quats[i, 2]
                + turn[3, k] * g_quats[i, 3]
            )  # fmt: skip
            along += g_q[k] * quats[i, k] * inverse
        for k in range(4):
            o_quats[i, k] = (g_q[k] - along * quats[i, k] * inverse) * inverse
        for k in range(3):
            o_means[i, k] = (
                pose[0, k] * g_means[i, 0] + pose[1, k] * g_means[i, 1] + pose[2, k] * g_means[i, 2]
            )  # fmt: skip
            o_log_scales[i, k] = g_scales[i, k] * scales[i, k]
            o_sh[i, k] = _SH * g_colors[i, k]
        o_logits[i] = g_alphas[i] * alphas[i] * (np.float32(1) - alphas[i])
        if i < movers:
            for k in range(3):
                o_deltas[i, k], o_deltas[i, 7 + k] = o_means[i, k], o_log_scales[i, k]
            for k in range(4):
                o_deltas[i, 3 + k] = g_q[k]
            o_deltas[i, 10] = o_logits[i]
        elif part == 1:
            for k in range(3):
                o_torso_deltas[i - movers, k] = o_means[i, k]


class _Placed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, means, quats, log_scales, logits, sh, deltas, torso_deltas, poses, turns):
        inputs = [_rows(t) for t in (means, quats, log_scales, logits, sh, deltas, torso_deltas, poses, turns)]
        count = len(means)
        out = [torch.empty(count, n) if n else torch.empty(count) for n in (3, 4, 3, 0, 3)]
        _forward(*inputs, *(t.numpy() for t in out))
        ctx.save_for_backward(quats, out[2], out[3], poses, turns)
        ctx.counts = len(deltas), len(torso_deltas)
        return tuple(out)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        saved = [_rows(t) for t in ctx.saved_tensors]
        count, (movers, torso) = len(saved[0]), ctx.counts
        shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, 3), (movers, 11), (torso, 3))
        out = [torch.empty(shape) for shape in shapes]
        _backward(*saved, *(_rows(g) for g in grads), *(t.numpy() for t in out))
        return (*out, None, None)


def placed(
    means: Tensor, quats_wxyz: Tensor, log_scales: Tensor, opacity_logits: Tensor, sh_0: Tensor, deltas: Tensor,
    torso_deltas: Tensor, head: Place, torso: Place,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gaussians before the camera, differentiable by the seven first arguments; float32 on the CPU.

    Args:
        means (N, 3), quats_wxyz (N, 4), log_scales (N, 3), opacity_logits (N,), sh_0 (N, 3): canonical; the rows
            are M movers of the head, T of the torso, the rest of the head.
        deltas: (M, 11) position, quaternion (added to the unit one), log-scale, logit.
        torso_deltas: (T, 3) position.
        head, torso: where the parts are.

    Returns:
        means (N, 3), quats_wxyz (N, 4) of any length, scales (N, 3), opacities (N,), colors (N, 3).
    """
    poses, turns = torch.stack([head.pose, torso.pose]), torch.stack([head.quat_matrix, torso.quat_matrix])
    return _Placed.apply(
        means, quats_wxyz, log_scales, opacity_logits, sh_0, deltas, torso_deltas, poses, turns
    )  # fmt: skip


def _rows(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()
