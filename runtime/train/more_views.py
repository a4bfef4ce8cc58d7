"""What one frontal frame does not show: sides of the head from other poses, and a shell where no frame shows hair.

A further view adds Gaussians only where those known so far, drawn from its pose, leave the person's matte open.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt

from gstalker.kernels import cpu
from gstalker.kernels.camera import intrinsics
from gstalker.runtime import landmarks as lm
from gstalker.runtime import regions
from gstalker.runtime.model.canonical import KIND_HEAD_STATIC, KIND_TORSO
from gstalker.runtime.train.lift import (
    START_OPACITY,
    Cloud,
    ReferenceView,
    face_hull,
    inside_face,
    lift_head_pixels,
    lift_torso_pixels,
    sample_pixels,
)

COVERED = 0.5  # alpha of what is known from which a pixel is not lifted again
LEAST_TURN_RAD = 0.07  # between two views: 4 degrees
OUTLIER_PERCENT = 0.5  # of the poses at each end: more likely mistracked than held
LARGEST_SHARE = 0.30  # of a part's Gaussians that all further views together may add
SHELL_SHARE = 0.06  # of the head's Gaussians, in the shell behind its outline
SHELL_RIM_PX_AT_256 = 6  # only the outline continues backwards: the rest would lie inside the head
SHELL_INSET_PX_AT_256 = 3  # and not its very edge, which is half backdrop
SHELL_DEPTH_M = 0.08  # as far as it goes back: about half a head
SHELL_TAPER = 0.30  # how much narrower the head is there
NOSE_TIP, CHIN = 1, 152  # landmarks


def diverse_frames(head_pose: np.ndarray, trusted: np.ndarray, first: int, count: int) -> list[int]:
    """Frames that look elsewhere than those chosen before: both turns, up and down, where the data hold them.

    Args:
        head_pose: (F, 6) rotation vector (rad) and translation of avatar_from_head.
        trusted: (F,) bool.
        first: the frame that is there already.
        count: at most so many; fewer where nothing is LEAST_TURN_RAD away.
    """
    turns = head_pose[:, :2]
    if not trusted.any():
        return []
    low, high = np.percentile(turns[trusted], [OUTLIER_PERCENT, 100 - OUTLIER_PERCENT], axis=0)
    candidate = trusted & ((turns >= low) & (turns <= high)).all(axis=1)
    nearest = np.linalg.norm(turns - turns[first], axis=1)
    chosen: list[int] = []
    while len(chosen) < count:
        best = int(np.argmax(np.where(candidate, nearest, -1.0)))
        if not candidate[best] or nearest[best] < LEAST_TURN_RAD:
            break
        chosen.append(best)
        nearest = np.minimum(nearest, np.linalg.norm(turns - turns[best], axis=1))
    return chosen


def lift_uncovered(
    known: list[Cloud],
    views: Sequence[ReferenceView],
    landmarks_head_m: np.ndarray,
    focal_px: float,
    budget: tuple[int, int],
    rng: np.random.Generator,
) -> list[Cloud]:
    """Head and torso where the views show them and what is known does not.

    Args:
        known: what earlier views gave.
        views: in the order in which they may add.
        landmarks_head_m: (478, 3) the tracker's face mesh.
        focal_px: the dataset's focal length.
        budget: how many Gaussians the first view gave to head and torso; density follows it.
        rng: of the sampling.
    """
    added: list[Cloud] = []
    left = [round(LARGEST_SHARE * n) for n in budget]
    for index, view in enumerate(views):
        # Their very edge is half backdrop, which would be lifted with it.
        open_person = (view.matte == 255) & ~covered(known + added, view, focal_px)
        head, torso = regions.head_torso_masks(view.landmarks_px, view.matte)
        # Beside the jaw, a turned head shows the neck, which neither turns with it nor stays with the torso.
        mouth_row = int(view.landmarks_px[list(lm.LIPS), 1].mean())
        torso[: int(view.landmarks_px[CHIN, 1])] = False
        head[mouth_row:] &= regions.polygon_mask(face_hull(view.landmarks_px), *head.shape)[mouth_row:]
        for part, (mask, lift) in enumerate(((head, lift_head_pixels), (torso, lift_torso_pixels))):
            wanted = round(budget[part] * int((mask & open_person).sum()) / max(int(mask.sum()), 1))
            count = min(wanted, left[part] // (len(views) - index))
            if count < 1:
                continue
            points = sample_pixels(view, mask & open_person, count, rng)
            left[part] -= len(points.centres_px)
            added += lift(view, points, landmarks_head_m, focal_px)
    return added


def covered(clouds: list[Cloud], view: ReferenceView, focal_px: float) -> np.ndarray:
    """(H, W) bool: what the clouds cover, drawn as they start from a view's poses."""
    height, width = view.matte.shape
    means, sigmas_m = [], []
    for cloud in clouds:
        pose = view.camera_from_torso if cloud.kind == KIND_TORSO else view.camera_from_head
        means.append(cloud.means @ pose[:3, :3].T + pose[:3, 3])
        sigmas_m.append(cloud.sigmas_m)
    points, sigma_m = np.concatenate(means), np.concatenate(sigmas_m)
    count = len(points)
    drawn = cpu.draw(
        points,
        np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)),
        np.repeat(sigma_m[:, None], 3, axis=1),
        np.full(count, START_OPACITY),
        np.zeros((count, 3)),
        np.eye(4),
        intrinsics(focal_px, width, height),
        width,
        height,
        np.zeros(3),
    )
    return 1 - drawn.transmittance >= COVERED


def lift_shell(
    view: ReferenceView, landmarks_head_m: np.ndarray, focal_px: float, count: int, rng: np.random.Generator
) -> Cloud:
    """The outline of hair and ears continued backwards, in its own colours, hidden in the view itself.

    Where no frame shows the side of the head, a turn beyond the trained range shows this and not the backdrop.
    """
    size_px = view.matte.shape[0]
    unit_px = size_px / regions.REFERENCE_SIZE_PX
    head, _ = regions.head_torso_masks(view.landmarks_px, view.matte)
    head[int(view.landmarks_px[NOSE_TIP, 1]) :] = False  # below come cheeks and neck, which do not go back so
    person = np.pad(view.matte == 255, 1, mode="edge")
    person[0] = person[:, 0] = person[:, -1] = False  # below, the person runs out of the picture
    inside_px = np.asarray(distance_transform_edt(person))[1:-1, 1:-1]
    rim = head & (inside_px > SHELL_INSET_PX_AT_256 * unit_px)
    rim &= inside_px <= (SHELL_INSET_PX_AT_256 + SHELL_RIM_PX_AT_256) * unit_px
    points = sample_pixels(view, rim, count, rng)
    if len(points.centres_px):
        points = points.rows(~inside_face(view.landmarks_px, points.centres_px))
    lifted = lift_head_pixels(view, points, landmarks_head_m, focal_px)
    static = next(c for c in lifted if c.kind == KIND_HEAD_STATIC)
    share = rng.uniform(0.1, 1.0, len(static.means))
    means = static.means.copy()
    means[:, :2] *= (1 - SHELL_TAPER * share)[:, None]
    means[:, 2] += SHELL_DEPTH_M * share
    rim_m = int(rim.sum()) / (SHELL_RIM_PX_AT_256 * unit_px) * float(view.camera_from_head[2, 3]) / focal_px
    spacing_m = np.sqrt(max(rim_m, 1e-3) * SHELL_DEPTH_M / max(len(means), 1))
    return Cloud(KIND_HEAD_STATIC, means, static.colors, np.full(len(means), 0.5 * spacing_m))
