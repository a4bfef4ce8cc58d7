"""Which pictures are kept for people while an evaluation runs; all others are measured and let go."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gstalker.runtime import regions
from gstalker.runtime.dataset import Clip

MOMENTS = 8
MOST_CLIPS = 16  # beyond so many, further clips keep no pictures: 16 are more than anybody looks through


def telling_moments(clip: Clip, frames: int) -> list[int]:
    """Frames worth looking at: evenly spread over how far the lips open, and the one of the narrowest lids.

    Args:
        frames: only the first so many count.

    Returns:
        in order of time.
    """
    landmarks = clip.tracks.landmarks_px[:frames]
    by_opening = np.argsort(regions.lip_opening_px(landmarks), kind="stable")
    places = np.linspace(0, frames - 1, min(MOMENTS - 1, frames)).round().astype(int)
    blink = int(np.argmin(regions.eye_opening_px(landmarks).mean(axis=-1)))
    return sorted({int(by_opening[p]) for p in places} | {blink})


@dataclass
class Worst:
    """The frame of a clip at which the first subject is farthest from the real picture."""

    frame: int
    mse: float
    real: np.ndarray
    rendered: np.ndarray


@dataclass
class ClipKeepsakes:
    """Pictures of one clip.

    Attributes:
        name: of the clip.
        moments: frame numbers.
        mouth_boxes: where the mouth is at each moment.
        pictures: subject name (and "real") -> one (H, W, 3) uint8 picture a moment.
        worst: see `Worst`; None before the first picture.
    """

    name: str
    moments: list[int]
    mouth_boxes: list[regions.Box]
    pictures: dict[str, list[np.ndarray]] = field(default_factory=dict)
    worst: Worst | None = None

    def mouths(self, subject: str) -> list[np.ndarray]:
        """The mouth boxes cut out of a subject's pictures."""
        boxes = zip(self.pictures[subject], self.mouth_boxes, strict=True)
        return [picture[y0:y1, x0:x1] for picture, (x0, y0, x1, y1) in boxes]


def start_keepsakes(clip: Clip, frames: int) -> ClipKeepsakes:
    """With the real pictures already in."""
    moments = telling_moments(clip, frames)
    size_px = clip.rgb.shape[1]
    return ClipKeepsakes(
        name=clip.entry.name,
        moments=moments,
        mouth_boxes=[regions.mouth_box(clip.tracks.landmarks_px[t], size_px) for t in moments],
        pictures={"real": [clip.rgb[t].copy() for t in moments]},
    )
