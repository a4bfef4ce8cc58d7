"""The evaluation as a whole: subjects and a dataset in, a report folder out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gstalker.runtime import audio
from gstalker.runtime.dataset import AUDIO_RATE_HZ, ClipEntry, Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate import report
from gstalker.runtime.evaluate.comparison_video import ComparisonVideo
from gstalker.runtime.evaluate.config import EvalConfig
from gstalker.runtime.evaluate.detection import DetectionWorker, Detector
from gstalker.runtime.evaluate.folder import report_folder
from gstalker.runtime.evaluate.foreign_scores import action_unit_errors, syncnet_figures
from gstalker.runtime.evaluate.measure import Compare, Measured, Measures, Progress, measure
from gstalker.runtime.evaluate.page import PageContent, write_page
from gstalker.runtime.evaluate.provenance import provenance
from gstalker.runtime.evaluate.subject import RunSubjects, Subject
from gstalker.runtime.evaluate.summary import Figures
from gstalker.runtime.evaluate.sync_report import add_sync
from gstalker.runtime.evaluate.sync_score import SyncScorer
from gstalker.runtime.evaluate.voice import VoiceReport, cross_drive


@dataclass(frozen=True)
class Instruments:
    """What measures, beside arithmetic.

    Attributes:
        ssim: of two (H, W, 3) uint8 pictures.
        detector, lpips: None where not at hand, and then `missing` says why.
        sync: the lip-sync surrogate; None where no scorer was given.
        missing: one sentence for each figure that cannot be measured.
    """

    ssim: Compare
    detector: Detector | None
    lpips: Compare | None
    missing: tuple[str, ...] = ()
    sync: SyncScorer | None = None


@dataclass(frozen=True)
class EvaluationResult:
    """What the command line tells of a finished report."""

    report: Path
    figures: report.AllFigures
    voice: VoiceReport | None
    skipped: list[str]
    seconds: float


def evaluate(
    dataset: Dataset,
    run: RunSubjects,
    baselines: Sequence[Subject],
    instruments: Instruments,
    out: Path,
    config: EvalConfig,
    progress: Progress | None = None,
) -> EvaluationResult:
    """Measure the run's subjects and the baselines on the held-out clips and write the report.

    Raises:
        InputError: no test clips, options out of range, or an output folder with other files in it.
    """
    start = time.perf_counter()
    entries = chosen_clips(dataset, config)
    foreign = foreign_figures(config)
    voice_samples = audio.load_wav(config.voice) if config.voice else None
    subjects = [*run.subjects, *baselines]
    skipped = list(instruments.missing)
    size_px = dataset.manifest.size_px

    with report_folder(out) as folder:
        with ExitStack() as stack:
            worker = None
            if instruments.detector is not None:
                worker = stack.enter_context(DetectionWorker(instruments.detector))
            film = None
            if config.video:
                film = stack.enter_context(ComparisonVideo(folder / "comparison.mp4", 3, size_px, size_px))
            measured = measure(
                dataset,
                [e.name for e in entries],
                subjects,
                Measures(instruments.ssim, instruments.lpips, config.lpips_every),
                worker,
                most_frames=config.frames,
                film=film,
                progress=progress,
            )
            voice = None
            if voice_samples is not None and config.voice is not None:
                if run.voice is None:
                    skipped.append("another voice: this run has no voice-driven model")
                else:
                    voice = cross_drive(
                        run.voice,
                        config.voice,
                        voice_samples,
                        config.voice_seconds,
                        worker,
                        video=folder / "voice.mp4" if config.video else None,
                        progress=progress,
                        sync=instruments.sync,
                    )
        if progress:
            progress.stage("writing the report", 1)
        figures = report.all_figures(measured.clips)
        figures.overall[subjects[0].name].update(foreign)
        if instruments.sync is not None and worker is not None:
            samples = {clip.name: dataset.samples(clip.name) for clip in measured.clips}
            add_sync(figures, measured.clips, samples, instruments.sync)
        elif instruments.sync is not None:
            skipped.append("the sync surrogate: there is nothing to read faces with")
        result = _write(folder, dataset, run, subjects, figures, measured, voice, instruments, skipped, config, start)
        if progress:
            progress.advance()
    return dataclasses.replace(result, report=Path(out))


def chosen_clips(dataset: Dataset, config: EvalConfig) -> list[ClipEntry]:
    """The test clips that the options ask for.

    Raises:
        InputError: there are none, or an option is out of range.
    """
    for name, value in (("--clips", config.clips), ("--frames", config.frames)):
        if value is not None and value < 1:
            raise InputError(f"{name} {value}: expected at least 1.")
    if config.lpips_every < 1:
        raise InputError(f"--lpips-every {config.lpips_every}: expected at least 1.")
    if not config.voice_seconds * AUDIO_RATE_HZ >= audio.SHORTEST_AUDIO_SAMPLES:
        raise InputError(f"--voice-seconds {config.voice_seconds}: expected at least 0.04 s.")
    entries = dataset.clips("test")
    if not entries:
        raise InputError(
            f"{dataset.folder}: expected held-out clips to evaluate on, but no clip is in the split 'test'. "
            "Prepare the dataset with a split that names test clips."
        )
    return entries[: config.clips]


def foreign_figures(config: EvalConfig) -> Figures:
    """What other programs measured on the avatar's video, as far as files of theirs were given.

    Raises:
        InputError: such a file cannot be used, or one of two that belong together is missing.
    """
    figures: Figures = {}
    if config.syncnet:
        figures |= syncnet_figures(config.syncnet)
    if config.openface_real and config.openface_avatar:
        figures |= action_unit_errors(config.openface_real, config.openface_avatar)
    elif config.openface_real or config.openface_avatar:
        raise InputError("--openface-real and --openface-avatar: expected both or neither, got one.")
    return figures


def _write(
    folder: Path,
    dataset: Dataset,
    run: RunSubjects,
    subjects: Sequence[Subject],
    figures: report.AllFigures,
    measured: Measured,
    voice: VoiceReport | None,
    instruments: Instruments,
    skipped: list[str],
    config: EvalConfig,
    start: float,
) -> EvaluationResult:
    reader = instruments.detector.name if instruments.detector else None
    names = [s.name for s in subjects]
    pictures = report.write_sheets(folder / "pictures", measured.keepsakes, figures, names)
    voice_picture = report.write_voice_sheet(folder / "pictures", voice) if voice and voice.moments else None
    drawings = report.write_plots(folder / "plots", measured.clips, figures, voice)
    report.write_frames_csv(folder / "frames.csv", measured.clips)
    made = provenance()
    seconds = time.perf_counter() - start
    milliseconds = {
        name: round(1000 * measured.render_s[name] / measured.pictures[name], 2) for name in measured.render_s
    }
    about: dict[str, object] = {
        "run": run.about,
        "dataset": {
            "folder": dataset.folder.name,
            "size_px": dataset.manifest.size_px,
            "tracker": dataset.manifest.tracker,
            "backdrop": dataset.manifest.backdrop,
            "frames": {c.name: c.frames for c in measured.clips},
        },
        "face_reader": reader,
        "sync_scorer": f"surrogate, trained on {instruments.sync.origin.speech}" if instruments.sync else None,
        "composited": {s.name: s.composited for s in subjects},
        "voice": voice.figures() if voice else None,
        "skipped": skipped,
        "config": {
            key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(config).items()
        },
        "seconds": {"whole": round(seconds, 1), **{k: round(v, 1) for k, v in measured.seconds.items()}},
        "render_ms_per_picture": milliseconds,
        **made,
    }
    report.write_metrics(folder / "metrics.json", figures, about)
    content = PageContent(
        title=f"Evaluation of {run.title}",
        subtitle=f"dataset {dataset.folder.name}, {dataset.manifest.size_px} x {dataset.manifest.size_px}, "
        f"tracked by {dataset.manifest.tracker}; {made['made_at']}",
        figures=figures,
        frames_of_clips={c.name: c.frames for c in measured.clips},
        composited=[(s.name, s.composited) for s in subjects],
        reader=reader,
        skipped=skipped,
        pictures=pictures,
        plot_folder=folder / "plots",
        plots=drawings,
        video="comparison.mp4" if config.video else None,
        video_width_px=3 * dataset.manifest.size_px,
        voice=voice,
        voice_picture=voice_picture,
        voice_video="voice.mp4" if voice and config.video else None,
        conditions=_conditions(about),
    )
    write_page(folder / "index.html", content)
    return EvaluationResult(folder, figures, voice, skipped, seconds)


def _conditions(about: dict[str, object]) -> list[tuple[str, str]]:
    """The rows of 'How this was made'."""

    def flat(value: object) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{k} {v}" for k, v in value.items() if v is not None)
        return "unknown" if value is None else str(value)

    keys = (
        "run",
        "sync_scorer",
        "machine",
        "python",
        "versions",
        "commit",
        "config",
        "seconds",
        "render_ms_per_picture",
    )
    rows = [(key.replace("_", " "), flat(about[key])) for key in keys]
    return [r for r in rows if r != ("sync scorer", "unknown")]
