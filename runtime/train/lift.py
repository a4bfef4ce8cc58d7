"""Pixels of a tracked frame to splats: where they are sampled, how far away they are, which part they belong to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import gaussian_filter, sobel
from scipy.spatial import KDTree

from gstalker.kernels.camera import rigid_inverse
from gstalker.runtime import landmarks as lm
from gstalker.runtime import regions
from gstalker.runtime.model.canonical import KIND_HEAD_MOVER, KIND_HEAD_STATIC, KIND_TORSO

START_OPACITY = 0.8
FACE_HULL_MARGIN = 1.10  # the jaw drags skin just outside the face oval
SKULL_SLOPE = 0.8  # metres back for a metre sideways beyond the face mesh
BEHIND_JAW_M = 0.015  # the torso plane is kept this far behind the jaw, or the neck would cover the chin


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


def lift_head_pixels(
    view: ReferenceView, points: SampledPixels, landmarks_head_m: np.ndarray, focal_px: float
) -> list[Cloud]:
    """Face (movers), and hair and ears (static), at the depth of the face mesh continued outwards."""
    if not len(points.centres_px):
        return [
            Cloud(kind, np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0)) for kind in (KIND_HEAD_MOVER, KIND_HEAD_STATIC)
        ]
    depth = head_depth(view, landmarks_head_m, focal_px, points.centres_px)
    means = unproject(points.centres_px, depth, focal_px, view, view.camera_from_head)
    in_face = inside_face(view.landmarks_px, points.centres_px)
    sigmas_m = points.sigmas_px * depth / focal_px
    return [
        Cloud(kind, means[rows], points.colors[rows], sigmas_m[rows])
        for kind, rows in ((KIND_HEAD_MOVER, in_face), (KIND_HEAD_STATIC, ~in_face))
    ]


def lift_torso_pixels(
    view: ReferenceView, points: SampledPixels, landmarks_head_m: np.ndarray, focal_px: float
) -> list[Cloud]:
    """Neck and clothes on a plane behind the jaw."""
    jaw_m = landmarks_head_m[list(regions.JAW)] @ view.camera_from_head[:3, :3].T + view.camera_from_head[:3, 3]
    far_m = max(float(np.nanmax(jaw_m[:, 2])) + BEHIND_JAW_M, float(view.camera_from_torso[2, 3]))
    depth = np.full(len(points.centres_px), far_m)
    means = unproject(points.centres_px, depth, focal_px, view, view.camera_from_torso)
    return [Cloud(KIND_TORSO, means, points.colors, points.sigmas_px * depth / focal_px)]


@dataclass(frozen=True)
class SampledPixels:
    """Where splats start: (n, 2) centres, (n, 3) colours 0..1, (n,) standard deviations, px."""

    centres_px: np.ndarray
    colors: np.ndarray
    sigmas_px: np.ndarray

    def rows(self, chosen: np.ndarray) -> SampledPixels:
        """Some of them, by index or (n,) bool."""
        return SampledPixels(self.centres_px[chosen], self.colors[chosen], self.sigmas_px[chosen])


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


def face_hull(landmarks_px: np.ndarray) -> np.ndarray:
    """(P, 2) the face oval grown by FACE_HULL_MARGIN, px."""
    oval = landmarks_px[list(lm.FACE_OVAL)]
    middle = oval.mean(axis=0)
    return middle + (oval - middle) * FACE_HULL_MARGIN


def inside_face(landmarks_px: np.ndarray, centres_px: np.ndarray) -> np.ndarray:
    """(n,) bool: within the face oval grown by FACE_HULL_MARGIN."""
    grown = face_hull(landmarks_px)
    size = int(np.ceil(max(centres_px.max(), grown.max()))) + 2
    mask = regions.polygon_mask(grown, size, size)
    return mask[centres_px[:, 1].astype(int), centres_px[:, 0].astype(int)]
