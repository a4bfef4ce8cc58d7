"""Which frame comes next: all alike, but rare events (closing eyes, wide mouths) more often than they occur."""

from __future__ import annotations

import numpy as np
import torch

from gstalker.runtime import landmarks, regions
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.frames import FrameTracks

BLINK_WEIGHT = 0.35  # tracked blink weight from which an eye counts as closing
WIDE_MOUTH_QUANTILE = 0.85
MIN_CONFIDENCE = 0.05  # frames where no face was found teach nothing


class FrameSampler:
    """A seeded stream of frame indices."""

    def __init__(self, tracks: FrameTracks, config: TrainConfig) -> None:
        usable = tracks.confidence >= MIN_CONFIDENCE
        if not usable.any():
            usable = np.ones(len(tracks.confidence), bool)
        blink = [landmarks.EXPRESSION_BLENDSHAPES.index(n) for n in ("eyeBlinkLeft", "eyeBlinkRight")]
        closing = usable & (tracks.expression[:, blink].max(axis=1) >= BLINK_WEIGHT)
        opening = regions.lip_opening_px(tracks.landmarks_px)
        wide = usable & (opening >= np.quantile(opening[usable], WIDE_MOUTH_QUANTILE))
        everything = np.flatnonzero(usable)
        self._pools = [np.flatnonzero(closing), np.flatnonzero(wide), everything]
        self._pools = [p if len(p) else everything for p in self._pools]
        self._edges = (config.blink_share, config.blink_share + config.open_mouth_share)
        self.generator = torch.Generator().manual_seed(config.seed + 2)

    def next(self) -> int:
        """The next frame."""
        draw = float(torch.rand(1, generator=self.generator))
        pool = self._pools[0 if draw < self._edges[0] else 1 if draw < self._edges[1] else 2]
        return int(pool[int(torch.randint(len(pool), (1,), generator=self.generator))])
