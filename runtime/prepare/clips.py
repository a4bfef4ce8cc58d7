"""A video's clips: cropped pictures, mattes, backdrop plates and torso motion, written into the dataset."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gstalker.runtime.dataset import Clip, ClipEntry, Tracks, read_lossless_video, write_clip
from gstalker.runtime.prepare import chroma
from gstalker.runtime.prepare.crop import Crop
from gstalker.runtime.prepare.matte_model import MatteModel, plate_behind, psnr_where_clear
from gstalker.runtime.prepare.never_seen import plate_seen
from gstalker.runtime.prepare.reference_frame import Reference
from gstalker.runtime.prepare.sidecar import read_plate
from gstalker.runtime.prepare.torso import TorsoTracker
from gstalker.runtime.prepare.video import VideoInfo, read_frames


@dataclass(frozen=True)
class ClipJob:
    """A clip to write: its frames start at `start` of the video; measured torso motion is still to come."""

    entry: ClipEntry
    start: int
    tracks: Tracks
    samples: np.ndarray


@dataclass(frozen=True)
class VideoJob:
    """All clips of one video, in the order of their frames.

    Attributes:
        matte_model: the network that mattes it; None where it is keyed or has a matte of its own.
        matte_video: a matte that came with the video, as many frames as it has.
        plate_picture: a backdrop that came with the matte; None where it is to be found behind the person.
    """

    info: VideoInfo
    clips: tuple[ClipJob, ...]
    crop: Crop
    matte_model: Path | None = None
    matte_video: Path | None = None
    plate_picture: Path | None = None
    frame_count: int = 0  # of the matte video

    @property
    def clip_frames(self) -> int:
        return sum(j.entry.frame_count for j in self.clips)


@dataclass(frozen=True)
class ClipReport:
    """What came of a clip."""

    entry: ClipEntry
    plate_psnr_db: float


def write_clips(
    video: VideoJob, torso: TorsoTracker | None, folder: Path, on_frame: Callable[[int], None] | None = None
) -> list[ClipReport]:
    """Write every clip of one video into the dataset's folder.

    Args:
        torso: finds the torso's motion; None where the tracks have it already.
        on_frame: called with the number of frames done so far.
    """
    reports = []
    done = 0
    for job, rgb in _clip_pictures(video):
        mattes, plate, psnr = _mattes(job, rgb, video)
        entry, tracks = job.entry, job.tracks
        if torso is not None:
            motion, stretch, failed = torso.track(rgb, mattes)
            tracks = replace(tracks, torso_motion=motion, torso_stretch=stretch)
            if failed:
                note = f"torso motion uncertain in {failed} of {len(rgb)} frames"
                entry = replace(entry, notes=(*entry.notes, note))
        # A backdrop that came with the video is known everywhere.
        seen = np.ones(plate.shape[:2], bool) if video.plate_picture is not None else plate_seen(mattes)
        write_clip(folder, Clip(entry, rgb, mattes, plate, tracks, job.samples, seen))
        reports.append(ClipReport(entry, psnr))
        done += entry.frame_count
        if on_frame is not None:
            on_frame(done)
    return reports


def load_reference(videos: list[VideoJob], reference: Reference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture (S, S, 3), matte (S, S) and landmarks (478, 2) of the reference frame."""
    for video in videos:
        for job in video.clips:
            if job.entry.name == reference.clip:
                only = replace(video, clips=(job,))
                _, rgb = next(_clip_pictures(only))
                mattes, _, _ = _mattes(job, rgb, only)
                at = reference.frame
                return rgb[at], mattes[at], job.tracks.landmarks_px[at]
    raise AssertionError(f"the reference clip {reference.clip} is one of the clips")


def _clip_pictures(video: VideoJob) -> Iterator[tuple[ClipJob, np.ndarray]]:
    """Each clip with its cropped pictures (T, S, S, 3), in one pass over the video."""
    frames = enumerate(read_frames(video.info))
    for job in video.clips:
        rgb: list[np.ndarray] = []
        for index, picture in frames:
            if index >= job.start:
                rgb.append(video.crop.picture(picture))
            if len(rgb) == job.entry.frame_count:
                break
        yield job, np.stack(rgb)


def _mattes(job: ClipJob, rgb: np.ndarray, video: VideoJob) -> tuple[np.ndarray, np.ndarray, float]:
    """Mattes (T, S, S) uint8, plate (S, S, 3) uint8 and its PSNR against the backdrop seen, dB."""
    landmarks_px = job.tracks.landmarks_px
    if video.matte_video is not None:
        whole = read_lossless_video(video.matte_video, "gray", video.frame_count)
        mattes = whole[job.start : job.start + len(rgb)]
        if video.plate_picture is not None:
            plate = read_plate(video.plate_picture, rgb.shape[1])
            return mattes, plate, psnr_where_clear(rgb, mattes, plate)
        return mattes, *plate_behind(rgb, mattes)
    if video.matte_model is not None:
        model = _matte_model(video.matte_model)
        mattes = np.stack([model.matte(picture) for picture in rgb])
        return mattes, *plate_behind(rgb, mattes)
    return chroma.key_take(rgb, landmarks_px)


@functools.lru_cache(maxsize=1)
def _matte_model(path: Path) -> MatteModel:
    return MatteModel(path)
