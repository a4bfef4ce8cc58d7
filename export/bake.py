"""Evaluate everything spatial once: a trained run becomes plain arrays, ready to be written as a bundle.

Canonical positions do not move after training, so the tri-plane features and gates of every Gaussian are
constants; they are folded through the first layer of the field, and normalisations into weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from gstalker.export.asked_faces import asked_faces, seen_of_samples
from gstalker.export.baked_avatar import (
    BakedAudio,
    BakedAvatar,
    BakedDeformation,
    BakedTorso,
    Conv,
    Dense,
)
from gstalker.kernels.gaussians import Gaussians
from gstalker.runtime.bundle import Golden, IdleMotion
from gstalker.runtime.model.audio_encoder import LEAKY_SLOPE, AudioEncoder
from gstalker.runtime.model.avatar import AvatarModel
from gstalker.runtime.model.deformation import DeformationField
from gstalker.runtime.model.driving_samples import DrivingSamples, load_driving_samples
from gstalker.runtime.model.idle_seat import take_idle_seat
from gstalker.runtime.model.torso import TorsoField
from gstalker.runtime.model.trained_run import load_run
from gstalker.runtime.seen import read_seen

TORSO_STILL_PX = 0.05  # a torso Gaussian that never moves further than this, over all poses seen, is not sent
GOLDEN_ROWS = 4
THUMBNAIL_PX = 256


@torch.no_grad()
def bake_run(run: Path, name: str) -> BakedAvatar:
    """Read a run and bake it.

    Args:
        run: folder that `train` wrote.
        name: the avatar's name, for people.

    Raises:
        InputError: no run, no checkpoint, or one of another version; it hears with something that a bundle cannot
            carry.
    """
    trained = load_run(run)
    trained.open_source().bundle_front_end()  # refuses what a bundle's readers cannot hear with
    samples = load_driving_samples(run)
    model, facts = trained.model, trained.facts
    take_idle_seat(model, samples, facts.space)
    travel_m = torso_travel(model, samples)
    moves = travel_m > TORSO_STILL_PX * float(model.setup.torso_unit_m) / 100
    order = bundle_order(model, moves)
    head_movers, torso_movers = model.canonical.head_mover_count, int(moves.sum())
    canonical = natural_gaussians(model, order)
    first_layer, gates = model.deformation.spatial(model.canonical.means[model.canonical.head_movers])
    torso_rows = order[head_movers : head_movers + torso_movers]
    torso_first_layer = model.torso.first_layer(model.canonical.means[torso_rows])
    field = model.deformation
    # The field normalises expression weights; the shift becomes part of the first layer, behind the gate.
    shift = field.from_expression(-field.expression_mean / field.expression_std)
    seen = read_seen(run) or seen_of_samples(samples, model.config.controls)
    faces = asked_faces(samples, seen, model.config.controls)
    low_m, high_m, log_scale_low, log_scale_high = mover_extremes(model, samples, torso_rows, faces)
    return BakedAvatar(
        name=name,
        canonical=canonical,
        part_ids=model.canonical.part_ids[order].numpy(),
        head_mover_count=head_movers,
        torso_mover_count=torso_movers,
        first_layer=(first_layer + gates[:, 1:] * shift).numpy(),
        gates=gates.numpy(),
        torso_first_layer=torso_first_layer.numpy(),
        audio=bake_audio(model.audio),
        deformation=bake_deformation(field),
        torso=bake_torso(model.torso),
        golden=golden_rows(model, samples, torso_rows),
        expression_names=model.config.controls,
        expression_low=samples.expression_low,
        expression_high=samples.expression_high,
        head_pose_low=samples.head_pose_low,
        head_pose_high=samples.head_pose_high,
        idle=IdleMotion(
            avatar_from_head=samples.idle_avatar_from_head,
            expression=samples.idle_expression,
            avatar_from_torso=samples.idle_avatar_from_torso,
        ),
        focal_px=facts.focal_px,
        size_px=facts.size_px,
        camera_from_avatar=facts.space.camera_from_avatar,
        torso_origin_avatar_m=facts.space.torso_origin_avatar_m,
        mover_low_m=low_m,
        mover_high_m=high_m,
        mover_log_scale_low=log_scale_low,
        mover_log_scale_high=log_scale_high,
        thumbnail_rgb=np.asarray(Image.fromarray(samples.reference_rgb).resize((THUMBNAIL_PX, THUMBNAIL_PX))),
        plate_rgb=samples.plate_rgb,
        seen=seen,
    )


def torso_travel(model: AvatarModel, samples: DrivingSamples) -> Tensor:
    """(torso count,) how far each torso Gaussian is moved at most over the sampled head poses, metres."""
    means = model.canonical.means[model.canonical.torso]
    travel = torch.zeros(len(means))
    for pose in torch.from_numpy(samples.head_pose):
        travel = torch.maximum(travel, model.torso(means, pose).norm(dim=1))
    return travel


def bundle_order(model: AvatarModel, torso_moves: Tensor) -> Tensor:
    """(N,) rows in the bundle's order: head movers, torso movers, still torso, still head."""
    c = model.canonical
    rows = torch.arange(len(c))
    torso = rows[c.torso]
    return torch.cat([rows[c.head_movers], torso[torso_moves], torso[~torso_moves], rows[c.head_static]])


def natural_gaussians(model: AvatarModel, order: Tensor) -> Gaussians:
    """Linear scales, 0..1 opacities, unit quaternions, in the given order."""
    c = model.canonical
    return Gaussians(
        means=c.means[order].numpy(),
        quats_wxyz=nn.functional.normalize(c.quats_wxyz[order], dim=1).numpy(),
        scales=torch.exp(c.log_scales[order]).numpy(),
        opacities=torch.sigmoid(c.opacity_logits[order]).numpy(),
        sh_coeffs=c.sh_coeffs[order].numpy(),
    )


def mover_extremes(
    model: AvatarModel, samples: DrivingSamples, torso_rows: Tensor, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Corners (3,) of what movers reach over the sampled frames, each in its part's space, and of log-scales.

    `faces` (n, E) are expressions that can be asked for besides, here shown to as many of the sampled moments.
    """
    c = model.canonical
    head, torso = c.means[c.head_movers], c.means[torso_rows]
    log_scales = c.log_scales[c.head_movers]
    low, high = c.means[:0].new_full((3,), np.inf), c.means[:0].new_full((3,), -np.inf)
    scale_low = float(c.log_scales.min())
    scale_high = float(c.log_scales.max())
    codes = model.audio(torch.from_numpy(samples.mel_windows))[:, 0]
    shown = np.linspace(0, len(codes) - 1, len(faces)).astype(int)  # moments that the faces are shown at
    moments = np.concatenate([np.arange(len(codes)), shown])
    expressions = torch.from_numpy(np.concatenate([samples.expression, faces]))
    poses = torch.from_numpy(samples.head_pose[moments])
    for code, expression, pose in zip(codes[moments], expressions, poses, strict=True):
        deltas = model.deformation(head, code, expression)
        reached = torch.cat([head + deltas[:, :3], torso + model.torso(torso, pose)])
        low, high = torch.minimum(low, reached.amin(0)), torch.maximum(high, reached.amax(0))
        moved_log_scales = log_scales + deltas[:, 7:10]
        scale_low = min(scale_low, float(moved_log_scales.min()))
        scale_high = max(scale_high, float(moved_log_scales.max()))
    return low.numpy(), high.numpy(), scale_low, scale_high


def golden_rows(model: AvatarModel, samples: DrivingSamples, torso_rows: Tensor) -> Golden:
    """A few real inputs and what the torch model makes of them."""
    c = model.canonical
    picks = np.linspace(0, len(samples.mel_windows) - 1, GOLDEN_ROWS).astype(int)
    mel, expression, pose = samples.mel_windows[picks], samples.expression[picks], samples.head_pose[picks]
    codes = model.audio(torch.from_numpy(mel))[:, 0]
    poses = torch.from_numpy(pose)
    deltas = [
        model.deformation(c.means[c.head_movers], code, face)
        for code, face in zip(codes, torch.from_numpy(expression), strict=True)
    ]
    torso_deltas = [model.torso(c.means[torso_rows], p) for p in poses]
    return Golden(
        mel_window=mel,
        expression=expression,
        head_pose=pose,
        audio_code=codes.numpy(),
        deltas=torch.stack(deltas).numpy(),
        torso_rigid=model.torso.rigid_motion(poses).numpy(),
        torso_deltas=torch.stack(torso_deltas).numpy(),
    )


def bake_audio(encoder: AudioEncoder) -> BakedAudio:
    """The encoder's layers as arrays."""
    return BakedAudio(
        convolutions=tuple(_conv(layer) for layer in encoder.convolutions),
        to_code=_conv(encoder.to_code),
        attention=(_conv(encoder.attention_hidden), _conv(encoder.attention_score)) if encoder.smooths else (),
        position_bias=encoder.position_bias.numpy() if encoder.smooths else np.zeros(1, np.float32),
        left_mel_frames=encoder.config.left_mel_frames,
        right_mel_frames=encoder.config.right_mel_frames,
        leaky_slope=LEAKY_SLOPE,
    )


def bake_deformation(field: DeformationField) -> BakedDeformation:
    """The field behind its first layer, normalisation and output scales folded in."""
    out = Dense(field.out.weight.T.numpy() * field.output_scale.numpy(), (field.out.bias * field.output_scale).numpy())
    return BakedDeformation(
        w_audio=field.from_audio.weight.T.numpy(),
        w_expression=(field.from_expression.weight / field.expression_std).T.numpy(),
        layers=(_dense(field.hidden), out),
    )


def bake_torso(field: TorsoField) -> BakedTorso:
    """The torso field behind its first layer, output scale folded in."""
    scale = field.config.mean_scale * field.picture_unit_m
    rigid_in, rigid_out = field.rigid[0], field.rigid[2]
    spread = field.rigid_std.numpy()
    last = _dense(rigid_out)
    return BakedTorso(
        pose_mean=field.pose_mean.numpy(),
        pose_scale=field.pose_std.numpy(),
        w_pose=field.from_pose.weight.T.numpy(),
        w_rigid=None if field.from_rigid is None else (field.from_rigid.weight / field.rigid_std).T.numpy(),
        layers=(_dense(field.hidden), Dense(field.out.weight.T.numpy() * scale, field.out.bias.numpy() * scale)),
        rigid_layers=(_dense(rigid_in), Dense(last.weight * spread, last.bias * spread)),
    )


def _conv(layer: nn.Module) -> Conv:
    assert isinstance(layer, nn.Conv1d)
    assert layer.bias is not None
    return Conv(layer.weight.numpy(), layer.bias.numpy(), layer.stride[0])


def _dense(layer: nn.Module) -> Dense:
    assert isinstance(layer, nn.Linear)
    return Dense(layer.weight.T.numpy(), layer.bias.numpy())
