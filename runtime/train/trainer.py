"""A run in memory, and one step of it: render a frame, compare, update, now and then add Gaussians."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gstalker.kernels.camera import intrinsics
from gstalker.kernels.differentiable import rasterize
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.lpips import Lpips
from gstalker.runtime.model.avatar import STILL, Anchors, AvatarModel, Motion
from gstalker.runtime.train import checkpoint, density, frames
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.losses import FrameLoss, frame_loss, pixel_weights, random_patch
from gstalker.runtime.train.optimizer import NamedAdam, NonFiniteGradient
from gstalker.runtime.train.sampler import FrameSampler
from gstalker.runtime.train.trust import PixelTrust, weighed_by_matte

ANCHOR_STEPS = 25  # the fields are evaluated at positions at most this many steps old
MAX_BAD_STEPS = 20  # non-finite gradients in a row after which training gives up


class Trainer:
    """A run in memory: everything that a checkpoint holds, and the data."""

    def __init__(
        self, config: TrainConfig, dataset: Dataset, run: Path, model: AvatarModel, tracks: frames.FrameTracks,
        pictures: frames.PictureStore, perceptual: Lpips | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.run = run
        self.device = training_device(config.device)
        self.model = model.to(self.device)
        self.tracks = tracks = weighed_by_matte(tracks, pictures)
        self.pictures = pictures
        m = dataset.manifest
        self.size_px = m.size_px
        self.trust = PixelTrust(m.size_px, config.trust, config.steps, self.device)
        self.K = torch.from_numpy(intrinsics(m.focal_px, m.size_px, m.size_px)).float().to(self.device)
        self.optimizer = NamedAdam(model, config)
        self.sampler = FrameSampler(tracks, config)
        self.generator = torch.Generator().manual_seed(config.seed + 1)
        self.stats = self._no_stats()
        self.growth_steps = growth_steps(config)
        self.mouth_boxes = frames.mouth_boxes(tracks, self.size_px)
        self.eye_boxes = frames.eye_box_pairs(tracks, self.size_px)
        self.step = 0
        self.bad_steps = 0
        self.last_bad: str | None = None  # parameter whose gradient was not finite in the last step
        self.anchors = model.anchors()
        self.perceptual = perceptual.to(self.device) if perceptual else None
        self.perceptual_from = config.steps - round(config.losses.lpips_share * config.stage2_steps)
        self._viewmat = torch.eye(4, device=self.device)

    def _no_stats(self) -> density.DensityStats:
        return density.DensityStats.zeros(len(self.model.canonical), self.device)

    def _on_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def motion_of(self, frame: int) -> Motion:
        """The field's deltas for a training frame."""
        code = self.model.audio(self._on_device(self.tracks.mel_windows[frame])[None])[0, 0]
        return self.model.motion(
            code,
            self._on_device(self.tracks.expression[frame]),
            self._on_device(self.tracks.head_pose[frame]),
            self.anchors,
        )

    def frame_loss(self, frame: int) -> FrameLoss:
        """Render a training frame and compare it with the real one."""
        in_stage_2 = self.step >= self.config.stage1_steps
        motion = self.motion_of(frame) if in_stage_2 else STILL
        posed = self.model.posed(
            self._on_device(self.tracks.camera_from_head[frame]),
            self._on_device(self.tracks.camera_from_torso[frame]),
            motion,
        )
        clip, index = int(self.tracks.clip_of_frame[frame]), int(self.tracks.index_in_clip[frame])
        real, matte, plate = self.pictures.picture(clip, index, self.device)
        rgb, alpha = rasterize(
            *posed, viewmat=self._viewmat, K=self.K, width_px=self.size_px, height_px=self.size_px,
            background=plate, backend=self.device.type,
            screen_gradients=self.stats.screen_gradients,
        )  # fmt: skip
        real, matte = self.trust.believed(self.step, rgb, alpha, real, matte)
        weights = pixel_weights(
            self.size_px, self.mouth_boxes[frame], self.eye_boxes[frame], float(self.tracks.confidence[frame]),
            self.config.losses,
        ).to(self.device)  # fmt: skip
        outputs = None
        if motion.head is not None:
            outputs = motion.head / self.model.deformation.output_scale
            moved_m = motion.head.detach()[:, :3].norm(dim=1)
            self.stats.motion[self.model.canonical.head_movers] += moved_m
        self.stats.frames += 1
        loss = frame_loss(rgb, alpha, real, matte, weights, outputs, self.config.losses)
        if self.perceptual is not None and self.step >= self.perceptual_from:
            rows, columns = random_patch(matte, self.config.losses.lpips_patch_px, self.generator)
            distance = self.perceptual(rgb[rows, columns], real[rows, columns])
            loss = dataclasses.replace(loss, total=loss.total + self.config.losses.lpips * distance.mean())
        return loss

    def train_step(self) -> FrameLoss:
        """One update.

        Raises:
            NonFiniteGradient: the gradients were not finite for MAX_BAD_STEPS steps in a row.
        """
        if self.step % ANCHOR_STEPS == 0:
            self.anchors = self.model.anchors()
        loss = None
        for _ in range(self.config.batch_frames):
            loss = self.frame_loss(self.sampler.next())
            (loss.total / self.config.batch_frames).backward()
        assert loss is not None
        bad = self.optimizer.step(self.step)
        self.bad_steps = self.bad_steps + 1 if bad else 0
        if bad and self.bad_steps >= MAX_BAD_STEPS:
            raise NonFiniteGradient(
                f"step {self.step}: the gradient of {bad} was not finite for {MAX_BAD_STEPS} steps in a row. "
                "The last checkpoint is sound; lower the learning rates, or check the dataset's contact sheet."
            )
        if bad:
            self.stats = self._no_stats()
        self.model.canonical.enforce_bounds()
        self.step += 1
        if self.step in self.growth_steps:
            self._grow()
        self.last_bad = bad
        return loss

    def _grow(self) -> None:
        plan = density.plan_growth(self.stats, self.model.canonical, self.config.density)
        values, kinds, origin = density.grow(self.model.canonical, plan, self.generator)
        self.model.canonical.replace_rows(values, kinds)
        self.optimizer.remap_canonical(origin)
        self.stats = self._no_stats()
        self.anchors = self.model.anchors()

    def save(self) -> Path:
        """Write a checkpoint from which training goes on exactly as if it had not stopped."""
        extra = {f"adam/{n}": t for n, t in self.optimizer.state_tensors().items()}
        extra["random/growth"] = self.generator.get_state()
        extra["random/sampler"] = self.sampler.generator.get_state()
        extra["anchors/head"], extra["anchors/torso"] = self.anchors
        extra["stats/screen_gradients"] = self.stats.screen_gradients
        extra["stats/motion"] = self.stats.motion
        extra["trust/usual"] = self.trust.usual
        extra["stats/frames"] = torch.tensor([self.stats.frames])
        return checkpoint.save_checkpoint(self.run, self.step, self.model, extra)

    def restore(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Take back what `save` wrote; the model itself was rebuilt from the same tensors."""
        self.step = step
        moments = {n.removeprefix("adam/"): t for n, t in tensors.items() if n.startswith("adam/")}
        self.optimizer.load_state_tensors(moments)
        self.generator.set_state(tensors["random/growth"])
        self.sampler.generator.set_state(tensors["random/sampler"])
        self.anchors = Anchors(tensors["anchors/head"].to(self.device), tensors["anchors/torso"].to(self.device))
        self.trust.usual = tensors.get("trust/usual", self.trust.usual).to(self.device)
        self.stats = density.DensityStats(
            tensors["stats/screen_gradients"].to(self.device),
            tensors["stats/motion"].to(self.device),
            int(tensors["stats/frames"]),
        )


def training_device(name: str) -> torch.device:
    """The device a run asks for.

    Raises:
        InputError: CUDA is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "--device cuda: expected a CUDA GPU and a CUDA build of torch, found none. Train with --device cpu "
            "(the preview preset is made for it), or see `gstalker doctor`."
        )
    return torch.device(name)


def growth_steps(config: TrainConfig) -> frozenset[int]:
    """The steps after which Gaussians are added."""
    d = config.density
    if d.rounds == 0:
        return frozenset()
    shares = np.linspace(d.start_share, d.end_share, d.rounds)
    return frozenset((shares * config.steps).astype(int).tolist())
