"""Numbers of clips whose videos come with their exact tracks (runtime/prepare/sidecar.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gstalker.runtime.dataset import FPS, ClipEntry, Tracks
from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare import chroma
from gstalker.runtime.prepare.clips import ClipJob, VideoJob
from gstalker.runtime.prepare.crop import Crop
from gstalker.runtime.prepare.measured import Measured
from gstalker.runtime.prepare.sidecar import Sidecar, matte_path, plate_path, read_sidecar, tracks_path
from gstalker.runtime.prepare.splits import SHORTEST_FRAMES
from gstalker.runtime.prepare.tracked import not_plain
from gstalker.runtime.prepare.video import SAMPLES_PER_FRAME, VideoInfo, fit_sound, read_frames, read_sound


@dataclass(frozen=True)
class ExactTake:
    """Frames of a video with their truth; fields as in `takes.Take`."""

    info: VideoInfo
    sidecar: Sidecar  # of the whole video
    start: int
    count: int
    samples: np.ndarray
    notes: tuple[str, ...] = ()

    def cut(self, at: int, note: str) -> tuple[ExactTake, ExactTake]:
        """Two takes of one, the second from its frame `at` on."""
        edge, notes = at * SAMPLES_PER_FRAME, (*self.notes, note)
        return (
            replace(self, count=at, samples=self.samples[:edge], notes=notes),
            replace(self, start=self.start + at, count=self.count - at, samples=self.samples[edge:], notes=notes),
        )

    @property
    def tracks(self) -> Tracks:
        """Of this take's frames."""
        whole = self.sidecar.tracks
        part = slice(self.start, self.start + self.count)
        return Tracks(
            camera_from_head=whole.camera_from_head[part],
            pose_confidence=whole.pose_confidence[part],
            landmarks_px=whole.landmarks_px[part],
            blendshapes=whole.blendshapes[part],
            torso_motion=whole.torso_motion[part],
            torso_stretch=whole.torso_stretch[part],
        )


def read_exact_take(info: VideoInfo, size_px: int) -> ExactTake:
    """A video and what lies beside it.

    Raises:
        InputError: no tracks, tracks of another size or length, another frame rate, too short.
    """
    sidecar = read_sidecar(info.path)
    count = len(sidecar.tracks.camera_from_head)
    if (info.width_px, info.height_px) != (sidecar.size_px, sidecar.size_px) or sidecar.size_px != size_px:
        raise InputError(
            f"{info.path}: expected {size_px} x {size_px} pixels in video and tracks, got "
            f"{info.width_px} x {info.height_px} and {sidecar.size_px} x {sidecar.size_px}. "
            f"Use --size-px {sidecar.size_px}, or make the video at that size."
        )
    if info.notes:
        raise InputError(
            f"{info.path}: expected an upright video at {FPS} frames a second beside exact tracks, "
            f"this one would be {' and '.join(info.notes)}. Make it again."
        )
    frames = sum(1 for _ in read_frames(info))
    if frames != count:
        raise InputError(
            f"{tracks_path(info.path)}: expected tracks of {frames} frames as the video has, got {count}. "
            "Make video and tracks again together."
        )
    if count < SHORTEST_FRAMES:
        raise InputError(
            f"{info.path}: expected at least {SHORTEST_FRAMES / FPS:.0f} s of video, got {count / FPS:.2f} s. "
            "Make a longer one."
        )
    return ExactTake(info, sidecar, 0, count, fit_sound(info, read_sound(info), count))


def assemble(takes: Sequence[tuple[str, str, ExactTake]]) -> Measured:
    """Gather the takes; torso motions still count from the character's rest place.

    Raises:
        InputError: videos of different characters or cameras, or a backdrop that can neither be keyed nor has
            a matte beside it.
    """
    first = takes[0][2].sidecar
    videos: dict[Path, VideoJob] = {}
    for name, split, take in takes:
        _check_same(takes[0][2], take)
        entry = ClipEntry(name, split, take.count, take.info.path.name, take.notes)
        job = ClipJob(entry, take.start, take.tracks, take.samples)
        path = take.info.path
        if path not in videos:
            matte = matte_path(path) if matte_path(path).is_file() else None
            if matte is None:
                _check_plain(take)
            crop = Crop(0, 0, first.size_px, first.size_px)
            frames = len(take.sidecar.tracks.camera_from_head)
            plate = plate_path(path) if matte is not None and plate_path(path).is_file() else None
            videos[path] = VideoJob(take.info, (), crop, matte_video=matte, plate_picture=plate, frame_count=frames)
        videos[path] = replace(videos[path], clips=(*videos[path].clips, job))
    return Measured(
        videos=list(videos.values()),
        clip_names=tuple(name for name, _, _ in takes),
        landmarks_head_m=first.landmarks_head_m,
        focal_px=first.focal_px,
        tracker="exact",
        backdrop="matte" if all(v.matte_video for v in videos.values()) else "chroma",
        blendshape_names=first.blendshape_names,
        torso_pivot_px=first.torso_pivot_px,
        torso_depth_m=first.torso_depth_m,
    )


def count_torso_from(
    motion: np.ndarray, reference: np.ndarray, pivot_px: tuple[float, float]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Torso motion counted from another rest place.

    Args:
        motion: (T, 3) dx_px, dy_px, angle_rad from the old rest place, about pivot_px.
        reference: (3,) the motion that becomes zero.

    Returns:
        (T, 3) motion from the new rest place, and the pivot there: where the reference took the old one.
    """
    # The old motion takes the pivot to pivot + d. What takes pivot + d_ref there as well is d - d_ref, and
    # turns about that point add up.
    return motion - reference, (pivot_px[0] + float(reference[0]), pivot_px[1] + float(reference[1]))


def _check_same(first: ExactTake, other: ExactTake) -> None:
    a, b = first.sidecar, other.sidecar
    same = (
        (a.focal_px, a.torso_pivot_px, a.torso_depth_m, a.blendshape_names)
        == (b.focal_px, b.torso_pivot_px, b.torso_depth_m, b.blendshape_names)
    ) and np.array_equal(a.landmarks_head_m, b.landmarks_head_m, equal_nan=True)
    if not same:
        raise InputError(
            f"{tracks_path(other.info.path)}: expected the camera, rest face and torso of "
            f"{tracks_path(first.info.path).name}, got others. Prepare one character at a time."
        )


def _check_plain(take: ExactTake) -> None:
    pictures = np.stack([p for i, p in enumerate(read_frames(take.info)) if i % FPS == 0])
    landmarks_px = take.sidecar.tracks.landmarks_px[::FPS]
    spread, saturation = chroma.measure_backdrop(pictures, landmarks_px[: len(pictures)])
    if not chroma.is_plain(spread, saturation):
        beside = matte_path(take.info.path).name
        raise InputError(f"{take.info.path}: no {beside} beside it, so {not_plain(spread, saturation)}")
