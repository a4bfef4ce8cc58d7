"""Which frame comes next: all alike, but rare ones (closing eyes, wide mouths, turned heads) more than they occur."""

from __future__ import annotations

import numpy as np
import torch

from gstalker.runtime import regions
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.frames import FrameTracks

BLINK_WEIGHT = 0.35  # tracked blink weight from which an eye counts as closing
WIDE_MOUTH_QUANTILE = 0.85
MIN_CONFIDENCE = 0.05  # frames where no face was found, or no matte, teach nothing
POSE_BIN_RAD = 0.105  # 6 degrees of yaw and of pitch
LEAST_IN_BIN = 3  # frames: fewer are more likely mistracked than a pose of their own


class FrameSampler:
    """A seeded stream of frame indices."""

    def __init__(self, tracks: FrameTracks, config: TrainConfig) -> None:
        usable = tracks.confidence >= MIN_CONFIDENCE
        if not usable.any():
            usable = np.ones(len(tracks.confidence), bool)
        closing = usable & (tracks.blink.max(axis=1) >= BLINK_WEIGHT)
        opening = regions.lip_opening_px(tracks.landmarks_px)
        wide = usable & (opening >= np.quantile(opening[usable], WIDE_MOUTH_QUANTILE))
        everything = np.flatnonzero(usable)
        self._pools = [np.flatnonzero(closing), np.flatnonzero(wide), everything]
        self._pools = [p if len(p) else everything for p in self._pools]
        self._edges = (config.blink_share, config.blink_share + config.open_mouth_share)
        self._balanced_from = 1.0 - config.pose_share
        self._poses = pose_bins(tracks.head_pose, usable)
        self.generator = torch.Generator().manual_seed(config.seed + 2)

    def next(self) -> int:
        """The next frame."""
        draw = float(torch.rand(1, generator=self.generator))
        pool = self._pools[0 if draw < self._edges[0] else 1 if draw < self._edges[1] else 2]
        if draw >= self._balanced_from:
            pool = self._poses[int(torch.randint(len(self._poses), (1,), generator=self.generator))]
        return int(pool[int(torch.randint(len(pool), (1,), generator=self.generator))])


def pose_bins(head_pose: np.ndarray, usable: np.ndarray) -> list[np.ndarray]:
    """Frames gathered by where the head looks.

    Args:
        head_pose: (F, 6) rotation vector (rad) and translation of avatar_from_head.
        usable: (F,) bool.

    Returns:
        rows of each bin of POSE_BIN_RAD in pitch and yaw that holds LEAST_IN_BIN frames; all of them, if none does.
    """
    rows = np.flatnonzero(usable)
    places = np.round(head_pose[rows, :2] / POSE_BIN_RAD).astype(int)
    _, bin_of = np.unique(places, axis=0, return_inverse=True)
    bins = [rows[bin_of.ravel() == b] for b in range(bin_of.max() + 1)]
    return [b for b in bins if len(b) >= LEAST_IN_BIN] or [rows]
