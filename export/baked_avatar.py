"""What the exporter needs of a trained avatar, as plain arrays: the contract between training and export.

The spatial part of the networks is already evaluated at every Gaussian's canonical position ("baked").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.kernels.gaussians import Gaussians
from gstalker.runtime.bundle import Golden, IdleMotion
from gstalker.runtime.seen import NOTHING_SEEN, Seen


@dataclass(frozen=True)
class Dense:
    """x @ weight + bias.

    Attributes:
        weight: (inputs, outputs); the transpose of torch's Linear.weight.
        bias: (outputs,)
    """

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Conv:
    """A one-dimensional convolution without padding.

    Attributes:
        weight: (out channels, in channels, taps), as torch's Conv1d.weight.
        bias: (out channels,)
        stride: in input frames.
    """

    weight: np.ndarray
    bias: np.ndarray
    stride: int = 1


@dataclass(frozen=True)
class BakedAudio:
    """Mel windows to audio codes: convolutions that give one code a video frame, then, if any, attention over them.

    Attributes:
        convolutions: applied in turn to (B, bands, W), leaky ReLU of `leaky_slope` after each; strides
            multiply to 4, the mel frames of a video frame.
        to_code: one tap, A outputs, nothing after it: (B, A, n).
        attention: one-tap layers from codes to one score, leaky ReLU between them and none after the last;
            none where a window gives one code, n = 1.
        position_bias: (n,) added to the scores before the softmax over the n codes.
        left_mel_frames, right_mel_frames: W = left + right mel frames, from 4 t - left to 4 t + right - 1.
    """

    convolutions: tuple[Conv, ...]
    to_code: Conv
    attention: tuple[Conv, ...]
    position_bias: np.ndarray
    left_mel_frames: int
    right_mel_frames: int
    leaky_slope: float = 0.1


@dataclass(frozen=True)
class BakedDeformation:
    """hidden = relu(first_layer + gates @ [code @ w_audio; expression @ w_expression]), then `layers`.

    Attributes:
        w_audio: (A, H).
        w_expression: (E, H) for expression weights 0..1. Where training normalised them, divide here by the
            deviation and add gates[:, 1:2] * (-mean / deviation @ w_expression) to first_layer.
        layers: ReLU between them and none after the last, whose 11 outputs already carry the output scales.
    """

    w_audio: np.ndarray
    w_expression: np.ndarray
    layers: tuple[Dense, ...]


@dataclass(frozen=True)
class BakedTorso:
    """From p = (head_pose - pose_mean) / pose_scale to the torso's motion.

    Attributes:
        pose_mean, pose_scale: (6,)
        w_pose: (6, Ht), w_rigid: (3, Ht), or None for a field that does not hear of the rigid motion:
            hidden = relu(torso_first_layer + p @ w_pose + torso_rigid @ w_rigid).
        layers: ReLU between them and none after the last, whose 3 outputs are metres.
        rigid_layers: from p to (dx_m, dy_m, angle_rad), tanh between them and none after the last.
    """

    pose_mean: np.ndarray
    pose_scale: np.ndarray
    w_pose: np.ndarray
    w_rigid: np.ndarray | None
    layers: tuple[Dense, ...]
    rigid_layers: tuple[Dense, ...]


@dataclass(frozen=True)
class BakedAvatar:
    """Everything that goes into a bundle. Arrays are float32 unless said otherwise.

    Attributes:
        name: for people; file names do not depend on it.
        canonical: N Gaussians in the space of their part: head movers, torso movers, static; degree 0.
        part_ids: (N,) uint8, kernels.frame.PART_HEAD or PART_TORSO.
        head_mover_count, torso_mover_count: Mh, Mt.
        first_layer: (Mh, H), gates: (Mh, 2), torso_first_layer: (Mt, Ht).
        audio, deformation, torso: the networks.
        golden: rows for the parity check and for other runtimes; at least one.
        expression_names: the E controls; expression_low, expression_high: (E,) seen in training.
        head_pose_low, head_pose_high: (6,) seen in training.
        idle: a few seconds of tracked natural motion.
        focal_px, size_px: the training camera; camera_from_avatar: (4, 4) float64 translation.
        torso_origin_avatar_m: (3,) float64 the torso's pivot at rest.
        mover_low_m, mover_high_m: (3,) extremes of all movers, each in its part's space, over training.
        mover_log_scale_low, mover_log_scale_high: extremes of their log-scales over training.
        seen: ranges and emotions of the person.
        thumbnail_rgb: (h, w, 3) uint8; plate_rgb: (size_px, size_px, 3) uint8 backdrop.
    """

    name: str
    canonical: Gaussians
    part_ids: np.ndarray
    head_mover_count: int
    torso_mover_count: int
    first_layer: np.ndarray
    gates: np.ndarray
    torso_first_layer: np.ndarray
    audio: BakedAudio
    deformation: BakedDeformation
    torso: BakedTorso
    golden: Golden
    expression_names: tuple[str, ...]
    expression_low: np.ndarray
    expression_high: np.ndarray
    head_pose_low: np.ndarray
    head_pose_high: np.ndarray
    idle: IdleMotion
    focal_px: float
    size_px: int
    camera_from_avatar: np.ndarray
    torso_origin_avatar_m: np.ndarray
    mover_low_m: np.ndarray
    mover_high_m: np.ndarray
    mover_log_scale_low: float
    mover_log_scale_high: float
    thumbnail_rgb: np.ndarray
    plate_rgb: np.ndarray
    seen: Seen = NOTHING_SEEN
