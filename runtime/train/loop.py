"""The training loop: stage 1 fits coarse static Gaussians, stage 2 learns how speech and expression move them."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from gstalker.kernels.camera import intrinsics
from gstalker.kernels.differentiable import rasterize
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.lpips import Lpips
from gstalker.runtime.model import trained_run
from gstalker.runtime.model.avatar import STILL, Anchors, AvatarModel, Motion
from gstalker.runtime.poses import avatar_space
from gstalker.runtime.train import checkpoint, density, frames, setup
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.keep_samples import driving_samples
from gstalker.runtime.train.losses import FrameLoss, frame_loss, pixel_weights, random_patch
from gstalker.runtime.train.optimizer import NamedAdam, NonFiniteGradient
from gstalker.runtime.train.preview import write_preview
from gstalker.runtime.train.sampler import FrameSampler

ANCHOR_STEPS = 25  # the fields are evaluated at positions at most this many steps old
MAX_BAD_STEPS = 20  # non-finite gradients in a row after which training gives up
LOG_EVERY = 25


class Progress(Protocol):
    """Where the loop reports to."""

    def stage(self, name: str, total: int, done: int = 0) -> None:
        """A new stage of `total` steps begins."""
        ...

    def advance(self, text: str) -> None:
        """One step of the present stage is done."""
        ...

    def say(self, text: str) -> None:
        """A line that stays."""
        ...


class Trainer:
    """A run in memory: everything that a checkpoint holds, and the data."""

    def __init__(
        self, config: TrainConfig, dataset: Dataset, run: Path, model: AvatarModel, tracks: frames.FrameTracks,
        pictures: frames.PictureStore, perceptual: Lpips | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.run = run
        self.model = model
        self.tracks = tracks
        self.pictures = pictures
        self.size_px = dataset.manifest.size_px
        m = dataset.manifest
        self.K = torch.from_numpy(intrinsics(m.focal_px, m.size_px, m.size_px)).float()
        self.optimizer = NamedAdam(model, config)
        self.sampler = FrameSampler(tracks, config)
        self.generator = torch.Generator().manual_seed(config.seed + 1)
        self.stats = density.DensityStats.zeros(len(model.canonical))
        self.growth_steps = growth_steps(config)
        self.mouth_boxes = frames.mouth_boxes(tracks, self.size_px)
        self.eye_boxes = frames.eye_box_pairs(tracks, self.size_px)
        self.step = 0
        self.bad_steps = 0
        self.last_bad: str | None = None  # parameter whose gradient was not finite in the last step
        self.anchors = model.anchors()
        self.perceptual = perceptual
        self.perceptual_from = config.steps - round(config.losses.lpips_share * config.stage2_steps)
        self._viewmat = torch.eye(4)

    def motion_of(self, frame: int) -> Motion:
        """The field's deltas for a training frame."""
        code = self.model.audio(torch.from_numpy(self.tracks.mel_windows[frame])[None])[0, 0]
        return self.model.motion(
            code,
            torch.from_numpy(self.tracks.expression[frame]),
            torch.from_numpy(self.tracks.head_pose[frame]),
            self.anchors,
        )

    def frame_loss(self, frame: int) -> FrameLoss:
        """Render a training frame and compare it with the real one."""
        in_stage_2 = self.step >= self.config.stage1_steps
        motion = self.motion_of(frame) if in_stage_2 else STILL
        posed = self.model.posed(
            torch.from_numpy(self.tracks.camera_from_head[frame]),
            torch.from_numpy(self.tracks.camera_from_torso[frame]),
            motion,
        )
        real, matte, plate = self.pictures.picture(
            int(self.tracks.clip_of_frame[frame]), int(self.tracks.index_in_clip[frame])
        )
        rgb, alpha = rasterize(
            *posed, viewmat=self._viewmat, K=self.K, width_px=self.size_px, height_px=self.size_px,
            background=plate, backend="cuda" if self.config.device == "cuda" else "cpu",
            screen_gradients=self.stats.screen_gradients,
        )  # fmt: skip
        weights = pixel_weights(
            self.size_px, self.mouth_boxes[frame], self.eye_boxes[frame], float(self.tracks.confidence[frame]),
            self.config.losses,
        )  # fmt: skip
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
            self.stats = density.DensityStats.zeros(len(self.model.canonical))
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
        self.stats = density.DensityStats.zeros(len(kinds))
        self.anchors = self.model.anchors()

    def save(self) -> Path:
        """Write a checkpoint from which training goes on exactly as if it had not stopped."""
        extra = {f"adam/{n}": t for n, t in self.optimizer.state_tensors().items()}
        extra["random/growth"] = self.generator.get_state()
        extra["random/sampler"] = self.sampler.generator.get_state()
        extra["anchors/head"], extra["anchors/torso"] = self.anchors
        extra["stats/screen_gradients"] = self.stats.screen_gradients
        extra["stats/motion"] = self.stats.motion
        extra["stats/frames"] = torch.tensor([self.stats.frames])
        return checkpoint.save_checkpoint(self.run, self.step, self.model, extra)

    def restore(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Take back what `save` wrote; the model itself was rebuilt from the same tensors."""
        self.step = step
        moments = {n.removeprefix("adam/"): t for n, t in tensors.items() if n.startswith("adam/")}
        self.optimizer.load_state_tensors(moments)
        self.generator.set_state(tensors["random/growth"])
        self.sampler.generator.set_state(tensors["random/sampler"])
        self.anchors = Anchors(tensors["anchors/head"], tensors["anchors/torso"])
        self.stats = density.DensityStats(
            tensors["stats/screen_gradients"], tensors["stats/motion"], int(tensors["stats/frames"])
        )


def growth_steps(config: TrainConfig) -> frozenset[int]:
    """The steps after which Gaussians are added."""
    d = config.density
    if d.rounds == 0:
        return frozenset()
    shares = np.linspace(d.start_share, d.end_share, d.rounds)
    return frozenset((shares * config.steps).astype(int).tolist())


def train(
    dataset_folder: Path,
    run: Path,
    config: TrainConfig,
    progress: Progress,
    *,
    resume: bool,
    lpips_weights: Path | None = None,
) -> Path:
    """Train an avatar.

    Args:
        dataset_folder: what `prepare` wrote.
        run: where the run goes; must not exist unless `resume`.
        config: settings; when resuming, the run's own are used.
        progress: where to report.
        resume: go on from the newest checkpoint in `run`.
        lpips_weights: lpips_alex.npz; without it the perceptual loss is left out, which is said.

    Returns:
        the run's folder.

    Raises:
        InputError: bad dataset, the run exists, or there is nothing to resume.
        NonFiniteGradient: training could not go on.
    """
    dataset = Dataset(dataset_folder)
    names = [c.name for c in dataset.clips("train")]
    if not names:
        raise InputError(f"{dataset_folder}: expected at least one training clip, found none. Prepare it again.")
    restored = None
    if resume:
        config = checkpoint.read_train_config(run)
        newest = trained_run.newest_checkpoint(run)
        if newest is None:
            raise InputError(f"{run}: expected a checkpoint to resume from, found none. Train without --resume.")
        restored = trained_run.read_checkpoint(newest)
    elif (run / "config.json").exists():
        raise InputError(f"{run}: holds a run already. Give another --out, or --resume to go on with it.")
    space = avatar_space(dataset)
    run.mkdir(parents=True, exist_ok=True)
    if not resume:
        facts = trained_run.RunFacts(
            dataset=str(Path(dataset_folder).resolve()),
            size_px=dataset.manifest.size_px,
            focal_px=dataset.manifest.focal_px,
            camera_from_avatar=tuple(tuple(float(v) for v in row) for row in space.camera_from_avatar),
            torso_origin_avatar_m=tuple(float(v) for v in space.torso_origin_avatar_m),
        )
        checkpoint.write_run_config(run, config, facts)
    perceptual = None
    if config.losses.lpips > 0 and lpips_weights is None:
        progress.say("no LPIPS weights: trained without the perceptual loss")
    elif config.losses.lpips > 0 and lpips_weights is not None:
        perceptual = Lpips(lpips_weights)
    pictures = frames.PictureStore(dataset, names)
    tracks = frames.frame_tracks(dataset, names, space, config.avatar.audio)
    if restored is None:
        progress.stage("listening", config.pretrain.steps)
        model, report = setup.start_avatar(
            config, dataset, names, tracks, pictures, lambda _, loss: progress.advance(f"loss {loss:.3f}")
        )
        progress.say(
            f"audio encoder: lips of unseen clips off by {report.lip_error_px:.2f} px "
            f"(mean shape {report.mean_shape_error_px:.2f} px); {len(model.canonical)} Gaussians to start with"
        )
        trainer = Trainer(config, dataset, run, model, tracks, pictures, perceptual)
        driving_samples(dataset, names, tracks, pictures, space).save(run)
        (run / "pretrain.json").write_text(json.dumps(dataclasses.asdict(report)) + "\n", encoding="utf-8")
    else:
        model = trained_run.rebuild_model(config.avatar, restored[1])
        pictures.wait()
        trainer = Trainer(config, dataset, run, model, tracks, pictures, perceptual)
        trainer.restore(*restored)
        progress.say(f"resumed at step {trainer.step} of {config.steps}")
    run_loop(trainer, dataset, progress)
    return run


def run_loop(trainer: Trainer, dataset: Dataset, progress: Progress) -> None:
    """Step until done, logging, drawing previews and saving checkpoints."""
    config, run = trainer.config, trainer.run
    started = time.monotonic()
    progress.stage("training", config.steps, trainer.step)
    with SummaryWriter(str(run / "tensorboard")) as board, (run / "metrics.jsonl").open("a", encoding="utf-8") as log:
        while trainer.step < config.steps:
            loss = trainer.train_step()
            step = trainer.step
            if trainer.last_bad:
                progress.say(f"step {step}: non-finite gradient of {trainer.last_bad}; the step was skipped")
            name = "static" if step <= config.stage1_steps else "speaking"
            progress.advance(f"{name}  loss {float(loss.total.detach()):.4f}  {len(trainer.model.canonical)} Gaussians")
            if step % LOG_EVERY == 0:
                values = {"loss": float(loss.total.detach()), "l1": loss.l1, "dssim": loss.dssim}
                values |= {"matte": loss.matte, "delta": loss.delta, "gaussians": len(trainer.model.canonical)}
                for key, value in values.items():
                    board.add_scalar(key, value, step)
                log.write(json.dumps({"step": step, "seconds": time.monotonic() - started, **values}) + "\n")
                log.flush()
            if step % config.preview_every == 0 or step == config.steps:
                strip = write_preview(trainer.model, config.device, dataset, run / "previews" / f"step_{step:06d}.png")
                board.add_image("real, rendered, difference", strip, step, dataformats="HWC")
            if step % config.checkpoint_every == 0 or step == config.steps:
                trainer.save()
