"""Tracked inputs that a run keeps, so that it can be exported and checked without its dataset."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from gstalker.runtime.errors import InputError

FILE_NAME = "driving.safetensors"


@dataclass(frozen=True)
class DrivingSamples:
    """What moved the avatar in training, sampled.

    Attributes:
        mel_windows: (S, W, 80) float32, expression: (S, E), head_pose: (S, 6): S frames spread over all clips.
        expression_low, expression_high: (E,) the range seen (2nd and 98th percentile).
        head_pose_low, head_pose_high: (6,) likewise.
        idle_avatar_from_head: (F, 4, 4), idle_expression: (F, E), idle_avatar_from_torso: (F, 4, 4): one calm clip.
        idle_torso_stretch: (F, 3) of that clip.
        reference_rgb: (H, W, 3) uint8 the reference frame.
        plate_rgb: (H, W, 3) uint8 its backdrop.
    """

    mel_windows: np.ndarray
    expression: np.ndarray
    head_pose: np.ndarray
    expression_low: np.ndarray
    expression_high: np.ndarray
    head_pose_low: np.ndarray
    head_pose_high: np.ndarray
    idle_avatar_from_head: np.ndarray
    idle_expression: np.ndarray
    idle_avatar_from_torso: np.ndarray
    idle_torso_stretch: np.ndarray
    reference_rgb: np.ndarray
    plate_rgb: np.ndarray

    def save(self, run: Path) -> None:
        """Write into a run's folder."""
        arrays = {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in dataclasses.fields(self)}
        save_file(arrays, run / FILE_NAME)


def load_driving_samples(run: Path) -> DrivingSamples:
    """Read them back.

    Raises:
        InputError: missing, damaged, or of another version.
    """
    path = Path(run) / FILE_NAME
    try:
        arrays = load_file(path)
        unstretched = np.zeros((len(arrays["idle_expression"]), 3), np.float32)  # as runs were before it was tracked
        return DrivingSamples(**({"idle_torso_stretch": unstretched} | arrays))
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected the tracked samples of a run, could not read them ({error}). Train again."
        ) from error
