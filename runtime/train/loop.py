"""The training loop: stage 1 fits coarse static Gaussians, stage 2 learns how speech and expression move them."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from torch.utils.tensorboard import SummaryWriter

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.lpips import Lpips
from gstalker.runtime.expression import choose_controls
from gstalker.runtime.model import trained_run
from gstalker.runtime.model.audio_source import AudioSource, open_source
from gstalker.runtime.poses import avatar_space
from gstalker.runtime.seen import write_seen
from gstalker.runtime.train import checkpoint, frames, setup
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.device import numerics, training_device
from gstalker.runtime.train.keep_samples import driving_samples
from gstalker.runtime.train.keep_seen import person_seen
from gstalker.runtime.train.memory import keep_freed_memory
from gstalker.runtime.train.preview import write_preview
from gstalker.runtime.train.trainer import Trainer

LOG_EVERY = 25


class TrainingStopped(Exception):
    """Training ended before its last step because it was asked to; says where."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


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


def train(
    dataset_folder: Path,
    run: Path,
    config: TrainConfig,
    progress: Progress,
    *,
    resume: bool,
    lpips_weights: Path | None = None,
    stop: Callable[[], bool] = never,
) -> Path:
    """Train an avatar.

    Args:
        dataset_folder: what `prepare` wrote.
        run: where the run goes; must not exist unless `resume`.
        config: settings; when resuming, the run's own are used.
        progress: where to report.
        resume: go on from the newest checkpoint in `run`.
        stop: asked between steps; once it says so, a checkpoint is written and training ends.
        lpips_weights: lpips_alex.npz; without it the perceptual loss is left out, which is said.

    Returns:
        the run's folder.

    Raises:
        InputError: bad dataset, the run exists, or there is nothing to resume.
        NonFiniteGradient: training could not go on.
        TrainingStopped: `stop` said so.
    """
    device = training_device(config.device)  # complain before anything slow happens
    keep_freed_memory()
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
    elif trained_run.newest_checkpoint(run) is not None:
        raise InputError(f"{run}: holds a run already. Give another --out, or --resume to go on with it.")
    source = open_source(config.hearing)
    space = avatar_space(dataset)
    run.mkdir(parents=True, exist_ok=True)
    if not resume:
        config = config.with_controls(choose_controls(dataset, names, config.expression))
        facts = trained_run.RunFacts(
            dataset=str(Path(dataset_folder).resolve()),
            size_px=dataset.manifest.size_px,
            focal_px=dataset.manifest.focal_px,
            camera_from_avatar=tuple(tuple(float(v) for v in row) for row in space.camera_from_avatar),
            torso_origin_avatar_m=tuple(float(v) for v in space.torso_origin_avatar_m),
        )
        (run / "metrics.jsonl").unlink(missing_ok=True)  # of a run that ended before its first checkpoint
        checkpoint.write_run_config(run, config, facts)
    perceptual = None
    if config.losses.lpips > 0 and lpips_weights is None:
        progress.say("no LPIPS weights: trained without the perceptual loss")
    elif config.losses.lpips > 0 and lpips_weights is not None:
        perceptual = Lpips(lpips_weights)

    def listened(_: int, loss: float) -> None:
        progress.advance(f"loss {loss:.3f}")
        if stop():
            raise TrainingStopped("before the first step: there is nothing to resume, train anew")

    pictures = frames.PictureStore(dataset, names)
    heard = config.avatar
    tracks = frames.frame_tracks(
        *(dataset, names, space, heard.audio, source, heard.controls), blinks_apart=heard.blinks_apart
    )
    with numerics(device, config.on_device):
        if restored is None:
            progress.stage("listening", config.pretrain.steps)
            model, report = setup.start_avatar(config, dataset, names, tracks, pictures, listened)
            progress.say(
                f"audio encoder: lips of unseen clips off by {report.lip_error_px:.2f} px "
                f"(mean shape {report.mean_shape_error_px:.2f} px); {len(model.canonical)} Gaussians to start with"
            )
            trainer = Trainer(config, dataset, run, model, tracks, pictures, perceptual)
            driving_samples(dataset, names, tracks, pictures, space, config.avatar.controls).save(run)
            write_seen(run, person_seen(dataset, names, tracks, config.avatar.controls))
            (run / "pretrain.json").write_text(json.dumps(dataclasses.asdict(report)) + "\n", encoding="utf-8")
        else:
            model = trained_run.rebuild_model(config.avatar, restored[1])
            model.sittings.check_clips(len(names), str(dataset_folder))
            pictures.wait()
            trainer = Trainer(config, dataset, run, model, tracks, pictures, perceptual)
            trainer.restore(*restored)
            progress.say(f"resumed at step {trainer.step} of {config.steps}")
        if device.type == "cuda":
            progress.say(f"pictures are read from: {trainer.kept_where}")
        run_loop(trainer, dataset, progress, source, stop)
    return run


def run_loop(
    trainer: Trainer,
    dataset: Dataset,
    progress: Progress,
    source: AudioSource | None = None,
    stop: Callable[[], bool] = never,
) -> None:
    """Step until done, logging, drawing previews and saving checkpoints.

    Raises:
        TrainingStopped: `stop` said so; the last checkpoint is of the last step.
    """
    config, run = trainer.config, trainer.run
    text = ""
    started = time.monotonic()
    progress.stage("training", config.steps, trainer.step)
    with SummaryWriter(str(run / "tensorboard")) as board, (run / "metrics.jsonl").open("a", encoding="utf-8") as log:
        while trainer.step < config.steps:
            loss = trainer.train_step()
            step = trainer.step
            for skipped, parameter in trainer.skipped:
                progress.say(f"step {skipped}: non-finite gradient of {parameter}; the step was skipped")
            trainer.skipped.clear()
            if step % LOG_EVERY == 0 or not text:  # reading a loss waits for the device
                name = "static" if step <= config.stage1_steps else "speaking"
                text = f"{name}  loss {float(loss.total.detach()):.4f}  {len(trainer.model.canonical)} Gaussians"
            progress.advance(text)
            if step % LOG_EVERY == 0:
                values = {part: float(value.detach()) for part, value in loss.parts().items()}
                values["gaussians"] = len(trainer.model.canonical)
                for key, value in values.items():
                    board.add_scalar(key, value, step)
                log.write(json.dumps({"step": step, "seconds": time.monotonic() - started, **values}) + "\n")
                log.flush()
            if step % config.preview_every == 0 or step == config.steps:
                path = run / "previews" / f"step_{step:06d}.png"
                strip = write_preview(trainer.model, config.device, dataset, path, source)
                board.add_image("real, rendered, difference", strip, step, dataformats="HWC")
            stopped = stop() and step < config.steps
            if step % config.checkpoint_every == 0 or step == config.steps or stopped:
                trainer.save()
            if stopped:
                raise TrainingStopped(f"at step {step} of {config.steps}: --resume goes on from there")
