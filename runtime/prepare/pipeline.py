"""Portrait videos to a dataset: the order of the steps, and the guarantee that nothing half-done is left.

takes      every video decoded, cut into takes and tracked           (parallel over videos)
geometry   one crop a picture size, the head model, head poses, the reference frame
clips      pictures cropped, mattes, backdrop plates, torso motion   (parallel over videos)
close      contact sheet, manifest, and only then the folder gets its name
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np

from gstalker.runtime.dataset import (
    AUDIO_RATE_HZ,
    FORMAT_VERSION,
    FPS,
    ClipEntry,
    DatasetManifest,
    Tracks,
    write_manifest,
)
from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare import chroma
from gstalker.runtime.prepare.clips import ClipJob, VideoJob, load_reference, write_clips
from gstalker.runtime.prepare.contact_sheet import write_contact_sheet
from gstalker.runtime.prepare.crop import Crop, choose_crop
from gstalker.runtime.prepare.face import FaceTracker, MediaPipeTracker
from gstalker.runtime.prepare.face_model import find_face_model
from gstalker.runtime.prepare.head_pose import head_model, track_pose
from gstalker.runtime.prepare.reference_frame import choose_reference
from gstalker.runtime.prepare.splits import every_tenth, read_split
from gstalker.runtime.prepare.takes import SHORTEST_FRAMES, Take, cut_take, find_takes
from gstalker.runtime.prepare.torso import TorsoTracker
from gstalker.runtime.prepare.video import VideoInfo, open_video

DEFAULT_FOCAL = 2.2  # in picture widths: a portrait taken from about 0.8 m
TORSO_BEHIND_FACE_M = 0.08
MODEL_FACES = 4000  # landmark sets the head model and crop are made from, spread over all takes

Progress = Callable[[str, int, int], None]  # step, done, total; in frames
Result = TypeVar("Result")


@dataclass(frozen=True)
class PrepareConfig:
    """What to prepare and how.

    Attributes:
        videos: portrait videos with sound, all of one person.
        out: the dataset's folder.
        size_px: pictures become size_px x size_px.
        split: JSON {"train": [...], "test": [...]} of file names without endings; None tests on every tenth.
        tracker: "mediapipe", or "sidecar" for videos with exact tracks beside them (runtime/prepare/sidecar.py).
        face_model: face_landmarker.task; None looks in $GSTALKER_MODELS and the user's cache.
        face_model_download: consent to download the face model where it is not found.
        matte_model: an ONNX matte network for backdrops that are not plain.
        focal_px: focal length of the cropped pictures; None takes 2.2 times size_px.
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


def prepare(config: PrepareConfig, progress: Progress | None = None, tracker: FaceTracker | None = None) -> Path:
    """Make a dataset from videos.

    Args:
        progress: called with a step's name, frames done and frames in all.
        tracker: used in place of the one that the config names.

    Returns:
        the dataset's folder.

    Raises:
        InputError: see runtime/prepare/{video,takes,splits,face_model}.py; nothing is left behind.
    """
    report = progress or (lambda step, done, total: None)
    _check(config)
    infos = [open_video(Path(v)) for v in config.videos]
    if tracker is None:
        tracker = MediaPipeTracker(find_face_model(config.face_model, config.face_model_download))
    takes = _find_all_takes(infos, tracker, config, report)
    partial = config.out.with_name(config.out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write_dataset(partial, takes, tracker, config, report)
        if config.out.exists():
            shutil.rmtree(config.out)
        partial.rename(config.out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return config.out


def _check(config: PrepareConfig) -> None:
    if not config.videos:
        raise InputError("videos: expected at least one portrait video, got none. Give one or more files.")
    if config.size_px < 64 or config.size_px % 2:
        raise InputError(f"--size-px: expected an even number of at least 64, got {config.size_px}.")
    if config.focal_px is not None and config.focal_px <= 0:
        raise InputError(f"--focal-px: expected a positive focal length, got {config.focal_px}.")
    if config.out.exists() and not config.overwrite:
        raise InputError(f"{config.out}: expected a new folder, it is there already. Add --overwrite to replace it.")
    stems = [Path(v).stem for v in config.videos]
    if twice := sorted({s for s in stems if stems.count(s) > 1}):
        raise InputError(f"videos: expected different file names, got '{twice[0]}' twice. Rename one.")
    if config.split is not None:
        read_split(config.split, stems)


def _find_all_takes(
    infos: list[VideoInfo], tracker: FaceTracker, config: PrepareConfig, report: Progress
) -> list[tuple[str, str, Take]]:
    """(clip name, split, take) for every take of every video."""
    expected = [i.expected_frames for i in infos]
    found = _run("finding the face", find_takes, [(i, tracker) for i in infos], expected, config, report)
    stems = [i.path.stem for i in infos]
    named = [
        (stem if len(takes) == 1 else f"{stem}_{k:03d}", stem, take)
        for stem, takes in zip(stems, found, strict=True)
        for k, take in enumerate(takes)
    ]
    if config.split is not None:
        split = read_split(config.split, stems)
        return [(name, split.of(stem) or "train", take) for name, stem, take in named]
    if len(named) == 1:
        name, _, take = named[0]
        if take.count < 2 * SHORTEST_FRAMES:
            raise InputError(
                f"{take.info.path}: expected at least {2 * SHORTEST_FRAMES / FPS:.0f} s, to train on one part and "
                f"test on the other, got {take.count / FPS:.2f} s. Give a longer video, or several."
            )
        at = take.count - max(SHORTEST_FRAMES, take.count // 10)
        train, test = cut_take(take, at)
        return [(f"{name}_000", "train", train), (f"{name}_001", "test", test)]
    splits = every_tenth(len(named))
    return [(name, split, take) for (name, _, take), split in zip(named, splits, strict=True)]


def _write_dataset(
    folder: Path,
    takes: list[tuple[str, str, Take]],
    tracker: FaceTracker,
    config: PrepareConfig,
    report: Progress,
) -> None:
    focal_px = config.focal_px or DEFAULT_FOCAL * config.size_px
    backdrop = _choose_backdrop([t for _, _, t in takes], config)
    crops = _choose_crops([t for _, _, t in takes], config.size_px)
    cropped = {name: crops[_size(take)].landmarks(take.track.landmarks_px) for name, _, take in takes}
    model_m = head_model(_spread_over(list(cropped.values())), focal_px, config.size_px)
    jobs: list[ClipJob] = []
    depths: list[np.ndarray] = []
    for name, split, take in takes:
        pose = track_pose(cropped[name], model_m, focal_px, config.size_px)
        depths.append(pose.camera_from_head[:, 2, 3])
        entry = ClipEntry(name, split, take.count, take.info.path.name, take.notes)
        tracks = Tracks(
            camera_from_head=pose.camera_from_head,
            pose_confidence=pose.confidence,
            landmarks_px=_carried(cropped[name][..., :2], take.track.found),
            blendshapes=_carried(take.track.blendshapes, take.track.found),
            torso_motion=np.zeros((take.count, 3)),
        )
        jobs.append(ClipJob(entry, take.start, tracks, take.samples))
    videos = _by_video(takes, jobs, crops, backdrop, config)
    reference = choose_reference([j.entry for j in jobs], [j.tracks for j in jobs], tracker.blendshape_names)
    picture, matte, landmarks_px = load_reference(videos, reference)
    torso = TorsoTracker(picture, matte, landmarks_px)
    expected = [sum(j.entry.frame_count for j in v.clips) for v in videos]
    reports = _run(
        "cutting out the person", write_clips, [(v, torso, folder) for v in videos], expected, config, report
    )
    entries = {r.entry.name: r.entry for several in reports for r in several}
    manifest = DatasetManifest(
        format_version=FORMAT_VERSION,
        size_px=config.size_px,
        focal_px=focal_px,
        fps=FPS,
        audio_rate_hz=AUDIO_RATE_HZ,
        blendshape_names=tracker.blendshape_names,
        tracker="mediapipe",
        backdrop=backdrop,
        torso_pivot_px=torso.pivot_px,
        torso_depth_m=float(np.median(np.concatenate(depths))) + TORSO_BEHIND_FACE_M,
        reference_clip=reference.clip,
        reference_frame=reference.frame,
        clips=tuple(entries[name] for name, _, _ in takes),
    )
    write_manifest(folder, manifest, model_m)
    write_contact_sheet(folder, torso)


def _choose_backdrop(takes: list[Take], config: PrepareConfig) -> str:
    """'chroma' where every take can be keyed, else 'matte'."""
    coloured = [t for t in takes if not chroma.is_plain(*t.backdrop)]
    if not coloured:
        return "chroma"
    if config.matte_model is None:
        spread, saturation = coloured[0].backdrop
        raise InputError(
            f"{coloured[0].info.path}: expected a plain coloured backdrop, or --matte-model, found one that varies by "
            f"{spread:.0f} of 255 with saturation {saturation:.2f} (plain: at most {chroma.PLAIN_BACKDROP:.0f}, "
            f"at least {chroma.PLAIN_SATURATION}). Give an ONNX matte network: see docs/training.md."
        )
    return "matte"


def _choose_crops(takes: list[Take], size_px: int) -> dict[tuple[int, int], Crop]:
    """One crop for every picture size among the videos."""
    crops = {}
    for width, height in {_size(t) for t in takes}:
        landmarks = _spread_over([t.track.landmarks_px for t in takes if _size(t) == (width, height)])
        crops[width, height] = choose_crop(landmarks, width, height, size_px)
    return crops


def _size(take: Take) -> tuple[int, int]:
    return take.info.width_px, take.info.height_px


def _spread_over(landmarks: list[np.ndarray]) -> np.ndarray:
    """At most MODEL_FACES finite landmark sets, evenly from all takes."""
    every = np.concatenate(landmarks)
    every = every[np.isfinite(every).all(axis=(1, 2))]
    return every[:: max(1, -(-len(every) // MODEL_FACES))]


def _carried(values: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Frames without a face take the nearest frame's values."""
    at = np.flatnonzero(found)
    return values[at[np.abs(np.arange(len(values))[:, None] - at[None, :]).argmin(axis=1)]]


def _by_video(
    takes: list[tuple[str, str, Take]],
    jobs: list[ClipJob],
    crops: dict[tuple[int, int], Crop],
    backdrop: str,
    config: PrepareConfig,
) -> list[VideoJob]:
    """Gather the clips of each video, so that a video is decoded once."""
    gathered: dict[Path, VideoJob] = {}
    for (_, _, take), job in zip(takes, jobs, strict=True):
        path = take.info.path
        if path not in gathered:
            gathered[path] = VideoJob(take.info, (), crops[_size(take)], backdrop, config.matte_model)
        gathered[path] = replace(gathered[path], clips=(*gathered[path].clips, job))
    return list(gathered.values())


def _run(
    step: str,
    work: Callable[..., Result],
    arguments: list[tuple],
    frames: list[int],
    config: PrepareConfig,
    report: Progress,
) -> list[Result]:
    """`work` on each of `arguments`, in as many processes as asked for, in their order."""
    total = sum(frames)
    jobs = min(config.jobs or os.cpu_count() or 1, len(arguments))
    report(step, 0, total)
    results: dict[int, Result] = {}
    done = 0
    if jobs <= 1:
        for index, args in enumerate(arguments):
            before = done
            results[index] = work(*args, on_frame=lambda n, b=before: report(step, min(b + n, total), total))
            done += frames[index]
            report(step, done, total)
        return _ordered(results)
    # "spawn" on every system: forked copies of MediaPipe's and OpenCV's threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_one_thread) as pool:
        futures = {pool.submit(work, *args): index for index, args in enumerate(arguments)}
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                done += frames[futures[future]]
                report(step, done, total)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return _ordered(results)


def _ordered(results: dict[int, Result]) -> list[Result]:
    return [results[i] for i in range(len(results))]


def _one_thread() -> None:
    cv2.setNumThreads(1)
