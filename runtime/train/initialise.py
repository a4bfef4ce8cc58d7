"""The coarse start: Gaussians lifted from a few tracked frames into the canonical spaces of head and torso.

GSTalker (arXiv:2404.19040) starts from coarse static Gaussians learnt from the images. Here they begin where the
pictures already show them: every sampled pixel becomes a splat at the depth of the tracked face mesh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gstalker.runtime import landmarks as lm
from gstalker.runtime import regions
from gstalker.runtime.model.canonical import KIND_HEAD_MOVER, KIND_TORSO, SH_BAND_0, CanonicalGaussians
from gstalker.runtime.train.lift import (
    START_OPACITY,
    Cloud,
    ReferenceView,
    SampledPixels,
    lift_head_pixels,
    lift_torso_pixels,
    sample_pixels,
    unproject,
)
from gstalker.runtime.train.more_views import SHELL_SHARE, lift_shell, lift_uncovered

MOUTH_INTERIOR_SHARE = 0.06  # of the head's Gaussians, placed behind the lips
MOUTH_INTERIOR_DEPTH_M = 0.010  # teeth lie about this far behind the lips
THROAT_SHARE = 0.2  # of those, darker and further back
THROAT_DEPTH_M = 0.015  # behind the teeth
THROAT_SPREAD = 2.0  # fewer have to close the same opening
NECK_OVERLAP_PX_AT_256 = 14  # neck continued behind the chin, where no frame shows it


@dataclass(frozen=True)
class InitConfig:
    """How many Gaussians to start with."""

    head_count: int = 8500  # hair, face and mouth interior together
    torso_count: int = 4000  # neck and clothes
    min_scale_px: float = 0.2  # bound of a splat's standard deviation, at its depth
    views: int = 5  # frames of different poses to start from; 1 is the frontal frame alone, with no shell either
    max_scale_px: float = 6.0  # without it splats swallow what nothing else explains


def canonical_from_views(
    still: ReferenceView, open_mouth: ReferenceView, landmarks_head_m: np.ndarray, focal_px: float, config: InitConfig,
    seed: int, further: Sequence[ReferenceView] = (),
) -> tuple[CanonicalGaussians, Tensor]:  # fmt: skip
    """Lift the start from one frontal frame with the mouth closed, the mouth's inside and what it hides from others.

    Args:
        still: frontal, mouth closed, eyes open.
        open_mouth: the mouth as far open as the data show.
        landmarks_head_m: (478, 3) the tracker's face mesh, NaN where unknown.
        focal_px: the dataset's focal length.
        config: counts and bounds.
        seed: of the sampling.
        further: frames with other head poses; whatever they add is taken off the frontal frame's count.

    Returns:
        the Gaussians, and (2, 3) corners of the box, head space, that holds the head's movers.
    """
    rng = np.random.default_rng(seed)
    interior = lift_mouth_interior(
        open_mouth, landmarks_head_m, focal_px, round(config.head_count * MOUTH_INTERIOR_SHARE), rng
    )
    shell_count = round(config.head_count * SHELL_SHARE) if config.views > 1 else 0
    head_count, torso_count = config.head_count - len(interior.means) - shell_count, config.torso_count
    added: list[Cloud] = []
    if further:  # a first start, to see what it leaves open
        known = [
            *lift_head(still, landmarks_head_m, focal_px, head_count, rng),
            lift_torso(still, landmarks_head_m, focal_px, torso_count, rng),
        ]
        added = lift_uncovered(known, further, landmarks_head_m, focal_px, (head_count, torso_count), rng)
    of_torso = sum(len(c.means) for c in added if c.kind == KIND_TORSO)
    of_head = sum(len(c.means) for c in added) - of_torso
    clouds = [
        *lift_head(still, landmarks_head_m, focal_px, head_count - of_head, rng),
        *added,
        interior,
        lift_torso(still, landmarks_head_m, focal_px, torso_count - of_torso, rng),
    ]
    if shell_count:
        clouds.append(lift_shell(still, landmarks_head_m, focal_px, shell_count, rng))
    depth_m = float(still.camera_from_head[2, 3])
    return canonical_from_clouds(clouds, depth_m / focal_px, config)


def canonical_from_clouds(
    clouds: list[Cloud], metres_per_px: float, config: InitConfig
) -> tuple[CanonicalGaussians, Tensor]:
    """Join clouds in `kinds` order and turn them into parameters; also the movers' box with a margin."""
    clouds = sorted(clouds, key=lambda c: c.kind)
    kinds = np.concatenate([np.full(len(c.means), c.kind) for c in clouds])
    bounds = (np.log(config.min_scale_px * metres_per_px), np.log(config.max_scale_px * metres_per_px))
    log_scales = np.log(np.concatenate([c.sigmas_m for c in clouds]))[:, None].repeat(3, axis=1)
    means = np.concatenate([c.means for c in clouds])
    count = len(means)
    values = {
        "means": torch.from_numpy(means).float(),
        "quats_wxyz": torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
        "log_scales": torch.from_numpy(log_scales).float().clamp(*bounds),
        "opacity_logits": torch.full((count,), float(np.log(START_OPACITY / (1 - START_OPACITY)))),
        "sh_coeffs": ((torch.from_numpy(np.concatenate([c.colors for c in clouds])) - 0.5) / SH_BAND_0)[
            :, None
        ].float(),
    }
    movers = means[kinds == KIND_HEAD_MOVER]
    low, high = movers.min(axis=0), movers.max(axis=0)
    margin = 0.05 * (high - low) + 1e-3
    corners = torch.from_numpy(np.stack([low - margin, high + margin])).float()
    return CanonicalGaussians(values, torch.from_numpy(kinds), bounds), corners


def lift_head(
    view: ReferenceView, landmarks_head_m: np.ndarray, focal_px: float, count: int, rng: np.random.Generator
) -> list[Cloud]:
    """Face (movers), and hair and ears (static), at the depth of the face mesh continued outwards."""
    head_mask, _ = regions.head_torso_masks(view.landmarks_px, view.matte)
    points = sample_pixels(view, head_mask, count, rng)
    return lift_head_pixels(view, points, landmarks_head_m, focal_px)


def lift_mouth_interior(
    view: ReferenceView, landmarks_head_m: np.ndarray, focal_px: float, count: int, rng: np.random.Generator
) -> Cloud:
    """Teeth, tongue and dark, from the frame with the widest mouth, put behind the lips."""
    height, width = view.matte.shape
    inner = view.landmarks_px[list(lm.LIPS_INNER)]
    centre = inner.mean(axis=0)
    grown = centre + (inner - centre) * 1.1 + np.sign(inner - centre) * 0.5
    mask = regions.polygon_mask(grown, height, width)
    if not mask.any():  # the mouth never opens in this video: a dark seed behind the lips still lets it learn to
        mask = regions.polygon_mask(centre + (inner - centre) * [1, 4] + np.sign(inner - centre), height, width)
    points = sample_pixels(view, mask, count, rng)
    lips_m = landmarks_head_m[list(lm.LIPS)] @ view.camera_from_head[:3, :3].T + view.camera_from_head[:3, 3]
    depth = np.full(len(points.centres_px), lips_m[:, 2].mean() + MOUTH_INTERIOR_DEPTH_M)
    colors, sigmas_px = points.colors.copy(), points.sigmas_px.copy()
    if len(colors):  # behind what was seen lies the throat: a mouth must open on dark, not on the nape's hair
        throat = rng.random(len(colors)) < THROAT_SHARE
        brightness = colors.mean(axis=1)
        depth[throat] += THROAT_DEPTH_M
        colors[throat] = colors[brightness <= np.quantile(brightness, 0.1)].mean(axis=0)
        sigmas_px[throat] *= THROAT_SPREAD
    means = unproject(points.centres_px, depth, focal_px, view, view.camera_from_head)
    return Cloud(KIND_HEAD_MOVER, means, colors, sigmas_px * depth / focal_px)


def lift_torso(
    view: ReferenceView, landmarks_head_m: np.ndarray, focal_px: float, count: int, rng: np.random.Generator
) -> Cloud:
    """Neck and clothes on a plane behind the jaw; the neck is continued upwards behind the chin."""
    height, width = view.matte.shape
    _, torso_mask = regions.head_torso_masks(view.landmarks_px, view.matte)
    points = sample_pixels(view, torso_mask, count, rng)
    jaw = view.landmarks_px[list(regions.JAW)]
    rise_px = NECK_OVERLAP_PX_AT_256 * height / regions.REFERENCE_SIZE_PX
    top_of_column = np.where(torso_mask.any(axis=0), torso_mask.argmax(axis=0), height)
    columns = np.clip(points.centres_px[:, 0].astype(int), 0, width - 1)
    below_top_px = points.centres_px[:, 1] - top_of_column[columns]
    under_chin = (columns > jaw[:, 0].min()) & (columns < jaw[:, 0].max()) & (below_top_px < rise_px)
    mirrored = points.centres_px[under_chin].copy()
    mirrored[:, 1] -= 2 * below_top_px[under_chin]
    centres = np.concatenate([points.centres_px, mirrored])
    colors = np.concatenate([points.colors, points.colors[under_chin]])
    sigmas_px = np.concatenate([points.sigmas_px, points.sigmas_px[under_chin]])
    return lift_torso_pixels(view, SampledPixels(centres, colors, sigmas_px), landmarks_head_m, focal_px)[0]
