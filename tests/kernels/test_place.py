"""Canonical Gaussians placed before the camera in one pass, against torch's operators in doubles."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gstalker.kernels.place import Place, placed
from gstalker.kernels.sh import SH_DEGREE_0
from gstalker.runtime.model.avatar import quat_turn_matrix

COUNT, MOVERS, TORSO = 300, 120, 90


def a_pose() -> Tensor:
    turn = torch.linalg.qr(torch.randn(3, 3))[0]
    pose = torch.eye(4)
    pose[:3, :3], pose[:3, 3] = turn * torch.det(turn), torch.randn(3)
    return pose


def inputs(dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(1)
    shapes = [(COUNT, 3), (COUNT, 4), (COUNT, 3), (COUNT,), (COUNT, 3), (MOVERS, 11), (TORSO, 3)]
    return [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]


def plainly(arguments: list[Tensor], head: Tensor, torso: Tensor) -> tuple[Tensor, ...]:
    means, quats, log_scales, logits, sh_0, deltas, torso_deltas = arguments
    rest = COUNT - MOVERS - TORSO
    deltas = torch.cat([deltas, deltas.new_zeros(COUNT - MOVERS, 11)])
    moved = torch.cat([means.new_zeros(MOVERS, 3), torso_deltas, means.new_zeros(rest, 3)])
    means = means + deltas[:, :3] + moved
    quats = torch.nn.functional.normalize(quats, dim=1) + deltas[:, 3:7]
    blocks = [(slice(0, MOVERS), head), (slice(MOVERS, MOVERS + TORSO), torso), (slice(MOVERS + TORSO, COUNT), head)]
    turned = [quats[rows] @ quat_turn_matrix(pose[:3, :3]).to(means).T for rows, pose in blocks]
    return (
        torch.cat([means[rows] @ pose[:3, :3].to(means).T + pose[:3, 3].to(means) for rows, pose in blocks]),
        torch.cat(turned),
        torch.exp(log_scales + deltas[:, 7:10]),
        torch.sigmoid(logits + deltas[:, 10]),
        0.5 + SH_DEGREE_0 * sh_0,
    )


def as_placed(arguments: list[Tensor], head: Place, torso: Place) -> tuple[Tensor, ...]:
    means, quats, log_scales, logits, sh_0, deltas, torso_deltas = arguments
    return placed(means, quats, log_scales, logits, sh_0, deltas, torso_deltas, head, torso)


def weighed(values: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """One number that all of the values change."""
    return torch.stack([(value * weight).sum() for value, weight in zip(values, weights, strict=True)]).sum()


def test_one_pass_places_gaussians_and_their_gradients_as_torch_does_in_doubles():
    torch.manual_seed(0)
    head, torso = a_pose(), a_pose()
    at_head, at_torso = (Place(pose, quat_turn_matrix(pose[:3, :3])) for pose in (head, torso))
    exact_in, fast_in = inputs(torch.float64), inputs(torch.float32)
    exact, fast = plainly(exact_in, head, torso), as_placed(fast_in, at_head, at_torso)
    weights = [torch.randn_like(f) for f in fast]
    exact_grads = torch.autograd.grad(weighed(exact, weights), exact_in)
    fast_grads = torch.autograd.grad(weighed(fast, weights), fast_in)
    for want, got in zip((*exact, *exact_grads), (*fast, *fast_grads), strict=True):
        # A dozen float32 operations on values of order one: measured at most 1.3e-7 of the largest.
        assert float((want - got).abs().max() / want.abs().max()) < 2e-6
