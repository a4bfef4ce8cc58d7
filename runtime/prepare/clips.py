"""A video's clips: cropped pictures, mattes, backdrop plates and torso motion, written into the dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gstalker.runtime.dataset import Clip, ClipEntry, Tracks, write_clip
from gstalker.runtime.prepare import chroma
from gstalker.runtime.prepare.crop import Crop
from gstalker.runtime.prepare.reference_frame import Reference
from gstalker.runtime.prepare.torso import TorsoTracker
from gstalker.runtime.prepare.video import VideoInfo, read_frames

TORSO_LOST_NOTE = "torso motion uncertain in {} of {} frames"


@dataclass(frozen=True)
class ClipJob:
    """A clip to write: its frames start at `start` of the video; the torso's motion is still to be found."""

    entry: ClipEntry
    start: int
    tracks: Tracks
    samples: np.ndarray


@dataclass(frozen=True)
class VideoJob:
    """All clips of one video, in the order of their frames."""

    info: VideoInfo
    clips: tuple[ClipJob, ...]
    crop: Crop
    backdrop: str  # "chroma" or "matte"
    matte_model: Path | None


@dataclass(frozen=True)
class ClipReport:
    """What came of a clip."""

    entry: ClipEntry
    plate_psnr_db: float


def write_clips(
    video: VideoJob, torso: TorsoTracker, folder: Path, on_frame: Callable[[int], None] | None = None
) -> list[ClipReport]:
    """Write every clip of one video."""
    reports = []
    done = 0
    frames = iter(read_frames(video.info))
    position = 0
    for job in video.clips:
        rgb = []
        while position < job.start + job.entry.frame_count:
            picture = next(frames)
            if position >= job.start:
                rgb.append(video.crop.picture(picture))
            position += 1
        clip, psnr = _finish(job, np.stack(rgb), video, torso)
        write_clip(folder, clip)
        reports.append(ClipReport(clip.entry, psnr))
        done += job.entry.frame_count
        if on_frame is not None:
            on_frame(done)
    return reports


def load_reference(videos: list[VideoJob], reference: Reference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture (S, S, 3), matte (S, S) and landmarks (478, 2) of the reference frame."""
    for video in videos:
        for job in video.clips:
            if job.entry.name == reference.clip:
                rgb, matte, _, _ = _cut_out(job, video)
                return rgb[reference.frame], matte[reference.frame], job.tracks.landmarks_px[reference.frame]
    raise AssertionError(f"the reference clip {reference.clip} is one of the clips")


def _cut_out(job: ClipJob, video: VideoJob) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    end = job.start + job.entry.frame_count
    rgb = np.stack([video.crop.picture(p) for i, p in zip(range(end), read_frames(video.info)) if i >= job.start])
    return rgb, *_mattes(rgb, job.tracks.landmarks_px, video)


def _mattes(rgb: np.ndarray, landmarks_px: np.ndarray, video: VideoJob) -> tuple[np.ndarray, np.ndarray, float]:
    """Mattes (T, S, S) uint8, plate (S, S, 3) uint8 and its PSNR against the backdrop, dB."""
    found = chroma.find_backdrop(rgb, landmarks_px)
    mattes = np.stack([chroma.key_matte(p, found.plate, l) for p, l in zip(rgb, landmarks_px, strict=True)])
    return mattes, np.round(found.plate).astype(np.uint8), found.psnr_db


def _finish(job: ClipJob, rgb: np.ndarray, video: VideoJob, torso: TorsoTracker) -> tuple[Clip, float]:
    mattes, plate, psnr = _mattes(rgb, job.tracks.landmarks_px, video)
    motion, failed = torso.track(rgb, mattes)
    notes = job.entry.notes
    if failed:
        notes = (*notes, TORSO_LOST_NOTE.format(failed, len(rgb)))
    clip = Clip(
        entry=replace(job.entry, notes=notes),
        rgb=rgb,
        matte=mattes,
        plate=plate,
        tracks=replace(job.tracks, torso_motion=motion),
        samples=job.samples,
    )
    return clip, psnr
