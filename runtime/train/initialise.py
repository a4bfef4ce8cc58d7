"""The coarse start: Gaussians lifted from a few tracked frames into the canonical spaces of head and torso.

GSTalker (arXiv:2404.19040) starts from coarse static Gaussians learnt from the images. Here they begin where the
pictures already show them: every sampled pixel becomes a splat at the depth of the tracked face mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import gaussian_filter, sobel
from scipy.spatial import KDTree
from torch import Tensor

from gstalker.kernels.camera import rigid_inverse
from gstalker.runtime import landmarks as lm
from gstalker.runtime import regions
from gstalker.runtime.model.canonical import (
    KIND_HEAD_MOVER,
    KIND_HEAD_STATIC,
    KIND_TORSO,
    SH_BAND_0,
    CanonicalGaussians,
)

START_OPACITY = 0.8
FACE_HULL_MARGIN = 1.10  # the jaw drags skin just outside the face oval
MOUTH_INTERIOR_SHARE = 0.06  # of the head's Gaussians, placed behind the lips
MOUTH_INTERIOR_DEPTH_M = 0.010  # teeth lie about this far behind the lips
NECK_OVERLAP_PX_AT_256 = 14  # neck continued behind the chin, where no frame shows it
SKULL_SLOPE = 0.8  # metres back for a metre sideways beyond the face mesh
BEHIND_JAW_M = 0.015  # the torso plane is kept this far behind the jaw, or the neck would cover the chin


@dataclass(frozen=True)
class InitConfig:
    """How many Gaussians to start with."""

    head_count: int = 8500  # hair, face and mouth interior together
    torso_count: int = 4000  # neck and clothes
    min_scale_px: float = 0.2  # bound of a splat's standard deviation, at its depth
    max_scale_px: float = 6.0  # without it splats swallow what nothing else explains


@dataclass(frozen=True)
class ReferenceView:
    """One tracked frame.

    Attributes:
        rgb: (H, W, 3) uint8; matte: (H, W) uint8, 255 person.
        landmarks_px: (478, 2), NaN where unknown.
        camera_from_head, camera_from_torso: (4, 4) rigid, metres.
    """

    rgb: np.ndarray
    matte: np.ndarray
    landmarks_px: np.ndarray
    camera_from_head: np.ndarray
    camera_from_torso: np.ndarray


@dataclass(frozen=True)
class Cloud:
    """Splats of one kind, before they become parameters: positions in part space, colours 0..1, sizes in metres."""

    kind: int
    means: np.ndarray
    colors: np.ndarray
    sigmas_m: np.ndarray


def canonical_from_views(
    still: ReferenceView, open_mouth: ReferenceView, landmarks_head_m: np.ndarray, focal_px: float, config: InitConfig,
    seed: int,
) -> tuple[CanonicalGaussians, Tensor]:  # fmt: skip
    """Lift the start from one frontal frame with the mouth closed, and the mouth's inside from another.

    Args:
        still: frontal, mouth closed, eyes open.
        open_mouth: the mouth as far open as the data show.
        landmarks_head_m: (478, 3) the tracker's face mesh, NaN where unknown.
        focal_px: the dataset's focal length.
        config: counts and bounds.
        seed: of the sampling.

    Returns:
        the Gaussians, and (2, 3) corners of the box, head space, that holds the head's movers.
    """
    rng = np.random.default_rng(seed)
    interior_count = round(config.head_count * MOUTH_INTERIOR_SHARE)
    clouds = [
        *lift_head(still, landmarks_head_m, focal_px, config.head_count - interior_count, rng),
        lift_mouth_interior(open_mouth, landmarks_head_m, focal_px, interior_count, rng),
        lift_torso(still, landmarks_head_m, focal_px, config.torso_count, rng),
    ]
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
    depth = head_depth(view, landmarks_head_m, focal_px, points.centres_px)
    means = unproject(points.centres_px, depth, focal_px, view, view.camera_from_head)
    in_face = inside_face(view.landmarks_px, points.centres_px)
    sigmas_m = points.sigmas_px * depth / focal_px
    return [
        Cloud(kind, means[rows], points.colors[rows], sigmas_m[rows])
        for kind, rows in ((KIND_HEAD_MOVER, in_face), (KIND_HEAD_STATIC, ~in_face))
    ]


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
    means = unproject(points.centres_px, depth, focal_px, view, view.camera_from_head)
    return Cloud(KIND_HEAD_MOVER, means, points.colors, points.sigmas_px * depth / focal_px)


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
    jaw_m = landmarks_head_m[list(regions.JAW)] @ view.camera_from_head[:3, :3].T + view.camera_from_head[:3, 3]
    depth = np.full(len(centres), max(np.nanmax(jaw_m[:, 2]) + BEHIND_JAW_M, view.camera_from_torso[2, 3]))
    means = unproject(centres, depth, focal_px, view, view.camera_from_torso)
    return Cloud(KIND_TORSO, means, colors, sigmas_px * depth / focal_px)


@dataclass(frozen=True)
class SampledPixels:
    """Where splats start: (n, 2) centres, (n, 3) colours 0..1, (n,) standard deviations, px."""

    centres_px: np.ndarray
    colors: np.ndarray
    sigmas_px: np.ndarray


def sample_pixels(view: ReferenceView, mask: np.ndarray, count: int, rng: np.random.Generator) -> SampledPixels:
    """Weighted sample without replacement on a half-pixel grid: denser at edges, lips and eyes.

    Returns fewer than `count` where the mask is too small to hold them.
    """
    height, width = mask.shape
    grey = view.rgb.astype(np.float32).mean(axis=2)
    edges = gaussian_filter(np.hypot(sobel(grey, axis=0), sobel(grey, axis=1)), 1.0)
    weight = 0.25 + edges / (edges[mask].mean() + 1e-6 if mask.any() else 1.0)
    boost = np.ones_like(weight)
    for group in (lm.LIPS_OUTER, lm.RIGHT_EYE, lm.LEFT_EYE):
        boost += 2.0 * gaussian_filter(
            regions.polygon_mask(view.landmarks_px[list(group)], height, width).astype(np.float32), 2.0
        )
    fine = np.repeat(np.repeat(np.where(mask, weight * boost, 0.0), 2, axis=0), 2, axis=1).ravel()
    candidates = np.flatnonzero(fine)
    count = min(count, len(candidates))
    # Gumbel top-k: a weighted draw without replacement (Kool et al. 2019, arXiv:1903.06059).
    keys = np.log(fine[candidates]) + rng.gumbel(size=len(candidates))
    chosen = candidates[np.argpartition(-keys, count - 1)[:count]] if count else candidates
    centres = np.stack([chosen % (2 * width), chosen // (2 * width)], axis=1) / 2.0 + 0.25
    rows, columns = centres[:, 1].astype(int), centres[:, 0].astype(int)
    colors = view.rgb[rows, columns].astype(np.float64) / 255.0
    neighbours = min(4, max(count, 1))
    distance = KDTree(centres).query(centres, k=neighbours)[0][:, 1:].mean(axis=1) if count > 1 else np.ones(count)
    return SampledPixels(centres, colors, np.clip(0.75 * distance, 0.4, 3.0))


def unproject(
    centres_px: np.ndarray, depth_m: np.ndarray, focal_px: float, view: ReferenceView, camera_from_part: np.ndarray
) -> np.ndarray:
    """(n, 3) positions in part space of pixels at a camera depth; the principal point is the middle."""
    height, width = view.matte.shape
    rays = (centres_px - [width / 2, height / 2]) / focal_px
    in_camera = np.concatenate([rays * depth_m[:, None], depth_m[:, None]], axis=1)
    part_from_camera = rigid_inverse(camera_from_part.astype(np.float64))
    return in_camera @ part_from_camera[:3, :3].T + part_from_camera[:3, 3]


def head_depth(
    view: ReferenceView, landmarks_head_m: np.ndarray, focal_px: float, centres_px: np.ndarray
) -> np.ndarray:
    """(n,) camera depth of head pixels: the face mesh inside the oval, falling away as a skull does outside."""
    known = np.isfinite(landmarks_head_m).all(axis=1) & np.isfinite(view.landmarks_px).all(axis=1)
    in_camera = landmarks_head_m[known] @ view.camera_from_head[:3, :3].T + view.camera_from_head[:3, 3]
    pixels = view.landmarks_px[known]
    depth = LinearNDInterpolator(pixels, in_camera[:, 2])(centres_px)
    outside = np.isnan(depth)
    if outside.any():
        distance_px, nearest = KDTree(pixels).query(centres_px[outside])
        depth[outside] = in_camera[nearest, 2] * (1 + SKULL_SLOPE * distance_px / focal_px)
    return depth


def inside_face(landmarks_px: np.ndarray, centres_px: np.ndarray) -> np.ndarray:
    """(n,) bool: within the face oval grown by FACE_HULL_MARGIN."""
    oval = landmarks_px[list(lm.FACE_OVAL)]
    middle = oval.mean(axis=0)
    grown = middle + (oval - middle) * FACE_HULL_MARGIN
    size = int(np.ceil(max(centres_px.max(), grown.max()))) + 2
    mask = regions.polygon_mask(grown, size, size)
    return mask[centres_px[:, 1].astype(int), centres_px[:, 0].astype(int)]
