"""What was measured, frame by frame, before it is summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gstalker.runtime.dataset import Tracks
from gstalker.runtime.evaluate.detection import Detection
from gstalker.runtime.evaluate.face_measures import blink_weight
from gstalker.runtime.regions import eye_opening_px, lip_opening_px


@dataclass(frozen=True)
class FaceCurves:
    """A face over the T measured frames of a clip; NaN in frames where none was found.

    Attributes:
        landmarks_px: (T, 478, 2).
        lip_opening_px, lid_opening_px: (T,), the lids' mean of both eyes.
        blink: (T,) 0..1, how closed the eyes are.
    """

    landmarks_px: np.ndarray
    lip_opening_px: np.ndarray
    lid_opening_px: np.ndarray
    blink: np.ndarray

    @property
    def missed(self) -> int:
        """Frames without a face."""
        return int(np.isnan(self.lip_opening_px).sum())


def face_curves(landmarks_px: np.ndarray, blendshapes: np.ndarray, names: Sequence[str]) -> FaceCurves:
    """From (T, 478, 2) landmarks and (T, B) blendshape weights with their names."""
    return FaceCurves(
        landmarks_px=np.asarray(landmarks_px, np.float32),
        lip_opening_px=lip_opening_px(np.asarray(landmarks_px, np.float64)),
        lid_opening_px=eye_opening_px(np.asarray(landmarks_px, np.float64)).mean(axis=-1),
        blink=blink_weight(blendshapes, names),
    )


def detected_face(detection: Detection, names: Sequence[str]) -> FaceCurves:
    """The curves of what a detector found."""
    return face_curves(detection.landmarks_px, detection.blendshapes, names)


def tracked_face(tracks: Tracks, frames: Sequence[int], names: Sequence[str]) -> FaceCurves:
    """The curves of what the dataset knows of some of its frames."""
    index = list(frames)
    return face_curves(tracks.landmarks_px[index], tracks.blendshapes[index], names)


@dataclass(frozen=True)
class PictureCurves:
    """A subject's pictures against the real ones over the T measured frames of a clip.

    Attributes:
        mse: (T,) mean squared error by region name (`picture_measures.REGIONS`); NaN where a region is empty.
        ssim: (T,).
        lpips: (T,), NaN in frames where it was not measured.
        face: what the detector finds in them; None without a detector.
    """

    mse: dict[str, np.ndarray]
    ssim: np.ndarray
    lpips: np.ndarray
    face: FaceCurves | None


@dataclass(frozen=True)
class MeasuredClip:
    """All subjects on one clip.

    Attributes:
        name: of the clip.
        frames: T, how many frames were measured, from the first.
        tracked: the face as the dataset knows it.
        real: the face as the detector finds it in the real pictures; None without a detector.
        loudness_db: (T,) level of the speech.
        shifted_loudness_db: (L, T) the same, read `loudness.LAGS_S` earlier.
        subjects: by name.
    """

    name: str
    frames: int
    tracked: FaceCurves
    real: FaceCurves | None
    loudness_db: np.ndarray
    shifted_loudness_db: np.ndarray
    subjects: dict[str, PictureCurves] = field(default_factory=dict)
