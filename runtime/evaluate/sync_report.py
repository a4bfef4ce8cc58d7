"""The lip-sync surrogate of every subject, of the real pictures, and of both with another clip's sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gstalker.runtime.evaluate.curves import FaceCurves, MeasuredClip
from gstalker.runtime.evaluate.report import AllFigures
from gstalker.runtime.evaluate.sync_figures import Agreements, other_moment, sync_figures
from gstalker.runtime.evaluate.sync_score import SyncScorer, sound_id


def add_sync(
    figures: AllFigures, clips: Sequence[MeasuredClip], samples: Mapping[str, np.ndarray], scorer: SyncScorer
) -> None:
    """Put the surrogate beside the other figures, overall and clip by clip.

    Args:
        samples: (S,) 16 kHz speech by clip name.
    """
    sounds = [samples[clip.name] for clip in clips]
    others = [sounds[(i + 1) % len(sounds)] for i in range(len(sounds))]
    if len(clips) == 1:
        others = [other_moment(sounds[0])]
    for name in (None, *clips[0].subjects):
        own, strange = [], []
        for clip, sound, other in zip(clips, sounds, others, strict=True):
            face = clip.real if name is None else clip.subjects[name].face
            own.append(_agreements(face, sound, sound, scorer))
            strange.append(_agreements(face, other, sound, scorer))
            of_clip = figures.real_of_clips[clip.name] if name is None else figures.clips[clip.name][name]
            of_clip.update(sync_figures(own[-1], strange[-1]))
        overall = figures.real if name is None else figures.overall[name]
        overall.update(sync_figures([a for c in own for a in c], [a for c in strange for a in c]))


def _agreements(face: FaceCurves | None, heard: np.ndarray, filmed_to: np.ndarray, scorer: SyncScorer) -> Agreements:
    if face is None:
        return []
    found = scorer.agreement(face.landmarks_px, heard, sound_id(filmed_to))
    return [] if found is None else [found]
