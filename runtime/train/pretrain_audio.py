"""Teach the audio encoder lips before any picture is drawn.

The largest single gain of this method on minutes of video: with no rendering in the loop the encoder sees every
frame dozens of times. It regresses, through a linear read-out that is then thrown away, what the tracker measured:
lip landmarks without the head's pose (as principal components) and the mouth's blendshape weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from gstalker.kernels.camera import Camera, intrinsics, project_points
from gstalker.runtime import landmarks as lm
from gstalker.runtime.model.audio_encoder import MEL_FRAMES_PER_VIDEO_FRAME, AudioEncoder
from gstalker.runtime.train.frames import FrameTracks
from gstalker.runtime.train.vary_speech import SpokenClips, VoiceConfig, other_voices

LONGEST_PASSAGE = 75  # video frames


@dataclass(frozen=True)
class PretrainConfig:
    """The pretraining of the audio encoder."""

    EARLIER: ClassVar[Mapping[str, object]] = {"tempo": 0.0, "opening": 0.0, "voice": VoiceConfig()}

    steps: int = 1800  # updates; each sees `clips_per_step` passages
    clips_per_step: int = 16
    lip_components: int = 12  # principal components of the lip landmarks
    learning_rate: float = 2e-3  # decays to 0.8 % along a cosine
    weight_decay: float = 1e-3
    dropout: float = 0.08  # of encoder channels, each for a whole passage
    opening: float = 0.06  # weight of the lip opening's own squared error, in its variance, beside the mean of all
    tempo: float = 0.15  # passages are said at up to e^0.15 times their tempo, or as many times slower
    augmented_share: float = 0.5  # of the passages that are said in another voice
    voice: VoiceConfig = field(default_factory=VoiceConfig)
    validation_share: float = 0.06  # of the training clips, held out to report the error of unseen speech


@dataclass(frozen=True)
class LipTargets:
    """What the encoder is taught, per frame.

    Attributes:
        values: (F, D) normalised targets: lip components, then mouth blendshapes.
        basis: (D_lips, 80) rows that turn lip components into pixel offsets; scaled by `spread`.
        spread: (D,) standard deviation of each target before normalisation.
        mean_lips_px: (80,) mean offset of the 40 lip landmarks from the rigid face.
    """

    values: Tensor
    basis: np.ndarray
    spread: np.ndarray
    mean_lips_px: np.ndarray


@dataclass(frozen=True)
class PretrainReport:
    """How well lips are told from sound on clips that were held out.

    Attributes:
        lip_error_px: mean distance of the 40 lip landmarks, head pose removed, that the read-out predicts.
        mean_shape_error_px: of the mean lips, whatever is said.
        opening_correlation: of the predicted with the tracked opening, each clip's mean removed; 0 for no motion.
        opening_amplitude: spread of the predicted over that of the tracked opening.
    """

    lip_error_px: float
    mean_shape_error_px: float
    opening_correlation: float
    opening_amplitude: float


def lip_offsets_px(tracks: FrameTracks, landmarks_head_m: np.ndarray, focal_px: float, size_px: int) -> np.ndarray:
    """(F, 40, 2) lip landmarks relative to where the rigid mean face would have them, turned upright."""
    K = intrinsics(focal_px, size_px, size_px)
    lips_m = landmarks_head_m[list(lm.LIPS)].astype(np.float64)
    offsets = []
    for pose, points in zip(tracks.camera_from_head, tracks.landmarks_px, strict=True):
        rigid = project_points(lips_m, Camera(pose.astype(np.float64), K, size_px, size_px))
        roll = np.arctan2(pose[1, 0], pose[0, 0])
        upright = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
        offsets.append((points[list(lm.LIPS)] - rigid) @ upright.T)
    return np.array(offsets)


def lip_targets(
    tracks: FrameTracks, landmarks_head_m: np.ndarray, focal_px: float, size_px: int, config: PretrainConfig
) -> LipTargets:
    """Principal components of the lips and mouth blendshapes, normalised."""
    flat = lip_offsets_px(tracks, landmarks_head_m, focal_px, size_px).reshape(len(tracks.clip_of_frame), -1)
    mean = flat.mean(axis=0)
    # Of 80 by 80 covariances: of all frames at once the same components take a hundred times as long.
    _, columns = np.linalg.eigh((flat - mean).T @ (flat - mean))
    basis = columns[:, ::-1].T[: min(config.lip_components, *flat.shape)]
    raw = np.concatenate([(flat - mean) @ basis.T, tracks.mouth_shapes], axis=1)
    centred = raw - raw.mean(axis=0)
    # Components keep their sizes relative to the first: normalising each would teach noise. Blendshapes likewise.
    lips = len(basis)
    spread = np.empty(raw.shape[1])
    spread[:lips] = centred[:, :lips].std(axis=0).max()
    spread[lips:] = max(centred[:, lips:].std(axis=0).max(), 1e-6)
    spread = np.maximum(spread, 1e-6)
    return LipTargets(torch.from_numpy(centred / spread).float(), basis, spread, mean)


def clip_mel(tracks: FrameTracks, clip: int) -> Tensor:
    """(L, 80) the mel frames of a whole clip, put together again from its windows."""
    windows = tracks.mel_windows[tracks.clip_of_frame == clip]
    head = windows[0]
    tail = windows[1:, -MEL_FRAMES_PER_VIDEO_FRAME:].reshape(-1, windows.shape[2])
    return torch.from_numpy(np.concatenate([head, tail]))


def pretrain_audio(
    encoder: AudioEncoder,
    tracks: FrameTracks,
    targets: LipTargets,
    config: PretrainConfig,
    seed: int,
    on_step: Callable[[int, float], None],
    held_out: Sequence[int] | None = None,
    readout: nn.Linear | None = None,
) -> PretrainReport:
    """Train the encoder in place, and the read-out, which is dropped unless the caller brought it.

    Clips of unequal length are cut to a common span at a random place (`vary_speech`).

    Args:
        held_out: clips to report on and never to learn from; a random few if None.
        readout: from codes to `targets.values`; a new one if None.
    """
    generator = torch.Generator().manual_seed(seed)
    clip_count = int(tracks.clip_of_frame.max()) + 1
    order = torch.randperm(clip_count, generator=generator).tolist()
    if held_out is None:
        count = max(1, round(clip_count * config.validation_share)) if clip_count > 3 else 0
        validation, training = order[:count], order[count:]
    else:
        validation, training = list(held_out), [c for c in order if c not in held_out]
    mels = [clip_mel(tracks, c) for c in range(clip_count)]
    values = [targets.values[torch.from_numpy(tracks.clip_of_frame == c)] for c in range(clip_count)]
    span = min(LONGEST_PASSAGE, min(len(v) for v in values))
    window = encoder.config.window_mel_frames
    spoken = SpokenClips(
        [mels[c] for c in training], [values[c] for c in training], encoder.config.left_mel_frames, window
    )
    readout = readout or nn.Linear(encoder.config.code_size, targets.values.shape[1])
    opening = opening_row(targets)
    parameters = [*encoder.parameters(), *readout.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.steps, pct_start=0.1, final_div_factor=5.0
    )
    for step in range(config.steps):
        passages = spoken.passages(config.clips_per_step, span, config.tempo, generator)
        features = passages.features
        if config.augmented_share:
            features = other_voices(features, config.augmented_share, config.voice, generator)
        predicted = readout(encoder(features, dropout=config.dropout))
        missed = predicted - passages.values
        errors = missed.square().mean(dim=2) + config.opening * (missed @ opening).square()
        loss = (errors * passages.known).sum() / passages.known.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
        optimizer.step()
        schedule.step()
        on_step(step, float(loss.detach()))
    return _report(encoder, readout, mels, values, validation or training, targets)


@torch.no_grad()
def _report(
    encoder: AudioEncoder, readout: nn.Linear, mels: list[Tensor], values: list[Tensor], clips: list[int],
    targets: LipTargets,
) -> PretrainReport:  # fmt: skip
    lips = len(targets.basis)
    errors, spreads, openings = [], [], []
    for clip in clips:
        predicted = readout(encoder(mels[clip][None]))[0]
        for value, into in ((values[clip] - predicted, errors), (values[clip], spreads)):
            offsets = (value[:, :lips].numpy() * targets.spread[:lips]) @ targets.basis
            into.append(np.linalg.norm(offsets.reshape(-1, 40, 2), axis=2).mean())
        openings.append(np.stack([opening_px(v.numpy(), targets) for v in (predicted, values[clip])]))
    centred = np.concatenate([o - o.mean(axis=1, keepdims=True) for o in openings], axis=1)
    spread = np.sqrt((centred**2).mean(axis=1))
    correlation = float((centred[0] * centred[1]).mean() / spread.prod()) if spread.min() > 0 else 0.0
    amplitude = float(spread[0] / spread[1]) if spread[1] > 0 else 0.0
    return PretrainReport(float(np.mean(errors)), float(np.mean(spreads)), correlation, amplitude)


def lips_px(values: np.ndarray, targets: LipTargets) -> np.ndarray:
    """(T, 40, 2) lip landmarks, as offsets from the rigid face, of normalised targets (T, D_lips or more)."""
    lips = len(targets.basis)
    flat = targets.mean_lips_px + (values[:, :lips] * targets.spread[:lips]) @ targets.basis
    return flat.reshape(-1, len(lm.LIPS), 2)


def opening_row(targets: LipTargets) -> Tensor:
    """(D,) what an error of each target is worth in the opening's standard deviation; 0 for lips that stand still."""
    lips = len(targets.basis)
    upper, lower = (2 * lm.LIPS.index(i) + 1 for i in lm.LIP_OPENING)
    row = torch.zeros(targets.values.shape[1])
    row[:lips] = torch.from_numpy((targets.basis[:, lower] - targets.basis[:, upper]) * targets.spread[:lips])
    return row / (targets.values @ row).std().clamp(min=1e-6)


def opening_px(values: np.ndarray, targets: LipTargets) -> np.ndarray:
    """(T,) opening of the inner lips in px, of normalised targets, less the rigid face's own: a closing mouth goes
    below zero."""
    points = lips_px(values, targets)
    upper, lower = (points[:, lm.LIPS.index(i), 1] for i in lm.LIP_OPENING)
    return lower - upper
