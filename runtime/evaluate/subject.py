"""What evaluation looks at: anything that gives a picture for each frame of a clip.

Evaluation knows no network. A trained avatar, an ablation of it and a baseline are all `Subject`s, rendered
on the same frames and measured by the same code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from gstalker.runtime.dataset import Clip

AVATAR = "avatar"
AVATAR_FIELD_TORSO = "avatar, torso from the field"
AVATAR_MEAN_SEAT = "avatar, torso from the field, mean seat"
AVATAR_FITTED = "avatar, clip fitted on one frame"
STATIC = "static canonical"  # the baseline that gains are counted from
NEAREST = "nearest training frame by audio"
BLENDSHAPES = "driven by tracked blendshapes"


class Subject(Protocol):
    """One column of the report.

    Attributes:
        name: heading of the column.
        composited: one sentence for people: what the pictures are made of (poses, backdrop, sound).
    """

    @property
    def name(self) -> str: ...

    @property
    def composited(self) -> str: ...

    def pictures(self, clip: Clip, frame_indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield one (H, W, 3) float32 picture, display-space 0..1, for each of the frames, in their order."""
        ...


class VoiceSubject(Protocol):
    """Something that speaks any sound, with the head held still: what cross-driving is measured on."""

    @property
    def name(self) -> str: ...

    def voice_pictures(self, samples: np.ndarray, frame_count: int) -> Iterator[np.ndarray]:
        """Yield (H, W, 3) float32 pictures 0..1 of frames 0..frame_count - 1 for 16 kHz mono samples."""
        ...


@dataclass(frozen=True)
class RunSubjects:
    """What a trained run brings to its evaluation.

    Attributes:
        title: the run's name.
        subjects: the first is the one that videos and worst frames show.
        voice: what speaks another's voice; None where the run has nothing of the kind.
        about: what people should know of the run (preset, steps, Gaussians, seconds of training).
    """

    title: str
    subjects: tuple[Subject, ...]
    voice: VoiceSubject | None
    about: dict[str, str | int | float | None] = field(default_factory=dict)
