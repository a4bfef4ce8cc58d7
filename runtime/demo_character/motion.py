"""How the demo character moves besides its mouth: head, gaze, blinks, brows and a sway of the torso, by seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.runtime.demo_character.controls import FaceControls
from gstalker.runtime.demo_character.picture import HEAD_REST_M, TORSO_PIVOT_IN_SIZES

NECK_FROM_HEAD_M = np.array([0.0, 0.065, 0.055])  # what the head turns about, from its origin
BLINK_EVERY_S, BLINK_PAUSE_S = 3.0, 0.9  # mean interval, and the least
GAZE_SHARE = 0.85  # of the head's turn that the eyes make up for
LARGEST_GAZE_RAD = (0.42, 0.28)  # sideways, up or down
_CLOSE_S, _SHUT_S, _OPEN_S = 0.065, 0.045, 0.095  # shut outlasts a frame, so every blink is seen closed


@dataclass(frozen=True)
class MotionConfig:
    max_yaw_deg: float = 15.0  # the head turns this far to both sides
    max_pitch_deg: float = 6.0
    max_roll_deg: float = 4.0
    sway_share: float = 0.020  # of the picture's size: how far the torso moves sideways


@dataclass(frozen=True)
class Motion:
    """T frames of everything but the mouth.

    Attributes:
        camera_from_head: (T, 4, 4) metres.
        torso_motion: (T, 3) dx_px, dy_px, angle_rad about the torso's pivot.
        face: T states of eyes and brows.
        smile: (T,) 0..1.
    """

    camera_from_head: np.ndarray
    torso_motion: np.ndarray
    face: tuple[FaceControls, ...]
    smile: np.ndarray


def torso_pivot_px(size_px: int) -> tuple[float, float]:
    return TORSO_PIVOT_IN_SIZES[0] * size_px, TORSO_PIVOT_IN_SIZES[1] * size_px


def head_pose(yaw_rad: float, pitch_rad: float, roll_rad: float, shift_m: np.ndarray | None = None) -> np.ndarray:
    """(4, 4) camera_from_head of a head turned about the top of its neck.

    Positive yaw turns the face to picture left, positive pitch downwards, positive roll clockwise.
    """
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw_rad, pitch_rad, roll_rad) for f in (np.cos, np.sin))
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = roll @ yaw @ pitch
    shift = np.zeros(3) if shift_m is None else shift_m
    pose[:3, 3] = HEAD_REST_M + NECK_FROM_HEAD_M + shift - pose[:3, :3] @ NECK_FROM_HEAD_M
    return pose


def make_motion(
    times_s: np.ndarray, stresses_s: list[float], seed: int, size_px: int, config: MotionConfig | None = None
) -> Motion:
    """Motion at the given times.

    Args:
        times_s: (T,) rising.
        stresses_s: when the voice stresses a syllable: brows and head accent some of them.
        seed: the same seed gives the same motion.
    """
    config = config or MotionConfig()
    rng = np.random.default_rng([seed, 7])
    length_s = float(times_s[-1]) + 1.0
    yaw = np.radians(config.max_yaw_deg) * _visits(rng, times_s, length_s, 0.9 + config.max_yaw_deg / 60)
    pitch = np.radians(config.max_pitch_deg) * _visits(rng, times_s, length_s, 1.1)
    roll = np.radians(config.max_roll_deg) * _visits(rng, times_s, length_s, 1.4)
    shift_m = np.stack([_drift(rng, times_s) * a for a in (0.006, 0.003, 0.004)], axis=-1)
    accents = [s for s in stresses_s if rng.uniform() < 0.45]
    brow = np.zeros(len(times_s))
    for at in accents:
        brow += rng.uniform(0.2, 0.6) * _pulse(times_s, at + 0.02, 0.36)
        pitch += np.radians(rng.uniform(1.0, 2.2)) * _pulse(times_s, at + 0.08, 0.40)
    frown = np.clip(_drift(rng, times_s) * 0.8 - 0.35, 0, 1)
    uneven = rng.uniform(0.5, 1.0, size=2)
    blink = _blinks(rng, times_s, length_s)
    squint = np.clip(0.15 + 0.15 * _drift(rng, times_s), 0, 1)
    glance = np.stack([0.05 * _saccades(rng, times_s, length_s) for _ in range(2)], axis=-1)
    # Eyes stay on the camera as far as they turn.
    largest = np.array(LARGEST_GAZE_RAD)
    gaze = np.clip(np.stack([GAZE_SHARE * yaw, -GAZE_SHARE * pitch], axis=-1) + glance, -largest, largest)
    brow = np.clip(brow + 0.10 * _drift(rng, times_s) + 0.05, 0, 1)
    face = tuple(
        FaceControls(
            blink=(float(blink[i]), float(blink[i])),
            squint=(float(squint[i]), float(squint[i])),
            brow_inner_up=float(brow[i]),
            brow_outer_up=(float(brow[i] * uneven[0]), float(brow[i] * uneven[1])),
            brow_down=(float(frown[i]), float(frown[i])),
            gaze_rad=(float(gaze[i, 0]), float(gaze[i, 1])),
        )
        for i in range(len(times_s))
    )
    sway_px = config.sway_share * size_px
    torso = np.stack(
        [
            sway_px * _drift(rng, times_s),
            0.35 * sway_px * _drift(rng, times_s),
            np.radians(2.2) * _drift(rng, times_s),
        ],
        axis=-1,
    )
    poses = np.stack([head_pose(yaw[i], pitch[i], roll[i], shift_m[i]) for i in range(len(times_s))])
    smile = np.clip(rng.uniform(0.0, 0.25) + 0.10 * _drift(rng, times_s), 0, 1)
    return Motion(poses, torso, face, smile)


def _visits(rng: np.random.Generator, times_s: np.ndarray, length_s: float, every_s: float) -> np.ndarray:
    """(T,) in -1..1: eased moves between places drawn evenly, a short rest at each."""
    places, at = [rng.uniform(-1, 1)], [-0.5]
    while at[-1] < length_s:
        at.append(at[-1] + every_s * rng.uniform(0.6, 1.4))
        places.append(rng.uniform(-1, 1))
    i = np.clip(np.searchsorted(at, times_s, side="right") - 1, 0, len(at) - 2)
    start, end = np.array(at)[i], np.array(at)[i + 1]
    s = np.clip((times_s - start) / (end - start) / 0.85, 0, 1)
    ease = s**3 * (10 - 15 * s + 6 * s * s)  # least jerk
    return np.array(places)[i] * (1 - ease) + np.array(places)[i + 1] * ease


def _drift(rng: np.random.Generator, times_s: np.ndarray) -> np.ndarray:
    """(T,) slow smooth wandering in -1..1."""
    total = np.zeros(len(times_s))
    for hz in (0.13, 0.29, 0.47):
        total += np.sin(2 * np.pi * (hz * rng.uniform(0.8, 1.25) * times_s + rng.uniform()))
    return total / 3.0


def _pulse(times_s: np.ndarray, middle_s: float, width_s: float) -> np.ndarray:
    x = np.clip(np.abs(times_s - middle_s) / width_s, 0, 0.5)
    return 0.5 + 0.5 * np.cos(2 * np.pi * x)


def _blinks(rng: np.random.Generator, times_s: np.ndarray, length_s: float) -> np.ndarray:
    """(T,) 0 open .. 1 shut; a Poisson process with a least pause."""
    value = np.zeros(len(times_s))
    at = rng.uniform(0.2, BLINK_EVERY_S * 0.6)
    while at < length_s:
        t = times_s - at
        falling, rising = np.clip(t / _CLOSE_S, 0, 1), np.clip((t - _CLOSE_S - _SHUT_S) / _OPEN_S, 0, 1)
        value = np.maximum(value, falling * falling * (3 - 2 * falling) * (1 - rising * rising * (3 - 2 * rising)))
        at += BLINK_PAUSE_S + rng.exponential(BLINK_EVERY_S - BLINK_PAUSE_S)
    return value


def _saccades(rng: np.random.Generator, times_s: np.ndarray, length_s: float) -> np.ndarray:
    """(T,) in -1..1: quick glances that are held."""
    at, places = [0.0], [rng.uniform(-1, 1)]
    while at[-1] < length_s:
        at.append(at[-1] + rng.uniform(0.4, 1.6))
        places.append(rng.uniform(-1, 1))
    i = np.searchsorted(at, times_s, side="right") - 1
    s = np.clip((times_s - np.array(at)[i]) / 0.05, 0, 1)
    before = np.array(places)[np.maximum(i - 1, 0)]
    return before * (1 - s) + np.array(places)[i] * s
