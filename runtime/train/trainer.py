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
from gstalker.runtime.evaluate.lpips import Lpips
from gstalker.runtime.model.avatar import STILL, Anchors, AvatarModel, Motion, PosedGaussians
from gstalker.runtime.train import checkpoint, density, frames
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.device import chosen_triplane, fields_precision, training_device
from gstalker.runtime.train.losses import FrameLoss, frame_loss, mean_loss, pixel_weights, random_patch
from gstalker.runtime.train.optimizer import NamedAdam, NonFiniteGradient
from gstalker.runtime.train.sampler import FrameSampler
from gstalker.runtime.train.trust import PixelTrust, weighed_by_matte

ANCHOR_STEPS = 25  # the fields are evaluated at positions at most this many steps old
MAX_BAD_STEPS = 20  # non-finite gradients in a row after which training gives up
READ_EVERY = 25  # steps between two looks at whether a GPU's gradients were finite


class Trainer:
    """A run in memory: everything that a checkpoint holds, and the data."""

    def __init__(
        self, config: TrainConfig, dataset: Dataset, run: Path, model: AvatarModel, tracks: frames.FrameTracks,
        pictures: frames.PictureStore, perceptual: Lpips | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.run = run
        self.device = training_device(config.device)
        model.deformation.grid = chosen_triplane(model.deformation.grid, config.on_device)
        self.model = model.to(self.device)
        self.tracks = tracks = weighed_by_matte(tracks, pictures)
        self.tables = frames.tables_on(tracks, self.device)
        self.pictures = pictures
        self.kept_where = pictures.settle(self.device)
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
        self.skipped: list[tuple[int, str]] = []  # steps left out, with the parameter whose gradient was not finite
        self.anchors = model.anchors()
        self.perceptual = perceptual.to(self.device) if perceptual else None
        self.perceptual_from = config.steps - round(config.losses.lpips_share * config.stage2_steps)
        self._viewmat = torch.eye(4, device=self.device)

    def _no_stats(self) -> density.DensityStats:
        return density.DensityStats.zeros(len(self.model.canonical), self.device)

    def motion_of(self, frame: int) -> Motion:
        """The field's deltas for a training frame."""
        code = self.model.audio(self.tables.mel_windows[frame][None])[0, 0]
        with fields_precision(self.device, self.config.on_device):
            motion = self.model.motion(code, self.tables.expression[frame], self.tables.head_pose[frame], self.anchors)
        return Motion(*(None if deltas is None else deltas.float() for deltas in motion))

    @property
    def in_stage_2(self) -> bool:
        """Whether the fields learn by now."""
        return self.step >= self.config.stage1_steps

    def posed_at(self, frame: int) -> tuple[PosedGaussians, Motion]:
        """The Gaussians of a training frame before its camera, and how the fields moved them."""
        poses = self.tables.camera_from_head[frame], self.tables.camera_from_torso[frame]
        if not self.in_stage_2:
            return self.model.posed(*poses), STILL
        motion, sitting = self.motion_of(frame), self.model.sittings.of(self._place(frame)[0], self.config.sittings)
        return self.model.posed(*poses, motion, sitting), motion

    def frame_loss(self, frame: int) -> FrameLoss:
        """Render a training frame and compare it with the real one."""
        posed, motion = self.posed_at(frame)
        real = self.pictures.picture(*self._place(frame), self.device)
        return self._compare(frame, motion, self._draw(posed, real.plate), real)

    def batch_loss(self, chosen: list[int]) -> FrameLoss:
        """The mean of several frames' losses, drawn in one call, which keeps a GPU busier than one after the other."""
        posed, motions = zip(*(self.posed_at(frame) for frame in chosen), strict=True)
        real = [self.pictures.picture(*self._place(frame), self.device) for frame in chosen]
        together = PosedGaussians(*(torch.stack(values) for values in zip(*posed, strict=True)))
        drawn = self._draw(together, torch.stack([r.plate for r in real]))
        each = zip(chosen, motions, zip(*drawn, strict=True), real, strict=True)
        return mean_loss([self._compare(*frame) for frame in each])

    def _place(self, frame: int) -> tuple[int, int]:
        return int(self.tracks.clip_of_frame[frame]), int(self.tracks.index_in_clip[frame])

    def _draw(self, posed: PosedGaussians, background: Tensor) -> tuple[Tensor, Tensor]:
        return rasterize(
            *posed, viewmat=self._viewmat, K=self.K, width_px=self.size_px, height_px=self.size_px,
            background=background, backend=self.device.type, screen_gradients=self.stats.screen_gradients,
            check_values=False,  # what is not finite shows in the gradients
        )  # fmt: skip

    def _compare(self, frame: int, motion: Motion, drawn: tuple[Tensor, Tensor], picture: frames.Picture) -> FrameLoss:
        (rgb, alpha), (real, matte, _) = drawn, picture
        real, matte = self.trust.believed(self.step, rgb, alpha, real, matte)
        weights = pixel_weights(
            self.size_px, self.mouth_boxes[frame], self.eye_boxes[frame], float(self.tracks.confidence[frame]),
            self.config.losses, self.device,
        )  # fmt: skip
        outputs = None
        if motion.head is not None:
            outputs = motion.head / self.model.deformation.output_scale
            moved_m = motion.head.detach()[:, :3].norm(dim=1)
            self.stats.motion[self.model.canonical.head_movers] += moved_m
        self.stats.frames += 1
        loss = frame_loss(rgb, alpha, real, matte, weights, outputs, self.config.losses)
        clip, index = self._place(frame)
        if self.in_stage_2 and (prior := self.model.sittings.prior(clip, self.config.sittings)) is not None:
            loss = dataclasses.replace(loss, total=loss.total + prior)
        if self.perceptual is not None and self.step >= self.perceptual_from:
            on_host = self.pictures.host_matte(clip, index)  # its size decides a shape: no wait for the device
            rows, columns = random_patch(on_host, self.config.losses.lpips_patch_px, self.generator)
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
        chosen = [self.sampler.next() for _ in range(self.config.batch_frames)]
        if self.device.type == "cuda" and len(chosen) > 1:
            loss = self.batch_loss(chosen)
            loss.total.backward()
        else:
            losses = []
            for frame in chosen:
                losses.append(self.frame_loss(frame))
                (losses[-1].total / len(chosen)).backward()
            loss = losses[-1]
        self.optimizer.step(self.step)
        self.model.canonical.enforce_bounds()
        self.model.sittings.hold_mean()
        self.step += 1
        grows = self.step in self.growth_steps
        if self.device.type == "cpu" or self.step % READ_EVERY == 0 or grows:
            self._read_verdicts()
        if grows:
            self._grow()
        return loss

    def _read_verdicts(self) -> None:
        """Learn which of the last steps were left out; on a GPU this waits for it.

        Raises:
            NonFiniteGradient: too many in a row.
        """
        for step, bad in self.optimizer.verdicts():
            self.bad_steps = self.bad_steps + 1 if bad else 0
            if bad is None:
                continue
            self.skipped.append((step + 1, bad))
            self.stats = self._no_stats()
            if self.bad_steps >= MAX_BAD_STEPS:
                raise NonFiniteGradient(
                    f"step {step}: the gradient of {bad} was not finite for {MAX_BAD_STEPS} steps in a row. "
                    "The last checkpoint is sound; lower the learning rates, or check the dataset's contact sheet."
                )

    def _grow(self) -> None:
        plan = density.plan_growth(self.stats, self.model.canonical, self.config.density)
        values, kinds, origin = density.grow(self.model.canonical, plan, self.generator)
        self.model.canonical.replace_rows(values, kinds)
        self.optimizer.remap_canonical(origin)
        self.stats = self._no_stats()
        self.anchors = self.model.anchors()

    def save(self) -> Path:
        """Write a checkpoint from which training goes on exactly as if it had not stopped."""
        self._read_verdicts()
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


def growth_steps(config: TrainConfig) -> frozenset[int]:
    """The steps after which Gaussians are added."""
    d = config.density
    if d.rounds == 0:
        return frozenset()
    shares = np.linspace(d.start_share, d.end_share, d.rounds)
    return frozenset((shares * config.steps).astype(int).tolist())
