"""Training runs for comparisons: made once, taken up where they stopped, and what they show of unseen clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.evaluate.picture_measures import as_bytes, frame_regions, psnr_from_mse, squared_errors
from gstalker.runtime.model.clip_renderer import ClipRenderer
from gstalker.runtime.model.trained_run import load_run, newest_checkpoint
from gstalker.runtime.regions import lip_opening_px
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.loop import train
from gstalker.runtime.train.sampler import BLINK_WEIGHT, WIDE_MOUTH_QUANTILE

NEVER = 10**9


class Quiet:
    """Progress of training as one line a stage."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def stage(self, name: str, total: int, done: int = 0) -> None:
        self._say(f"{name}: {total - done} steps")

    def advance(self, text: str) -> None:
        """Steps are not shown."""

    def say(self, text: str) -> None:
        self._say(text)


def trained(dataset: Path, run: Path, config: TrainConfig, say: Callable[[str], None]) -> Path:
    """A run with these settings: trained now, gone on with, or there already.

    Raises:
        InputError: the dataset is not one to train on.
    """
    config = dataclasses.replace(config, preview_every=NEVER)
    newest = newest_checkpoint(run)
    if newest is not None and newest.stem == f"step_{config.steps:06d}":
        return run
    return train(dataset, run, config, Quiet(say), resume=newest is not None)


def held_out_psnr_db(run: Path, dataset: Dataset, every: int = 1, clips: int | None = None) -> dict[str, float]:
    """PSNR, dB, over the test clips with tracked poses: whole picture, mouth, eyes, and where they are hardest.

    Args:
        every: takes one frame in so many.
        clips: takes so many of the test clips.
    """
    avatar = load_run(run)
    renderer = ClipRenderer(avatar.model, dataset, source=avatar.open_source())
    columns = [dataset.manifest.blendshape_names.index(n) for n in ("eyeBlinkLeft", "eyeBlinkRight")]
    rows: dict[str, list[float]] = {"full": [], "mouth": [], "eyes": [], "wide mouth": [], "blinks": []}
    entries = dataset.clips("test")[:clips]
    openings = np.concatenate([lip_opening_px(dataset.tracks(e.name).landmarks_px) for e in entries])
    wide_px = float(np.quantile(openings, WIDE_MOUTH_QUANTILE))
    with torch.no_grad():
        for entry in entries:
            clip = dataset.load(entry.name)
            frames = list(range(0, entry.frame_count, every))
            for frame, picture in zip(frames, renderer.pictures(clip, frames), strict=True):
                errors = squared_errors(as_bytes(picture), clip.rgb[frame], frame_regions(clip, frame))
                for name in ("full", "mouth", "eyes"):
                    rows[name].append(errors[name])
                if lip_opening_px(clip.tracks.landmarks_px[frame]) >= wide_px:
                    rows["wide mouth"].append(errors["mouth"])
                if clip.tracks.blendshapes[frame, columns].mean() >= BLINK_WEIGHT:
                    rows["blinks"].append(errors["eyes"])
    return {name: float(psnr_from_mse(np.array(v)).mean()) for name, v in rows.items() if v}
