"""A small avatar with random weights: a valid bundle for tests that need one, made in a moment without torch.

It looks like a blurred face and shoulders, and its mouth region moves with the audio; nobody's likeness.
"""

from __future__ import annotations

from pathlib import Path

import graph_twin
import numpy as np

from gstalker.export.baked_avatar import BakedAudio, BakedAvatar, BakedDeformation, BakedTorso, Conv, Dense
from gstalker.export.write import bundle_of
from gstalker.kernels.gaussians import Gaussians
from gstalker.runtime.audio import log_mel, mel_windows
from gstalker.runtime.bundle import AvatarBundle, Golden, IdleMotion, write_bundle
from gstalker.runtime.bundle_manifest import Likeness
from gstalker.runtime.landmarks import EXPRESSION_BLENDSHAPES

SIZE_PX = 64
FOCAL_PX = 128.0
HEAD_DEPTH_M = 0.6
TORSO_ORIGIN_M = np.array([0.0, 0.12, 0.02])
LIKENESS = Likeness(subject="nobody: random numbers", consent="not needed", licence="Apache-2.0")


def made_avatar(
    *,
    head_movers: int = 300,
    torso_movers: int = 100,
    static: int = 80,
    golden_rows: int = 3,
    seed: int = 0,
    torso_hears_rigid: bool = False,
) -> BakedAvatar:
    """Random weights of trained sizes: code 32, hidden 64, torso 32, expression 9, window 59 mel frames.

    `torso_hears_rigid` is how avatars are exported today; without it is the form that older bundles have.
    """
    rng = np.random.default_rng(seed)
    audio = BakedAudio(
        convolutions=tuple(_conv(rng, 80 if i == 0 else 64, 64, 3, stride=2 if i < 2 else 1) for i in range(5)),
        to_code=_conv(rng, 64, 32, 1),
        attention=(_conv(rng, 32, 16, 1), _conv(rng, 16, 1, 1)),
        position_bias=(-0.5 * (np.arange(8) - 4.0) ** 2).astype(np.float32),
        left_mel_frames=31,
        right_mel_frames=28,
    )
    deformation = BakedDeformation(
        w_audio=_normal(rng, 32, 64) * 0.5,
        w_expression=_normal(rng, 9, 64),
        layers=(_dense(rng, 64, 64), _scaled(_dense(rng, 64, 11), [4e-3] * 3 + [0.05] * 4 + [0.1] * 3 + [0.5])),
    )
    torso = BakedTorso(
        pose_mean=_normal(rng, 6) * 0.02,
        pose_scale=_f32([0.1, 0.1, 0.1, 0.01, 0.01, 0.02]),
        w_pose=_normal(rng, 6, 32) * 0.4,
        w_rigid=_normal(np.random.default_rng(seed + 1), 3, 32) * 40 if torso_hears_rigid else None,
        layers=(_dense(rng, 32, 32), _scaled(_dense(rng, 32, 3), [2e-3] * 3)),
        rigid_layers=(_dense(rng, 6, 16), _scaled(_dense(rng, 16, 3), [0.01, 0.01, 0.02])),
    )
    canonical, part_ids = _cloud(rng, head_movers, torso_movers, static)
    first_layer, gates = _normal(rng, head_movers, 64), rng.uniform(0, 1, (head_movers, 2)).astype(np.float32)
    torso_first_layer = _normal(rng, torso_movers, 32)
    idle = _idle(rng, frames=40)
    mel = log_mel((rng.normal(size=16_000) * np.sin(np.arange(16_000) / 900) ** 2 * 0.1).astype(np.float32))
    windows = mel_windows(mel, 25, audio.left_mel_frames, audio.right_mel_frames)
    golden = _golden(
        audio, deformation, torso, first_layer, gates, torso_first_layer, windows[5 : 5 + golden_rows], idle, rng
    )
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] / SIZE_PX
    plate = np.stack([0.3 + 0.3 * y, 0.4 + 0.2 * x, 0.7 - 0.2 * y], axis=-1)
    return BakedAvatar(
        name="made",
        canonical=canonical,
        part_ids=part_ids,
        head_mover_count=head_movers,
        torso_mover_count=torso_movers,
        first_layer=first_layer,
        gates=gates,
        torso_first_layer=torso_first_layer,
        audio=audio,
        deformation=deformation,
        torso=torso,
        golden=golden,
        expression_names=EXPRESSION_BLENDSHAPES,
        expression_low=np.zeros(9, np.float32),
        expression_high=np.full(9, 0.9, np.float32),
        head_pose_low=_f32([-0.2, -0.2, -0.2, -0.02, -0.02, -0.02]),
        head_pose_high=_f32([0.2, 0.2, 0.2, 0.02, 0.02, 0.02]),
        idle=idle,
        focal_px=FOCAL_PX,
        size_px=SIZE_PX,
        camera_from_avatar=_translation([0, 0, HEAD_DEPTH_M]),
        torso_origin_avatar_m=TORSO_ORIGIN_M,
        mover_low_m=_f32([-0.3, -0.3, -0.3]),
        mover_high_m=_f32([0.3, 0.3, 0.3]),
        mover_log_scale_low=-7.0,
        mover_log_scale_high=-2.0,
        thumbnail_rgb=np.round(plate * 255).astype(np.uint8),
        plate_rgb=np.round(plate * 255).astype(np.uint8),
    )


def made_bundle(*, torso_hears_rigid: bool = False, **sizes: int) -> AvatarBundle:
    """The made avatar as a bundle in memory; `sizes` are those of `made_avatar`."""
    return bundle_of(made_avatar(torso_hears_rigid=torso_hears_rigid, **sizes), LIKENESS)


def write_made_bundle(
    path: Path, *, zipped: bool = False, torso_hears_rigid: bool = False, **sizes: int
) -> AvatarBundle:
    """Write the made avatar to `path` and return what reads back."""
    return write_bundle(path, made_bundle(torso_hears_rigid=torso_hears_rigid, **sizes), zipped=zipped)


def _cloud(rng: np.random.Generator, head: int, torso: int, static: int) -> tuple[Gaussians, np.ndarray]:
    face = rng.normal(size=(head + static, 3)) * [0.035, 0.045, 0.01]
    shoulders = rng.normal(size=(torso, 3)) * [0.07, 0.03, 0.01]
    means = np.concatenate([face[:head], shoulders, face[head:]])
    count = head + torso + static
    part_ids = np.zeros(count, np.uint8)
    part_ids[head : head + torso] = 1
    skin, cloth = np.array([0.8, 0.6, 0.5]), np.array([0.2, 0.25, 0.5])
    colours = np.where(part_ids[:, None] == 1, cloth, skin) + rng.normal(size=(count, 3)) * 0.05
    cloud = Gaussians(
        means=means.astype(np.float32),
        quats_wxyz=_unit(_normal(rng, count, 4)),
        scales=np.exp(rng.uniform(-6.0, -4.5, (count, 3))).astype(np.float32),
        opacities=rng.uniform(0.3, 0.95, count).astype(np.float32),
        sh_coeffs=((colours - 0.5) / 0.28209479).astype(np.float32)[:, None],
    )
    return cloud, part_ids


def _idle(rng: np.random.Generator, frames: int) -> IdleMotion:
    swing = np.sin(np.linspace(0, 3, frames))
    head = np.stack([_turn(0.1 * s, axis=1) @ _translation([0.004 * s, 0, 0]) for s in swing])
    torso = np.stack(
        [_translation(TORSO_ORIGIN_M) @ _translation([0.002 * s, 0, 0]) @ _turn(0.02 * s, axis=2) for s in swing]
    )
    expression = np.clip(rng.uniform(0, 0.3, (frames, 9)) + 0.5 * (np.arange(frames)[:, None] == 12), 0, 1)
    return IdleMotion(head.astype(np.float32), expression.astype(np.float32), torso.astype(np.float32))


def _golden(audio, deformation, torso, first_layer, gates, torso_first_layer, windows, idle, rng) -> Golden:
    rows = len(windows)
    expression = idle.expression[10 : 10 + rows]
    head_pose = (rng.uniform(-1, 1, (rows, 6)) * [0.2, 0.2, 0.2, 0.02, 0.02, 0.02]).astype(np.float32)
    codes = graph_twin.audio_codes(audio, windows)
    moved = [graph_twin.deltas(deformation, first_layer, gates, codes[i], expression[i]) for i in range(rows)]
    torsos = [graph_twin.torso(torso, torso_first_layer, pose) for pose in head_pose]
    return Golden(
        mel_window=windows,
        expression=expression,
        head_pose=head_pose,
        audio_code=codes.astype(np.float32),
        deltas=np.stack(moved).astype(np.float32),
        torso_rigid=np.stack([rigid for rigid, _ in torsos]).astype(np.float32),
        torso_deltas=np.stack([delta for _, delta in torsos]).astype(np.float32),
    )


def _f32(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _conv(rng: np.random.Generator, inputs: int, outputs: int, taps: int, stride: int = 1) -> Conv:
    weight = _normal(rng, outputs, inputs, taps) * np.float32(np.sqrt(2 / (inputs * taps)))
    return Conv(weight=weight, bias=_normal(rng, outputs) * 0.1, stride=stride)


def _dense(rng: np.random.Generator, inputs: int, outputs: int) -> Dense:
    weight = _normal(rng, inputs, outputs) * np.float32(np.sqrt(1 / inputs))
    return Dense(weight=weight, bias=_normal(rng, outputs) * 0.1)


def _scaled(layer: Dense, scale: list[float]) -> Dense:
    return Dense(weight=layer.weight * _f32(scale), bias=layer.bias * _f32(scale))


def _translation(offset_m) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = offset_m
    return pose


def _turn(angle_rad: float, axis: int) -> np.ndarray:
    a, b = [i for i in range(3) if i != axis]
    pose = np.eye(4)
    pose[a, a] = pose[b, b] = np.cos(angle_rad)
    pose[a, b], pose[b, a] = -np.sin(angle_rad), np.sin(angle_rad)
    return pose
