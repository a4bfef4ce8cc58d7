"""One time step of an avatar: what moved, and where its parts are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.kernels.camera import rigid_rotation_quat_wxyz
from gstalker.kernels.gaussians import Gaussians, multiply_quats_wxyz

PART_HEAD = 0
PART_TORSO = 1


@dataclass(frozen=True)
class Frame:
    """The deformed state of the Gaussians that can move, and the rigid pose of each part.

    The first M of the avatar's N canonical Gaussians can move; the others keep their canonical values. All
    per-Gaussian values are in the space of the Gaussian's own part (head space or torso space).

    Attributes:
        index: frame number on the avatar's own clock, from 0.
        time_s: presentation time on the audio clock, seconds.
        means: (M, 3) float32, metres.
        quats_wxyz: (M, 4) float32, unit length.
        scales: (M, 3) float32, metres.
        opacities: (M,) float32 in 0..1.
        avatar_from_head, avatar_from_torso: (4, 4) float64 rigid transforms into avatar space.
    """

    index: int
    time_s: float
    means: np.ndarray
    quats_wxyz: np.ndarray
    scales: np.ndarray
    opacities: np.ndarray
    avatar_from_head: np.ndarray
    avatar_from_torso: np.ndarray


def assemble(canonical: Gaussians, part_ids: np.ndarray, frame: Frame) -> Gaussians:
    """All N Gaussians in avatar space for one frame: the movers replaced, every part put in its pose.

    Args:
        canonical: N Gaussians in part space, movers first; colour of degree 0.
        part_ids: (N,) PART_HEAD or PART_TORSO.
        frame: its M <= N movers.

    Raises:
        ValueError: more movers than Gaussians, or an unknown part id.
    """
    movers = len(frame.means)
    if movers > len(canonical):
        raise ValueError(f"frame {frame.index}: expected at most {len(canonical)} movers, got {movers}.")
    if not np.isin(part_ids, (PART_HEAD, PART_TORSO)).all():
        raise ValueError(f"part_ids: expected only 0 (head) and 1 (torso), got {np.unique(part_ids).tolist()}.")
    means = np.concatenate([frame.means, canonical.means[movers:]])
    quats = np.concatenate([frame.quats_wxyz, canonical.quats_wxyz[movers:]])
    avatar_from_part = np.stack([frame.avatar_from_head, frame.avatar_from_torso])[part_ids]
    turns = rigid_rotation_quat_wxyz(np.stack([frame.avatar_from_head, frame.avatar_from_torso])[:, :3, :3])
    return Gaussians(
        means=(np.einsum("nij,nj->ni", avatar_from_part[:, :3, :3], means) + avatar_from_part[:, :3, 3]).astype(
            np.float32
        ),
        quats_wxyz=multiply_quats_wxyz(turns[part_ids], quats).astype(np.float32),
        scales=np.concatenate([frame.scales, canonical.scales[movers:]]),
        opacities=np.concatenate([frame.opacities, canonical.opacities[movers:]]),
        sh_coeffs=canonical.sh_coeffs,
    )
