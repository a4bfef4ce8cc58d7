"""What is known of all clips before their pictures are cut out, measured or exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.runtime.prepare.clips import VideoJob


@dataclass(frozen=True)
class Measured:
    """The dataset in numbers.

    Attributes:
        videos: the clips, gathered by video.
        clip_names: in the order of the manifest.
        landmarks_head_m: (478, 3) the resting face in head space.
        tracker: "mediapipe" or "exact", as the manifest has it.
        backdrop: "chroma" or "matte".
        torso_pivot_px: None where the torso's motion is still to be found in the pictures.
    """

    videos: list[VideoJob]
    clip_names: tuple[str, ...]
    landmarks_head_m: np.ndarray
    focal_px: float
    tracker: str
    backdrop: str
    blendshape_names: tuple[str, ...]
    torso_pivot_px: tuple[float, float] | None
    torso_depth_m: float
