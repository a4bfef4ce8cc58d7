"""Between two frames: what an avatar looks like at a time that no frame was computed for.

The field runs at the trained 25 frames a second, displays at 60 to 120. Centres and opacities are mixed linearly;
scales geometrically, because the field changes their logarithm; rotations the shorter way round, normalised after
mixing, which for the small turns between neighbouring frames is the great arc to within a thousandth of their angle;
the two poses, which may turn further, along the great arc itself.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from gstalker.kernels.camera import rigid_rotation_quat_wxyz, rotation_from_quat_wxyz
from gstalker.kernels.frame import Frame

Movers = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def interpolate_frames(earlier: Frame, later: Frame, time_s: float) -> Frame:
    """The avatar between two frames of it.

    Args:
        earlier, later: frames of one avatar, in this order of time.
        time_s: earlier.time_s to later.time_s; at these two the very arrays of the frame come back.

    Returns:
        A frame of the earlier one's index at `time_s`; its arrays are new, or those of a frame that was hit.

    Raises:
        ValueError: the time lies outside, the frames are in the wrong order, or have different numbers of movers.
    """
    span_s = later.time_s - earlier.time_s
    if not (span_s > 0 and earlier.time_s <= time_s <= later.time_s):
        raise ValueError(
            f"interpolate_frames: expected a time between frames in order, got {time_s} of {earlier.time_s} to "
            f"{later.time_s}."
        )
    if len(earlier.means) != len(later.means):
        raise ValueError(
            f"interpolate_frames: expected frames of one avatar, got {len(earlier.means)} and {len(later.means)} "
            "movers."
        )
    if time_s == earlier.time_s:
        return earlier
    if time_s == later.time_s:
        return later
    weight = (time_s - earlier.time_s) / span_s
    means, quats_wxyz, scales, opacities = interpolate_movers(_movers(earlier), _movers(later), weight)
    return Frame(
        index=earlier.index,
        time_s=time_s,
        means=means,
        quats_wxyz=quats_wxyz,
        scales=scales,
        opacities=opacities,
        avatar_from_head=interpolate_pose(earlier.avatar_from_head, later.avatar_from_head, weight),
        avatar_from_torso=interpolate_pose(earlier.avatar_from_torso, later.avatar_from_torso, weight),
    )


def interpolate_movers(earlier: Movers, later: Movers, weight: float) -> Movers:
    """Mix the movers of two frames; `interpolate_movers_reference` says how, this one is fast.

    Args:
        earlier, later: means (M, 3), unit quats_wxyz (M, 4), scales (M, 3) > 0, opacities (M,), all float32.
        weight: 0 gives the earlier, 1 the later.
    """
    m0, q0, s0, o0 = (np.ascontiguousarray(a) for a in earlier)
    m1, q1, s1, o1 = (np.ascontiguousarray(a) for a in later)
    mixed = np.empty_like(m0), np.empty_like(q0), np.empty_like(s0), np.empty_like(o0)
    _mix(m0, q0, s0, o0, m1, q1, s1, o1, np.float32(weight), mixed[0], mixed[1], mixed[2], mixed[3])
    return mixed


def interpolate_movers_reference(earlier: Movers, later: Movers, weight: float) -> Movers:
    """`interpolate_movers` for reading: double precision, one line a value."""
    means_a, quats_a, scales_a, opacities_a = (np.asarray(a, np.float64) for a in earlier)
    means_b, quats_b, scales_b, opacities_b = (np.asarray(b, np.float64) for b in later)
    nearer_b = np.where((quats_a * quats_b).sum(axis=1, keepdims=True) < 0, -quats_b, quats_b)
    quats = (1 - weight) * quats_a + weight * nearer_b
    return (
        (1 - weight) * means_a + weight * means_b,
        quats / np.linalg.norm(quats, axis=1, keepdims=True),
        np.exp((1 - weight) * np.log(scales_a) + weight * np.log(scales_b)),
        (1 - weight) * opacities_a + weight * opacities_b,
    )


def interpolate_pose(earlier: np.ndarray, later: np.ndarray, weight: float) -> np.ndarray:
    """A rigid transform (4, 4) between two: the turn along the shorter great arc, the translation on a line.

    Source: Shoemake 1985, 'Animating rotation with quaternion curves'.
    """
    quat_a, quat_b = rigid_rotation_quat_wxyz(np.stack([earlier[:3, :3], later[:3, :3]]))
    cosine = float(quat_a @ quat_b)
    if cosine < 0:
        quat_b, cosine = -quat_b, -cosine
    angle_rad = math.atan2(float(np.linalg.norm(quat_b - cosine * quat_a)), cosine)
    if angle_rad < 1e-9:  # the same turn, to the last bits of a double
        share_a, share_b = 1 - weight, weight
    else:
        share_a = math.sin((1 - weight) * angle_rad) / math.sin(angle_rad)
        share_b = math.sin(weight * angle_rad) / math.sin(angle_rad)
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_quat_wxyz(share_a * quat_a + share_b * quat_b)
    pose[:3, 3] = (1 - weight) * earlier[:3, 3] + weight * later[:3, 3]
    return pose


def _movers(frame: Frame) -> Movers:
    return frame.means, frame.quats_wxyz, frame.scales, frame.opacities


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _mix(
    means_a, quats_a, scales_a, opacities_a, means_b, quats_b, scales_b, opacities_b, weight, means, quats, scales, outs
):
    one, zero = np.float32(1), np.float32(0)
    rest = one - weight
    for n in range(len(means)):
        for k in range(3):
            means[n, k] = rest * means_a[n, k] + weight * means_b[n, k]
            scales[n, k] = scales_a[n, k] * np.exp(weight * np.log(scales_b[n, k] / scales_a[n, k]))
        outs[n] = rest * opacities_a[n] + weight * opacities_b[n]
        dot = zero
        for k in range(4):
            dot += quats_a[n, k] * quats_b[n, k]
        share = -weight if dot < zero else weight
        length = zero
        for k in range(4):
            value = rest * quats_a[n, k] + share * quats_b[n, k]
            quats[n, k] = value
            length += value * value
        inverse = one / np.sqrt(length)
        for k in range(4):
            quats[n, k] *= inverse
