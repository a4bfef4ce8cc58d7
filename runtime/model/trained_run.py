"""A training run on disk, read back: what evaluation and export start from.

RUN/
  config.json                    settings and what the dataset fixed
  driving.safetensors            tracked inputs kept for export (`DrivingSamples`)
  checkpoints/step_000500.safetensors
  metrics.jsonl, tensorboard/, previews/
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gstalker.runtime.errors import InputError
from gstalker.runtime.model.audio_source import AudioSource, hearing_of, open_source
from gstalker.runtime.model.avatar import AvatarConfig, AvatarModel, AvatarSetup
from gstalker.runtime.model.canonical import CanonicalGaussians
from gstalker.runtime.model.settings import config_from_json
from gstalker.runtime.poses import AvatarSpace

RUN_FORMAT_VERSION = 1
_NAME = re.compile(r"step_(\d{6})\.safetensors")


@dataclass(frozen=True)
class RunFacts:
    """What a run keeps of its dataset, so that it can be exported without it.

    Attributes:
        dataset: folder of the dataset, absolute.
        size_px, focal_px: its camera.
        camera_from_avatar: (4, 4) where avatar space lies.
        torso_origin_avatar_m: (3,)
    """

    dataset: str
    size_px: int
    focal_px: float
    camera_from_avatar: tuple[tuple[float, ...], ...]
    torso_origin_avatar_m: tuple[float, ...]

    @property
    def space(self) -> AvatarSpace:
        return AvatarSpace(np.array(self.camera_from_avatar), np.array(self.torso_origin_avatar_m))


def read_run_json(run: Path) -> tuple[dict[str, Any], RunFacts]:
    """Read `config.json`: the training settings as a dict, and the facts.

    Raises:
        InputError: no run there, or one of another version.
    """
    path = Path(run) / "config.json"
    if not path.is_file():
        raise InputError(f"{run}: expected a training run with config.json, found none. Run `gstalker train` first.")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        version = fields["format_version"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected the JSON of a run, got something else ({error}).") from error
    if version != RUN_FORMAT_VERSION:
        raise InputError(f"{path}: expected run format {RUN_FORMAT_VERSION}, got {version}. Train again.")
    facts = fields["facts"]
    facts["camera_from_avatar"] = tuple(tuple(row) for row in facts["camera_from_avatar"])
    return fields["train"], config_from_json(RunFacts, facts, f"{path}: facts")


def newest_checkpoint(run: Path) -> Path | None:
    """The complete checkpoint with the most steps; one that was being written when the run died does not count."""
    found = [p for p in (Path(run) / "checkpoints").glob("step_*.safetensors") if _NAME.fullmatch(p.name)]
    return max(found, default=None)


def checkpoint_step(path: Path) -> int:
    """Steps done, by the name of a checkpoint that `newest_checkpoint` found."""
    return int(path.stem.removeprefix("step_"))


def read_checkpoint(path: Path) -> tuple[int, dict[str, Tensor]]:
    """Steps done, and all tensors.

    Raises:
        InputError: the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            step = int(file.metadata()["step"])
            return step, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, OSError) as error:
        raise InputError(
            f"{path}: expected a complete checkpoint, could not read it ({error}). "
            "Delete this file: training goes on from the one before."
        ) from error


def rebuild_model(config: AvatarConfig, tensors: dict[str, Tensor]) -> AvatarModel:
    """The model of a checkpoint; one from before clips had numbers of their own (`sittings`) gets none.

    Raises:
        InputError: tensors are missing, left over or of other sizes than the settings say.
    """
    state = {n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")}
    if not any(name.startswith("sittings.") for name in state):
        state |= _no_sittings(state)
    try:
        setup = AvatarSetup(**{f.name: tensors[f"setup/{f.name}"] for f in dataclasses.fields(AvatarSetup)})
        values = {name: state[f"canonical.{name}"] for name in CanonicalGaussians.PARAMETERS}
        low, high = state["canonical.log_scale_bounds"].tolist()
        canonical = CanonicalGaussians(values, state["canonical.kinds"], (low, high))
        model = AvatarModel(config, setup, canonical, len(state["sittings.head"]))
        model.load_state_dict(state)
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"checkpoint: its arrays do not fit the run's config.json ({error}). Train again.") from error
    return model


def _no_sittings(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The arrays of an avatar whose clips are all alike."""
    return {
        "sittings.head": torch.zeros(0, 6),
        "sittings.torso": torch.zeros(0, 3),
        "sittings.codes": torch.zeros(0, 0),
        "canonical.looks": torch.zeros(len(state.get("canonical.kinds", ())), 0, 3),
    }


@dataclass(frozen=True)
class TrainedAvatar:
    """A run read back: the model, how it was trained, and what it kept of its dataset."""

    run: Path
    step: int
    settings: dict[str, Any]  # the training settings, as saved
    facts: RunFacts
    model: AvatarModel

    def open_source(self) -> AudioSource:
        """What the avatar hears with.

        Raises:
            InputError: its package or file is missing here, or is another one.
        """
        return open_source(hearing_of(self.settings, str(self.run / "config.json")))


def load_run(run: Path) -> TrainedAvatar:
    """Read a run's newest checkpoint for evaluation or export.

    Raises:
        InputError: no run, no checkpoint, another version or damaged files.
    """
    run = Path(run)
    settings, facts = read_run_json(run)
    path = newest_checkpoint(run)
    if path is None:
        raise InputError(f"{run}: expected a checkpoint in {run / 'checkpoints'}, found none. Train it first.")
    step, tensors = read_checkpoint(path)
    config = config_from_json(AvatarConfig, settings["avatar"], f"{run / 'config.json'}: avatar")
    return TrainedAvatar(run, step, settings, facts, rebuild_model(config, tensors).eval())
