"""Render every subject on every test clip and measure each picture once, while the detector works behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from gstalker.runtime.dataset import Clip, Dataset
from gstalker.runtime.evaluate import picture_measures
from gstalker.runtime.evaluate.comparison_video import difference
from gstalker.runtime.evaluate.curves import (
    FaceCurves,
    MeasuredClip,
    PictureCurves,
    detected_face,
    tracked_face,
)
from gstalker.runtime.evaluate.detection import DetectionJob, DetectionWorker
from gstalker.runtime.evaluate.keepsakes import MOST_CLIPS, ClipKeepsakes, Worst, start_keepsakes
from gstalker.runtime.evaluate.loudness import frame_loudness_db, shifted_loudness_db
from gstalker.runtime.evaluate.subject import Subject

Compare = Callable[[np.ndarray, np.ndarray], float]


class Progress(Protocol):
    """Where work is reported, picture by picture."""

    def stage(self, name: str, total: int, done: int = 0) -> None:
        """Begin a stage of so many pictures."""
        ...

    def advance(self, text: str = "") -> None:
        """One more is done."""
        ...


@dataclass(frozen=True)
class Measures:
    """The measures of whole pictures.

    Attributes:
        ssim: of two (H, W, 3) uint8 pictures.
        lpips: the same; None where no weights are at hand.
        lpips_every: measured on frames 0, n, 2 n, ...
    """

    ssim: Compare
    lpips: Compare | None
    lpips_every: int


@dataclass
class Measured:
    """Everything an evaluation gathers before it writes.

    Attributes:
        clips: curves of each clip.
        keepsakes: pictures of the first clips.
        render_s: seconds spent rendering, by subject.
        pictures: how many pictures were rendered, by subject.
        seconds: by part of the work: load, render, measure, lpips, wait for the detector.
    """

    clips: list[MeasuredClip] = field(default_factory=list)
    keepsakes: list[ClipKeepsakes] = field(default_factory=list)
    render_s: dict[str, float] = field(default_factory=dict)
    pictures: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def spend(self, part: str, seconds: float) -> None:
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds


class Film(Protocol):
    """What shows the first subject beside the real pictures (`comparison_video`)."""

    def add(self, pictures: list[np.ndarray], caption: str) -> None: ...

    def end_clip(self, samples: np.ndarray) -> None: ...


@dataclass
class _Open:
    """A clip whose detections are still under way."""

    clip: MeasuredClip
    real: DetectionJob | None
    subjects: dict[str, tuple[PictureCurves, DetectionJob | None]]


def measure(
    dataset: Dataset,
    clip_names: Sequence[str],
    subjects: Sequence[Subject],
    measures: Measures,
    worker: DetectionWorker | None,
    *,
    most_frames: int | None = None,
    film: Film | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Measure subjects on clips, all on the same frames.

    Args:
        subjects: the first is the one that films and worst frames show.
        worker: finds faces; without one no figure needs a face.
        most_frames: of each clip, from its first.
        film: gets real | first subject | difference of every frame.
    """
    measured = Measured()
    entries = {e.name: e for e in dataset.manifest.clips}
    counts = {n: min(entries[n].frame_count, most_frames or entries[n].frame_count) for n in clip_names}
    if progress:
        progress.stage("measuring", sum(counts.values()) * len(subjects))
    under_way: list[_Open] = []

    for name in clip_names:
        start = time.perf_counter()
        clip = dataset.load(name)
        frames = list(range(counts[name]))
        where = [picture_measures.frame_regions(clip, t) for t in frames]
        kept = start_keepsakes(clip, len(frames)) if len(measured.keepsakes) < MOST_CLIPS else None
        if kept is not None:
            measured.keepsakes.append(kept)
        names = dataset.manifest.blendshape_names
        opened = _Open(
            clip=MeasuredClip(
                name=name,
                frames=len(frames),
                tracked=tracked_face(clip.tracks, frames, names),
                real=None,
                loudness_db=frame_loudness_db(clip.samples, len(frames)),
                shifted_loudness_db=shifted_loudness_db(clip.samples, len(frames)),
            ),
            real=worker.start() if worker else None,
            subjects={},
        )
        if opened.real:
            for t in frames:
                opened.real.put(clip.rgb[t])
            opened.real.close()
        measured.spend("load", time.perf_counter() - start)
        for number, subject in enumerate(subjects):
            opened.subjects[subject.name] = _measure_subject(
                subject,
                clip,
                where,
                measures,
                measured,
                job=worker.start() if worker else None,
                kept=kept,
                first=number == 0,
                film=film if number == 0 else None,
                progress=progress,
            )
        under_way.append(opened)
        if len(under_way) > 1:  # one clip behind, so that the detector is never waited for in between
            measured.clips.append(_finish(under_way.pop(0), worker, measured))
    for opened in under_way:
        measured.clips.append(_finish(opened, worker, measured))
    return measured


def _measure_subject(
    subject: Subject,
    clip: Clip,
    where: Sequence[picture_measures.FrameRegions],
    measures: Measures,
    measured: Measured,
    *,
    job: DetectionJob | None,
    kept: ClipKeepsakes | None,
    first: bool,
    film: Film | None,
    progress: Progress | None,
) -> tuple[PictureCurves, DetectionJob | None]:
    frames = len(where)
    mse = {region: np.full(frames, np.nan) for region in picture_measures.REGIONS}
    ssim, lpips = np.full(frames, np.nan), np.full(frames, np.nan)
    if kept is not None:
        kept.pictures[subject.name] = []
    pictures = subject.pictures(clip, range(frames))
    for t in range(frames):
        start = time.perf_counter()
        picture = next(pictures, None)
        if picture is None:
            raise ValueError(f"subject {subject.name!r}: expected {frames} pictures of {clip.entry.name}, got {t}")
        if picture.shape != clip.rgb[t].shape:
            raise ValueError(f"subject {subject.name!r}: expected pictures of {clip.rgb[t].shape}, got {picture.shape}")
        rendered, real = picture_measures.as_bytes(picture), clip.rgb[t]
        rendered_at = time.perf_counter()
        if job:
            job.put(rendered)
        for region, value in picture_measures.squared_errors(rendered, real, where[t]).items():
            mse[region][t] = value
        ssim[t] = measures.ssim(rendered, real)
        measured_at = time.perf_counter()
        if measures.lpips and t % measures.lpips_every == 0:
            lpips[t] = measures.lpips(rendered, real)
        measured.spend("render", rendered_at - start)
        measured.spend("measure", measured_at - rendered_at)
        measured.spend("lpips", time.perf_counter() - measured_at)
        measured.render_s[subject.name] = measured.render_s.get(subject.name, 0.0) + rendered_at - start
        if kept is not None:
            if t in kept.moments:
                kept.pictures[subject.name].append(rendered)
            if first and (kept.worst is None or mse["full"][t] > kept.worst.mse):
                kept.worst = Worst(t, float(mse["full"][t]), real.copy(), rendered)
        if film:
            film.add([real, rendered, difference(rendered, real)], f"{clip.entry.name}, frame {t}")
        if progress:
            progress.advance(f"{clip.entry.name}: {subject.name}")
    if job:
        job.close()
    if film:
        film.end_clip(clip.samples)
    measured.pictures[subject.name] = measured.pictures.get(subject.name, 0) + frames
    return PictureCurves(mse, ssim, lpips, None), job


def _finish(opened: _Open, worker: DetectionWorker | None, measured: Measured) -> MeasuredClip:
    """Wait for a clip's detections."""
    start = time.perf_counter()
    names = worker.detector.blendshape_names if worker else ()

    def face(job: DetectionJob | None) -> FaceCurves | None:
        return detected_face(job.result(), names) if job else None

    subjects = {name: replace(curves, face=face(job)) for name, (curves, job) in opened.subjects.items()}
    result = replace(opened.clip, real=face(opened.real), subjects=subjects)
    measured.spend("wait for the detector", time.perf_counter() - start)
    return result
