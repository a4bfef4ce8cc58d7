"""What `gstalker eval` can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# What finds landmarks in rendered and real pictures: MediaPipe's detector, or a regression fitted to the
# training clips (`fitted_reader`).
FaceReader = Literal["auto", "mediapipe", "fitted"]


@dataclass(frozen=True)
class EvalConfig:
    """Options of an evaluation; every field has a default that measures all there is."""

    dataset: Path | None = None  # where the run's dataset lies now; None: where it was when it was trained
    clips: int | None = None  # measure the first so many test clips only; None: all
    frames: int | None = None  # measure the first so many frames of each clip only; None: all
    lpips_weights: Path | None = None  # AlexNet LPIPS weights (.npz); None: looked for in the usual places
    lpips_every: int = 5  # LPIPS on every so many frames: one costs as much as rendering several pictures
    face_reader: FaceReader = "auto"  # auto: mediapipe for a filmed person where it is at hand, else fitted
    face_model: Path | None = None  # MediaPipe face landmarker (.task); None: looked for in the usual places
    voice: Path | None = None  # a WAV of another speaker, for cross-driving
    voice_seconds: float = 20.0  # speak at most so much of it
    sync_scorer: Path | None = None  # lip-sync scorer made by `sync_training`; None: no surrogate
    syncnet: Path | None = None  # what SyncNet's demo printed of the avatar's video
    openface_real: Path | None = None  # OpenFace's CSV of the real video
    openface_avatar: Path | None = None  # and of the avatar's
    video: bool = True  # write real | rendered | difference as MP4
