"""Checkpoints of a run, written atomically: safetensors for arrays, JSON for settings, nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from gstalker.runtime.model.avatar import AvatarModel, AvatarSetup
from gstalker.runtime.model.settings import config_from_json
from gstalker.runtime.model.trained_run import RUN_FORMAT_VERSION, RunFacts, read_run_json
from gstalker.runtime.train.config import TrainConfig

KEPT_CHECKPOINTS = 2


def write_run_config(run: Path, config: TrainConfig, facts: RunFacts) -> None:
    """Write `config.json`."""
    fields = {
        "format_version": RUN_FORMAT_VERSION,
        "train": dataclasses.asdict(config),
        "facts": dataclasses.asdict(facts),
    }
    (run / "config.json").write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def read_train_config(run: Path) -> TrainConfig:
    """The settings a run was started with.

    Raises:
        InputError: no run there, or one of another version.
    """
    settings, _ = read_run_json(run)
    return config_from_json(TrainConfig, settings, str(Path(run) / "config.json"))


def save_checkpoint(run: Path, step: int, model: AvatarModel, extra: dict[str, Tensor]) -> Path:
    """Write everything that training needs to go on, atomically, and drop all but the newest few.

    Args:
        run: the run's folder.
        step: steps done.
        model: stored as `model/...` and `setup/...`.
        extra: further tensors (optimizer, random generators, running sums), stored under their names.
    """
    folder = run / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model/{n}": t for n, t in model.state_dict().items()}
    tensors |= {f"setup/{f.name}": getattr(model.setup, f.name) for f in dataclasses.fields(AvatarSetup)}
    tensors |= extra
    path = folder / f"step_{step:06d}.safetensors"
    partial = path.with_suffix(".partial")
    save_file(
        {n: t.detach().cpu().clone(memory_format=torch.contiguous_format) for n, t in tensors.items()},
        partial,
        {"step": str(step)},
    )
    os.replace(partial, path)
    for old in sorted(folder.glob("step_*.safetensors"))[:-KEPT_CHECKPOINTS]:
        old.unlink()
    return path
