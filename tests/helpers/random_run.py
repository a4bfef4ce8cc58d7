"""A training run on disk with random weights: what export reads, without any training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from gstalker.runtime.model.avatar import AvatarConfig, AvatarModel, AvatarSetup
from gstalker.runtime.model.canonical import (
    KIND_HEAD_MOVER,
    KIND_HEAD_STATIC,
    KIND_TORSO,
    CanonicalGaussians,
)
from gstalker.runtime.model.driving_samples import DrivingSamples
from gstalker.runtime.model.trained_run import RunFacts
from gstalker.runtime.train.checkpoint import save_checkpoint, write_run_config
from gstalker.runtime.train.config import TrainConfig

SIZE_PX = 64
HEAD_DEPTH_M = 0.6


def random_model(
    head_movers: int = 60, torso: int = 40, static: int = 20, seed: int = 0, config: AvatarConfig | None = None
) -> AvatarModel:
    """Every weight random, also those that training starts at zero."""
    generator = torch.Generator().manual_seed(seed)
    count = head_movers + torso + static

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    setup = AvatarSetup(
        expression_mean=normal(9).abs() * 0.1,
        expression_std=normal(9).abs() * 0.1 + 0.05,
        mover_bounds_m=torch.tensor([[-0.1, -0.1, -0.1], [0.1, 0.1, 0.1]]),
        pose_mean=normal(6) * 0.02,
        pose_std=torch.tensor([0.1, 0.1, 0.1, 0.01, 0.01, 0.02]),
        torso_rigid_std=torch.tensor([0.01, 0.01, 0.02]),
        picture_unit_m=torch.tensor([0.11]),
        torso_unit_m=torch.tensor([0.12]),
    )
    canonical = CanonicalGaussians(
        {
            "means": (normal(count, 3) * 0.03).clamp(-0.099, 0.099),
            "quats_wxyz": normal(count, 4),
            "log_scales": normal(count, 3) * 0.3 - 5,
            "opacity_logits": normal(count),
            "sh_coeffs": normal(count, 1, 3) * 0.5,
        },
        torch.tensor([KIND_HEAD_MOVER] * head_movers + [KIND_TORSO] * torso + [KIND_HEAD_STATIC] * static),
        (-8.0, -3.0),
    )
    model = AvatarModel(config or AvatarConfig(), setup, canonical)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith(("canonical.", "sittings.")) and "position_bias" not in name:
                fan_in = parameter[0].numel() if parameter.dim() > 1 else 100
                parameter.copy_(normal(*parameter.shape) / fan_in**0.5)
    return model.eval()


def driving_samples(model: AvatarModel, rows: int = 12, frames: int = 10, seed: int = 0) -> DrivingSamples:
    """Random inputs in the ranges of real ones."""
    rng = np.random.default_rng(seed)
    audio = model.config.audio
    idle = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    idle[:, 0, 3] = 0.002 * np.sin(np.arange(frames))
    picture = rng.integers(0, 255, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    pose = (rng.normal(size=(rows, 6)) * [0.1, 0.1, 0.1, 0.01, 0.01, 0.02]).astype(np.float32)
    return DrivingSamples(
        mel_windows=rng.normal(size=(rows, audio.window_mel_frames, audio.mel_bands)).astype(np.float32),
        expression=rng.uniform(0, 0.8, (rows, 9)).astype(np.float32),
        head_pose=pose,
        expression_low=np.zeros(9, np.float32),
        expression_high=np.full(9, 0.8, np.float32),
        head_pose_low=pose.min(0),
        head_pose_high=pose.max(0),
        idle_avatar_from_head=idle,
        idle_expression=rng.uniform(0, 0.3, (frames, 9)).astype(np.float32),
        idle_avatar_from_torso=idle,
        idle_torso_stretch=rng.normal(0, 0.02, (frames, 3)).astype(np.float32),
        reference_rgb=picture,
        plate_rgb=picture,
    )


def write_random_run(run: Path, model: AvatarModel | None = None) -> AvatarModel:
    """Write a run folder that `load_run` reads, and return its model."""
    model = model or random_model()
    camera_from_avatar = np.eye(4)
    camera_from_avatar[2, 3] = HEAD_DEPTH_M
    run.mkdir(parents=True)
    facts = RunFacts(
        dataset="none",
        size_px=SIZE_PX,
        focal_px=2.2 * SIZE_PX,
        camera_from_avatar=tuple(tuple(row) for row in camera_from_avatar.tolist()),
        torso_origin_avatar_m=(0.0, 0.12, 0.02),
    )
    write_run_config(run, TrainConfig(avatar=model.config), facts)
    save_checkpoint(run, 10, model, {})
    driving_samples(model).save(run)
    return model
