"""How many fragments the Unity package's splats shade, against the usual square of three standard deviations.

Close to a face, in a headset, what breaks is fill: every pixel of every splat's quad runs the fragment shader and most
of them end below 1/255. The package draws an oriented polygon about the ellipse on which the splat's own alpha falls
below that: a rectangle with four corners, an octagon with eight. Counted here, exactly: pixel centres inside of each
and of the picture, as a rasterizer without multisampling does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np

from gstalker.kernels import reference
from gstalker.kernels.camera import Camera, intrinsics
from gstalker.kernels.frame import Frame, assemble
from gstalker.kernels.gaussians import Gaussians
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.errors import InputError

TARGET_SHARE = 0.5
CORNERS = (4, 8)
HIGH_QUALITY_BUDGET = 0.9
"""Share of the splats that the package's quality level "high" draws: those that show most (WeighSplats)."""
WEIGHING_SIZE_PX = 256
USUAL_SIGMAS = 3.0
FIELDS = ("means", "quats_wxyz", "scales", "opacities", "sh_coeffs")

# The face fills the picture's height at 3 head heights away, as it was filmed, and spills over it at 15 cm, which is
# where a headset's wearer leans in; angles of view as of the training camera and of a headset's eye.
PORTRAIT_SIZE_PX = 1024
CLOSE_UP_SIZE_PX = 1832  # of one eye of a common headset
CLOSE_UP_FOCAL = 0.55  # of the picture's width: 85 degrees
CLOSE_UP_DISTANCE_M = 0.15


@dataclass(frozen=True)
class Fill:
    """Fragments of one picture.

    Attributes:
        splats: how many reach the picture.
        usual: shaded by axis-aligned squares of three standard deviations of the longest axis, rounded up to a px.
        polygons: shaded by the package's polygons, by their number of corners.
        needed: of those, how many have an alpha of 1/255 or more.
    """

    splats: int
    usual: int
    polygons: dict[int, int]
    needed: int


def run(bundle: Path | None = None) -> dict[str, Any]:
    """Count for a portrait as filmed and for a close-up through a headset's eye.

    Args:
        bundle: the avatar, drawn at rest.

    Raises:
        InputError: no bundle was given.
    """
    if bundle is None:
        raise InputError("bench unity-fill: expected --bundle NAME.gsavatar, got none. `gstalker export` writes one.")
    avatar = AvatarBundle.open(bundle)
    cloud = at_rest(avatar)
    weights = largest_weights(cloud, resized(avatar.camera, WEIGHING_SIZE_PX))
    most_shown = np.sort(np.argsort(-weights, kind="stable")[: round(HIGH_QUALITY_BUDGET * len(cloud))])
    cameras = {"portrait": resized(avatar.camera, PORTRAIT_SIZE_PX), "close_up": close_up(cloud)}
    pictures = {}
    for name, camera in cameras.items():
        fill = count_fragments(cloud, camera)
        high = count_fragments(Gaussians(*(getattr(cloud, field)[most_shown] for field in FIELDS)), camera)
        pictures[name] = {
            "size_px": [camera.width_px, camera.height_px],
            "splats_on_the_picture": fill.splats,
            "fragments_of_three_sigma_squares": fill.usual,
            "fragments_of_rectangles": fill.polygons[4],
            "fragments_of_octagons": fill.polygons[8],
            "fragments_of_at_least_1_255": fill.needed,
            "share_rectangles": fill.polygons[4] / fill.usual,
            "share_octagons": fill.polygons[8] / fill.usual,
            "share_octagons_high_quality": high.polygons[8] / fill.usual,
            "share_that_is_needed": fill.needed / fill.usual,
            "octagons_a_pixel": fill.polygons[8] / (camera.width_px * camera.height_px),
        }
    return {
        "gaussians": len(cloud),
        "pictures": pictures,
        "share": max(p["share_octagons"] for p in pictures.values()),
        "share_high_quality": max(p["share_octagons_high_quality"] for p in pictures.values()),
        "target_share": TARGET_SHARE,
    }


def at_rest(avatar: AvatarBundle) -> Gaussians:
    """The avatar's Gaussians in avatar space, nothing deformed, in the first pose of its natural motion."""
    canonical, still = avatar.canonical, slice(0, 0)
    frame = Frame(
        index=0,
        time_s=0.0,
        means=canonical.means[still],
        quats_wxyz=canonical.quats_wxyz[still],
        scales=canonical.scales[still],
        opacities=canonical.opacities[still],
        avatar_from_head=avatar.idle.avatar_from_head[0],
        avatar_from_torso=avatar.idle.avatar_from_torso[0],
    )
    return assemble(canonical, avatar.part_ids, frame)


def resized(camera: Camera, size_px: int) -> Camera:
    """The training camera with another number of pixels."""
    K = camera.K * (size_px / camera.width_px)
    K[2, 2] = 1.0
    return Camera(camera.viewmat, K, size_px, size_px)


def close_up(cloud: Gaussians) -> Camera:
    """An eye before the face, looking straight at it; the face is at the origin of avatar space and looks along -z."""
    front_m = float(np.percentile(cloud.means[np.abs(cloud.means[:, :2]).max(axis=1) < 0.05, 2], 5))
    viewmat = np.eye(4)
    viewmat[2, 3] = CLOSE_UP_DISTANCE_M - front_m
    K = intrinsics(CLOSE_UP_FOCAL * CLOSE_UP_SIZE_PX, CLOSE_UP_SIZE_PX, CLOSE_UP_SIZE_PX)
    return Camera(viewmat, K, CLOSE_UP_SIZE_PX, CLOSE_UP_SIZE_PX)


def count_fragments(cloud: Gaussians, camera: Camera) -> Fill:
    """Count all three for one picture."""
    centres_px, covariances_px2, depths_m = reference.project_gaussians(cloud, camera)
    reach = np.sqrt(2 * np.log(np.maximum(cloud.opacities.astype(np.float64) / reference.ALPHA_CUT, 1)))
    extents_px = reach[:, None] * np.sqrt(np.stack([covariances_px2[:, 0, 0], covariances_px2[:, 1, 1]], axis=1))
    size = np.array([camera.width_px, camera.height_px])
    drawn = (depths_m >= reference.NEAR_M) & (cloud.opacities >= reference.ALPHA_CUT)
    drawn &= ((centres_px + extents_px > 0) & (centres_px - extents_px < size)).all(axis=1)
    variances, axes = np.linalg.eigh(covariances_px2[drawn])  # ascending
    sigmas_px = np.sqrt(variances)
    usual_px = np.ceil(USUAL_SIGMAS * sigmas_px[:, 1])
    polygons, usual, needed = {}, 0, 0
    for corners in CORNERS:
        usual, polygons[corners], needed = _count(
            centres_px[drawn], axes, sigmas_px, reach[drawn], usual_px, camera.width_px, camera.height_px, corners
        )
    return Fill(splats=int(drawn.sum()), usual=usual, polygons=polygons, needed=needed)


@numba.njit(cache=True)
def _count(centres_px, axes, sigmas_px, reach, usual_px, width_px, height_px, corners):
    """Pixels of all splats: in their squares, in their polygons, in their ellipses.

    axes (S, 2, 2): columns are the ellipse's axes, sigmas_px (S, 2) along them.
    """
    usual, ours, needed = 0, 0, 0
    turns = np.arange(corners) * 2 * math.pi / corners  # of the edges' normals
    normals_x, normals_y = np.cos(turns), np.sin(turns)
    for s in range(len(centres_px)):
        x, y, half = centres_px[s, 0], centres_px[s, 1], usual_px[s]
        columns = min(width_px, math.ceil(x + half - 0.5)) - max(0, math.ceil(x - half - 0.5))
        rows = min(height_px, math.ceil(y + half - 0.5)) - max(0, math.ceil(y - half - 0.5))
        usual += max(columns, 0) * max(rows, 0)
        a, b = reach[s] * sigmas_px[s, 0], reach[s] * sigmas_px[s, 1]
        ax, ay, bx, by = axes[s, 0, 0], axes[s, 1, 0], axes[s, 0, 1], axes[s, 1, 1]
        half_x, half_y = abs(ax) * a + abs(bx) * b, abs(ay) * a + abs(by) * b
        for row in range(max(0, math.floor(y - half_y)), min(height_px, math.ceil(y + half_y))):
            for column in range(max(0, math.floor(x - half_x)), min(width_px, math.ceil(x + half_x))):
                dx, dy = column + 0.5 - x, row + 0.5 - y
                u, v = (dx * ax + dy * ay) / a, (dx * bx + dy * by) / b
                inside = True
                for k in range(corners):
                    inside = inside and u * normals_x[k] + v * normals_y[k] <= 1
                ours += inside
                needed += u * u + v * v <= 1
    return usual, ours, needed


def largest_weights(cloud: Gaussians, camera: Camera) -> np.ndarray:
    """(N,) the largest weight of each Gaussian in any pixel, as the package's WeighSplats measures it."""
    centres_px, covariances_px2, depths_m = reference.project_gaussians(cloud, camera)
    order = np.argsort(depths_m, kind="stable")
    order = order[(depths_m[order] >= reference.NEAR_M) & (cloud.opacities[order] >= reference.ALPHA_CUT)]
    opacities = cloud.opacities.astype(np.float64)
    conics = np.linalg.inv(covariances_px2)
    return _weigh(order, centres_px, covariances_px2, conics, opacities, camera.width_px, camera.height_px)


@numba.njit(cache=True)
def _weigh(order, centres_px, covariances_px2, conics, opacities, width_px, height_px):
    """Near to far, what each splat takes of the light that is left in each pixel; its most."""
    light, weights = np.ones((height_px, width_px)), np.zeros(len(opacities))
    for i in order:
        reach = math.sqrt(2 * math.log(opacities[i] * 255.0))
        x, y = centres_px[i, 0], centres_px[i, 1]
        half_x, half_y = reach * math.sqrt(covariances_px2[i, 0, 0]), reach * math.sqrt(covariances_px2[i, 1, 1])
        for row in range(max(0, math.floor(y - half_y)), min(height_px, math.ceil(y + half_y))):
            for column in range(max(0, math.floor(x - half_x)), min(width_px, math.ceil(x + half_x))):
                dx, dy = column + 0.5 - x, row + 0.5 - y
                q = conics[i, 0, 0] * dx * dx + 2 * conics[i, 0, 1] * dx * dy + conics[i, 1, 1] * dy * dy
                alpha = min(0.999, opacities[i] * math.exp(-q / 2))
                if alpha >= 1.0 / 255.0:
                    weights[i] = max(weights[i], alpha * light[row, column])
                    light[row, column] *= 1 - alpha
    return weights
