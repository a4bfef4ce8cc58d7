"""Adaptive density control: split Gaussians where the picture still pulls at them, most where things move.

Kerbl et al. 2023 (arXiv:2308.04079, sec. 5.2) split by the size of the screen-space gradient. GSTalker
(arXiv:2404.19040) wants more Gaussians in frequently moving regions; here the gradient is weighed by how far the
field moves a Gaussian. Faint Gaussians are given to those places, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gstalker.runtime.model.canonical import CanonicalGaussians
from gstalker.runtime.train.config import DensityConfig

SPLIT_SHRINK = 1.6  # Kerbl et al.: both halves of a split get their scale divided by this


@dataclass
class DensityStats:
    """Running sums per Gaussian since the last round.

    Attributes:
        screen_gradients: (N,) sum of |dL/d mean2d|, 1/px.
        motion: (N,) sum of the distance that the field moved the Gaussian, metres.
        frames: how many frames were summed.
    """

    screen_gradients: Tensor
    motion: Tensor
    frames: int = 0

    @staticmethod
    def zeros(count: int, device: torch.device | None = None) -> DensityStats:
        return DensityStats(torch.zeros(count, device=device), torch.zeros(count, device=device))


@dataclass(frozen=True)
class GrowthPlan:
    """Which rows a round removes and which it splits in two."""

    keep: Tensor  # (K,) ascending rows that stay
    split: Tensor  # (S,) rows, all kept, that become two


def plan_growth(stats: DensityStats, canonical: CanonicalGaussians, config: DensityConfig) -> GrowthPlan:
    """Choose what to remove (too faint to show) and what to split (largest motion-weighted gradient).

    The number after the round is the present one times 1 + growth, whatever is removed.
    """
    count = len(canonical)
    opacities = torch.sigmoid(canonical.opacity_logits.detach())
    keep = torch.nonzero(opacities >= config.min_opacity)[:, 0]
    budget = int(count * (1 + config.growth)) - len(keep)
    motion = stats.motion / max(stats.frames, 1)
    scale = torch.quantile(motion, 0.95) if float(motion.max()) > 0 else motion.new_ones(())
    weight = 1 + config.motion_boost * (motion / scale.clamp(min=1e-9)).clamp(max=1)
    score = (stats.screen_gradients * weight)[keep]
    ranked = torch.argsort(score, descending=True, stable=True)[: min(budget, len(keep))]
    return GrowthPlan(keep, torch.sort(keep[ranked]).values)


@torch.no_grad()
def grow(
    canonical: CanonicalGaussians, plan: GrowthPlan, generator: torch.Generator
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """The rows after a round.

    Returns:
        parameters by name and kinds, in `kinds` order, and (N',) the old row of every new one; of a split, only the
        first half keeps its old row, the second has -1 (its optimizer moments start from zero).
    """
    split_mask = torch.zeros(len(canonical), dtype=torch.bool, device=plan.keep.device)
    split_mask[plan.split] = True
    sources = torch.cat([plan.keep, plan.split])
    origin = torch.cat([plan.keep, torch.full_like(plan.split, -1)])
    order = torch.argsort(canonical.kinds[sources], stable=True)
    sources, origin = sources[order], origin[order]
    values = {name: getattr(canonical, name).detach()[sources].clone() for name in canonical.PARAMETERS}
    halves = split_mask[sources]
    sign = torch.where(origin < 0, -1.0, 1.0)
    # Both halves of a split move apart by the same random step, so that together they still cover the old splat.
    steps = torch.randn(len(canonical), 3, generator=generator).to(sources.device)[sources]
    local = steps * torch.exp(values["log_scales"]) * 0.5
    offset = rotate(values["quats_wxyz"], local) * sign[:, None]
    values["means"] = torch.where(halves[:, None], values["means"] + offset, values["means"])
    shrunk = values["log_scales"] - math.log(SPLIT_SHRINK)
    values["log_scales"] = torch.where(halves[:, None], shrunk, values["log_scales"])
    return values, canonical.kinds[sources], origin


def rotate(quats_wxyz: Tensor, vectors: Tensor) -> Tensor:
    """(N, 3) vectors turned by (N, 4) quaternions of any length."""
    q = torch.nn.functional.normalize(quats_wxyz, dim=1)
    w, axis = q[:, :1], q[:, 1:]
    twice = 2 * torch.linalg.cross(axis, vectors)
    return vectors + w * twice + torch.linalg.cross(axis, twice)
