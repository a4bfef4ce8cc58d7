"""Portrait videos to a dataset: the order of the steps, and the guarantee that nothing half-done is left.

takes      every video decoded, cut into takes and tracked           (parallel over videos)
numbers    one crop a picture size, the head model, head poses, the reference frame
clips      pictures cropped, mattes, backdrop plates, torso motion   (parallel over videos)
close      contact sheet, manifest, and only then the folder gets its name
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gstalker.runtime.dataset import AUDIO_RATE_HZ, FORMAT_VERSION, FPS, DatasetManifest, write_manifest
from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare import exact, tracked
from gstalker.runtime.prepare.clips import VideoJob, load_reference, write_clips
from gstalker.runtime.prepare.contact_sheet import write_contact_sheet
from gstalker.runtime.prepare.face import FaceTracker, MediaPipeTracker
from gstalker.runtime.prepare.face_model import find_face_model
from gstalker.runtime.prepare.matte_model import MatteModel
from gstalker.runtime.prepare.measured import Measured
from gstalker.runtime.prepare.parallel import Progress, run_all
from gstalker.runtime.prepare.reference_frame import Reference, choose_reference
from gstalker.runtime.prepare.splits import name_and_split, read_split
from gstalker.runtime.prepare.takes import find_takes
from gstalker.runtime.prepare.torso import TorsoTracker
from gstalker.runtime.prepare.video import VideoInfo, open_video

DEFAULT_FOCAL = 2.2  # in picture widths: a portrait taken from about 0.8 m
SMALLEST_PX = 64


@dataclass(frozen=True)
class PrepareConfig:
    """What to prepare and how.

    Attributes:
        videos: portrait videos with sound, all of one person.
        out: the dataset's folder.
        size_px: pictures become size_px x size_px.
        split: JSON {"train": [...], "test": [...]} of file names without endings; None tests on every tenth
            clip, and cuts a single one in two.
        tracker: "mediapipe", or "sidecar" for videos with exact tracks beside them.
        face_model: face_landmarker.task; None looks in $GSTALKER_MODELS and the user's cache.
        face_model_download: consent to download the face model where it is not found.
        matte_model: an ONNX matte network for backdrops that are not plain (runtime/prepare/matte_model.py).
        focal_px: focal length of the cropped pictures; None takes 2.2 times size_px, or what the tracks say.
        jobs: processes; None takes one a core.
        overwrite: replace a dataset that is there.
    """

    videos: tuple[Path, ...]
    out: Path
    size_px: int = 256
    split: Path | None = None
    tracker: Literal["mediapipe", "sidecar"] = "mediapipe"
    face_model: Path | None = None
    face_model_download: bool = False
    matte_model: Path | None = None
    focal_px: float | None = None
    jobs: int | None = None
    overwrite: bool = False


def prepare(config: PrepareConfig, progress: Progress | None = None, face_tracker: FaceTracker | None = None) -> Path:
    """Make a dataset from videos.

    Args:
        progress: called with a step's name, frames done and frames in all.
        face_tracker: used in place of MediaPipe's.

    Returns:
        the dataset's folder.

    Raises:
        InputError: an input or option is not what is needed; nothing is left behind, and a dataset that was
            there is untouched.
    """
    show = progress or (lambda step, done, total: None)
    _check(config)
    infos = [open_video(Path(v)) for v in config.videos]
    measured = _measure(config, infos, face_tracker, show)
    partial = config.out.with_name(config.out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write(partial, measured, config, show)
        if config.out.exists():
            shutil.rmtree(config.out)
        partial.rename(config.out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return config.out


def _check(config: PrepareConfig) -> None:
    if not config.videos:
        raise InputError("videos: expected at least one portrait video, got none. Give one or more files.")
    if config.size_px < SMALLEST_PX or config.size_px % 2:
        raise InputError(
            f"--size-px: expected an even number of at least {SMALLEST_PX}, got {config.size_px}. Try 256 or 512."
        )
    if config.focal_px is not None and config.focal_px <= 0:
        raise InputError(
            f"--focal-px: expected a positive focal length, got {config.focal_px}. Leave it out for the default."
        )
    if config.jobs is not None and config.jobs < 1:
        raise InputError(f"--jobs: expected at least 1 process, got {config.jobs}. Leave it out for one a core.")
    if config.out.exists() and not config.overwrite:
        raise InputError(f"{config.out}: expected a new folder, it is there already. Add --overwrite to replace it.")
    if config.out.exists() and not _may_be_replaced(config.out):
        raise InputError(
            f"{config.out}: expected a dataset to overwrite, found something else. Remove it yourself, or choose "
            "another --out."
        )
    stems = [Path(v).stem for v in config.videos]
    if twice := sorted({s for s in stems if stems.count(s) > 1}):
        raise InputError(f"videos: expected different file names, got '{twice[0]}' twice. Rename one.")
    if config.split is not None:
        read_split(config.split, stems)
    if config.matte_model is not None:
        MatteModel(config.matte_model)


def _may_be_replaced(out: Path) -> bool:
    """A dataset or an empty folder; never a person's own files by a slip of the pen."""
    return out.is_dir() and ((out / "dataset.json").is_file() or not any(out.iterdir()))


def _measure(
    config: PrepareConfig, infos: list[VideoInfo], face_tracker: FaceTracker | None, show: Progress
) -> Measured:
    paths = [i.path for i in infos]
    if config.tracker == "sidecar":
        exact_takes = [[exact.read_exact_take(i, config.size_px)] for i in infos]
        measured = exact.assemble(name_and_split(paths, exact_takes, config.split))
        if config.focal_px not in (None, measured.focal_px):
            raise InputError(
                f"--focal-px: expected {measured.focal_px} as the exact tracks have it, got {config.focal_px}. "
                "Leave it out."
            )
        return measured
    if face_tracker is None:
        face_tracker = MediaPipeTracker(find_face_model(config.face_model, config.face_model_download))
    frames = [i.expected_frames for i in infos]
    arguments = [(i, face_tracker) for i in infos]
    takes = run_all("finding the face", find_takes, arguments, frames, config.jobs, show)
    named = name_and_split(paths, takes, config.split)
    focal_px = config.focal_px or DEFAULT_FOCAL * config.size_px
    return tracked.measure(named, face_tracker.blendshape_names, config.size_px, focal_px, config.matte_model)


def _write(folder: Path, measured: Measured, config: PrepareConfig, show: Progress) -> None:
    jobs = [j for v in measured.videos for j in v.clips]
    reference = choose_reference([j.entry for j in jobs], [j.tracks for j in jobs], measured.blendshape_names)
    if measured.torso_pivot_px is None:
        torso = TorsoTracker(*load_reference(measured.videos, reference))
        videos, pivot_px = measured.videos, torso.pivot_px
    else:
        torso = None
        videos, pivot_px = _recount_torso(measured.videos, reference, measured.torso_pivot_px)
    frames = [v.clip_frames for v in videos]
    arguments = [(v, torso, folder) for v in videos]
    written = run_all("cutting out the person", write_clips, arguments, frames, config.jobs, show)
    entries = {r.entry.name: r.entry for several in written for r in several}
    manifest = DatasetManifest(
        format_version=FORMAT_VERSION,
        size_px=config.size_px,
        focal_px=measured.focal_px,
        fps=FPS,
        audio_rate_hz=AUDIO_RATE_HZ,
        blendshape_names=measured.blendshape_names,
        tracker=measured.tracker,
        backdrop=measured.backdrop,
        torso_pivot_px=pivot_px,
        torso_depth_m=measured.torso_depth_m,
        reference_clip=reference.clip,
        reference_frame=reference.frame,
        clips=tuple(entries[name] for name in measured.clip_names),
    )
    write_manifest(folder, manifest, measured.landmarks_head_m)
    write_contact_sheet(folder)


def _recount_torso(
    videos: list[VideoJob], reference: Reference, pivot_px: tuple[float, float]
) -> tuple[list[VideoJob], tuple[float, float]]:
    """Count exact torso motion from the reference frame instead of the character's rest place."""
    jobs = {j.entry.name: j for v in videos for j in v.clips}
    zero = jobs[reference.clip].tracks.torso_motion[reference.frame]
    recounted = []
    for video in videos:
        clips = []
        for job in video.clips:
            motion, _ = exact.count_torso_from(job.tracks.torso_motion, zero, pivot_px)
            clips.append(replace(job, tracks=replace(job.tracks, torso_motion=motion)))
        recounted.append(replace(video, clips=tuple(clips)))
    return recounted, exact.count_torso_from(zero[None], zero, pivot_px)[1]
