"""Numbers of clips from tracked faces: the crop, the head model, the pose in every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gstalker.runtime.dataset import ClipEntry, Tracks
from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare import chroma
from gstalker.runtime.prepare.clips import ClipJob, VideoJob
from gstalker.runtime.prepare.crop import Crop, choose_crop
from gstalker.runtime.prepare.head_pose import head_model, track_pose
from gstalker.runtime.prepare.measured import Measured
from gstalker.runtime.prepare.takes import Take

TORSO_BEHIND_FACE_M = 0.08
LANDMARK_SETS = 4000  # at most so many go into crop and head model, spread over all takes


def measure(
    takes: Sequence[tuple[str, str, Take]],
    blendshape_names: tuple[str, ...],
    size_px: int,
    focal_px: float,
    matte_model: Path | None,
) -> Measured:
    """Crop, head model and poses of all takes.

    Args:
        takes: (clip name, "train" or "test", take).

    Raises:
        InputError: a backdrop that is not plain, and no matte model.
    """
    backdrop = _backdrop([t for _, _, t in takes], matte_model)
    crops = _crops([t for _, _, t in takes], size_px)
    cropped = [crops[_size(take)].landmarks(take.track.landmarks_px) for _, _, take in takes]
    model_m = head_model(_spread_over(cropped), focal_px, size_px)
    videos: dict[Path, VideoJob] = {}
    depths_m: list[np.ndarray] = []
    for (name, split, take), landmarks_px in zip(takes, cropped, strict=True):
        pose = track_pose(landmarks_px, model_m, focal_px, size_px)
        depths_m.append(pose.camera_from_head[:, 2, 3])
        nearest = _nearest_found(take.track.found)
        tracks = Tracks(
            camera_from_head=pose.camera_from_head,
            pose_confidence=pose.confidence,
            landmarks_px=landmarks_px[nearest, :, :2],
            blendshapes=take.track.blendshapes[nearest],
            torso_motion=np.zeros((take.count, 3)),
            torso_stretch=np.zeros((take.count, 3)),
        )
        entry = ClipEntry(name, split, take.count, take.info.path.name, take.notes)
        job = ClipJob(entry, take.start, tracks, take.samples)
        video = videos.get(take.info.path)
        if video is None:
            model = matte_model if backdrop == "matte" else None
            video = VideoJob(take.info, (), crops[_size(take)], matte_model=model)
        videos[take.info.path] = replace(video, clips=(*video.clips, job))
    return Measured(
        videos=list(videos.values()),
        clip_names=tuple(name for name, _, _ in takes),
        landmarks_head_m=model_m,
        focal_px=focal_px,
        tracker="mediapipe",
        backdrop=backdrop,
        blendshape_names=blendshape_names,
        torso_pivot_px=None,
        torso_depth_m=float(np.median(np.concatenate(depths_m))) + TORSO_BEHIND_FACE_M,
    )


def _backdrop(takes: list[Take], matte_model: Path | None) -> str:
    """'chroma' where every take can be keyed, else 'matte'."""
    busy = [t for t in takes if not chroma.is_plain(*t.backdrop)]
    if not busy:
        return "chroma"
    if matte_model is None:
        raise InputError(f"{busy[0].info.path}: {not_plain(*busy[0].backdrop)}")
    return "matte"


def not_plain(spread: float, saturation: float) -> str:
    """What to tell of a backdrop that cannot be keyed."""
    return (
        f"expected a plain coloured backdrop, found one that varies by {spread:.0f} of 255 (at most "
        f"{chroma.PLAIN_BACKDROP:.0f}) with saturation {saturation:.2f} (at least {chroma.PLAIN_SATURATION}). "
        "Give --matte-model an ONNX portrait matte network, such as ISNet; docs/training.md says what fits."
    )


def _crops(takes: list[Take], size_px: int) -> dict[tuple[int, int], Crop]:
    """One crop for every picture size among the videos."""
    crops = {}
    for width, height in {_size(t) for t in takes}:
        landmarks = _spread_over([t.track.landmarks_px for t in takes if _size(t) == (width, height)])
        crops[width, height] = choose_crop(landmarks, width, height, size_px)
    return crops


def _size(take: Take) -> tuple[int, int]:
    return take.info.width_px, take.info.height_px


def _spread_over(landmarks: list[np.ndarray]) -> np.ndarray:
    """At most LANDMARK_SETS finite ones, evenly from all takes."""
    every = np.concatenate(landmarks)
    every = every[np.isfinite(every).all(axis=(1, 2))]
    return every[:: max(1, -(-len(every) // LANDMARK_SETS))]


def _nearest_found(found: np.ndarray) -> np.ndarray:
    """(T,) index of the nearest frame with a face."""
    at = np.flatnonzero(found)
    return at[np.abs(np.arange(len(found))[:, None] - at[None, :]).argmin(axis=1)]
