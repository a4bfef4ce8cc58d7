"""How fast training steps are: the plain way (one frame, the whole picture, all threads on it) against a preset's."""

from __future__ import annotations

import dataclasses
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numba
import torch

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.provenance import provenance
from gstalker.runtime.model.audio_source import open_source
from gstalker.runtime.poses import avatar_space
from gstalker.runtime.train import frames, setup
from gstalker.runtime.train.config import PRESETS, TrainConfig
from gstalker.runtime.train.memory import keep_freed_memory
from gstalker.runtime.train.pace import PLAIN
from gstalker.runtime.train.trainer import Trainer

WARM_UP_STEPS = 4  # in which numba compiles
CLIPS = 4  # that frames are taken from: times hardly depend on which
PRETRAIN_STEPS = 30  # times do not depend on how well the encoder hears


def run(dataset: Path | None = None, cycles: int = 3, steps: int = 24) -> dict[str, Any]:
    """Measure the plain way and the preview preset's by turns on one dataset; medians over the turns, ms.

    Args:
        dataset: what `gstalker prepare` wrote.
        cycles: turns of each.
        steps: of each turn; frames are drawn by the same seed.

    Raises:
        InputError: no dataset there.
    """
    if dataset is None:
        raise InputError("bench train: expected --dataset FOLDER, what `gstalker prepare` wrote, got none.")
    keep_freed_memory()
    preset = PRESETS["preview"]
    plain = dataclasses.replace(preset, pace=PLAIN, batch_frames=1)
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            name: in_stage_2(config, dataset, Path(folder)) for name, config in (("plain", plain), ("preset", preset))
        }
        for trainer in ways.values():
            frame_ms(trainer, WARM_UP_STEPS)
        taken = {name: [] for name in ways}
        for _ in range(cycles):
            for name, trainer in ways.items():
                taken[name].append(frame_ms(trainer, steps))
        figures: dict[str, Any] = {name: {"frame_ms": statistics.median(values)} for name, values in taken.items()}
        for name, trainer in ways.items():
            batch = trainer.config.batch_frames
            figures[name] |= {
                "frames_a_step": batch,
                "step_ms": figures[name]["frame_ms"] * batch,
                "steps_a_second": 1e3 / (figures[name]["frame_ms"] * batch),
                "frames_a_second": 1e3 / figures[name]["frame_ms"],
                "stage_2_minutes": trainer.config.stage2_steps * figures[name]["frame_ms"] * batch / 6e4,
            }
        trainer = ways["preset"]
        figures["one frame on one core, ms by part"] = {
            "whole picture": parts_ms(trainer, face=False, repeats=steps),
            "face": parts_ms(trainer, face=True, repeats=steps),
        }
    figures["frames_a_second_ratio"] = figures["plain"]["frame_ms"] / figures["preset"]["frame_ms"]
    figures["machine"] = {
        "host": provenance()["machine"],
        "numba_threads": numba.get_num_threads(),
        "torch_threads": torch.get_num_threads(),
        "load_average_after": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
    return figures


def in_stage_2(config: TrainConfig, dataset_folder: Path, run_folder: Path) -> Trainer:
    """A run of the settings at the start of stage 2, on a few clips."""
    dataset = Dataset(dataset_folder)
    reference = dataset.manifest.reference_clip
    others = [clip.name for clip in dataset.clips("train") if clip.name != reference]
    names = [reference, *others[: CLIPS - 1]]
    config = dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, steps=PRETRAIN_STEPS))
    source = open_source(config.hearing)
    tracks = frames.frame_tracks(
        dataset, names, avatar_space(dataset), config.avatar.audio, source, config.avatar.controls
    )
    pictures = frames.PictureStore(dataset, names)
    model, _ = setup.start_avatar(config, dataset, names, tracks, pictures, lambda step, loss: None)
    trainer = Trainer(config, dataset, run_folder, model, tracks, pictures)
    trainer.step = config.stage1_steps
    return trainer


def frame_ms(trainer: Trainer, steps: int) -> float:
    """Mean time of a frame over some steps, ms."""
    started = time.perf_counter()
    for _ in range(steps):
        trainer.train_step()
    return 1e3 * (time.perf_counter() - started) / (steps * trainer.config.batch_frames)


def parts_ms(trainer: Trainer, *, face: bool, repeats: int) -> dict[str, float]:
    """Medians of what a frame's parts take on one thread, ms; the model stays as it is."""
    threads = numba.get_num_threads(), torch.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    try:
        taken = [_parts_once(trainer, trainer.sampler.next(), face=face) for _ in range(repeats)]
    finally:
        numba.set_num_threads(threads[0])
        torch.set_num_threads(threads[1])
    return {part: statistics.median(times[part] for times in taken) for part in taken[0]}


def _parts_once(trainer: Trainer, frame: int, *, face: bool) -> dict[str, float]:
    clock = [time.perf_counter()]

    def lap() -> float:
        clock.append(time.perf_counter())
        return 1e3 * (clock[-1] - clock[-2])

    window = trainer.face_windows[frame] if face else None
    times = {}
    motion = trainer.motion_of(frame, face=face)
    times["audio and fields"] = lap()
    posed = trainer.posed_by(frame, motion)
    times["placing"] = lap()
    drawn, picture, seen = trainer.drawn(frame, posed, window)
    times["drawing"] = lap()
    loss = trainer.compared(frame, motion, drawn, picture, seen)
    times["comparing"] = lap()
    torch.autograd.grad(loss.total, trainer.optimizer.parameters(), allow_unused=True)
    times["backward"] = lap()
    times["sum"] = sum(times.values())
    return times
