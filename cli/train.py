"""`gstalker train`: dataset in, training run out."""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gstalker.runtime.errors import InputError

if TYPE_CHECKING:
    from gstalker.runtime.train.config import TrainConfig

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130  # as in cli.main


@dataclass(frozen=True)
class Train:
    """Train an avatar on a prepared dataset, or several avatars beside each other, a dataset each."""

    datasets: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(name="dataset")]
    """Folders that `gstalker prepare` wrote, one or more."""
    out: Path
    """Folder of the run: settings, checkpoints, metrics, previews. With several datasets, the folder of the runs, each
    under its dataset's name."""
    preset: Literal["preview", "fine", "full", "demo"] = "preview"
    """preview: four minutes on two CPU cores at 256 x 256. fine: a quarter of an hour there, for an avatar to keep.
    full: a CUDA GPU at 512 x 512. demo: half a minute of a made character."""
    device: Literal["cpu", "cuda"] | None = None
    """Where to train; the preset's own choice if not given."""
    seed: int = 0
    """Seed of everything random."""
    steps: int | None = None
    """Steps of both stages together instead of the preset's; the stages keep their proportion."""
    precision: Literal["float32", "bfloat16"] | None = None
    """Of the deformation and torso fields' networks; all else is float32. On the CPU float32 if not given."""
    batch_frames: int | None = None
    """Frames averaged in one step, drawn in one call on a GPU; the preset's own if not given."""
    triplane: Literal["portable", "tinycudann"] = "portable"
    """What computes the tri-plane on a GPU; tinycudann has to be built, and the run is the same."""
    hears: Literal["log_mel", "moonshine", "onnx"] = "log_mel"
    """What listens. log_mel: trained from nothing, streams, goes into bundles. moonshine: a pretrained encoder out of
    the package moonshine-voice. onnx: your own, --audio-model. The last two cannot be exported."""
    audio_model: Path | None = None
    """For --hears onnx: HuBERT, wav2vec 2.0, DeepSpeech or the like as ONNX, its settings beside it as .json."""
    lookahead_ms: int | None = None
    """How far ahead the log-mel encoder hears, a multiple of 40 ms; 240 if not given, and more where it smooths. Less
    makes live speech prompter and lips worse."""
    smoothing_frames: int | None = None
    """Video frames over which an attention smooths what the log-mel encoder heard, as the paper does over 8; 1, none,
    if not given. Smoothed lips are calmer than real ones."""
    lpips_weights: Path | None = None
    """AlexNet LPIPS weights, lpips_alex.npz, for presets with a perceptual loss; otherwise from $GSTALKER_MODELS."""
    resume: bool = False
    """Go on with the run in --out from its newest checkpoint, with the settings it was started with. With several
    datasets: finished runs are left alone, interrupted ones go on, the others begin."""
    workers: int | None = None
    """Several datasets: how many train at once, each on one GPU or on one set of cores; if not given, as many as there
    are. Given with one dataset, --out is the folder of the runs as well."""
    through: Literal["processes", "ray"] = "processes"
    """Several datasets: what starts them. ray: the package of that name, 'gstalker[ray]'."""

    def run(self) -> int | None:
        from gstalker.runtime.evaluate.find_models import find_lpips_weights
        from gstalker.runtime.train.config import PRESETS
        from gstalker.runtime.train.device import training_device

        if not self.datasets:
            raise InputError("DATASET: expected at least one folder that `gstalker prepare` wrote, got none.")
        config = PRESETS[self.preset]
        config = dataclasses.replace(config, seed=self.seed, device=self.device or config.device)
        precision = self.precision or ("float32" if config.device == "cpu" else config.on_device.precision)
        on_device = dataclasses.replace(config.on_device, precision=precision, triplane=self.triplane)
        batch = config.batch_frames if self.batch_frames is None else self.batch_frames
        config = dataclasses.replace(config, on_device=on_device, batch_frames=batch)
        config = config.with_hearing(self.hears, self.audio_model)
        if self.smoothing_frames is not None:
            config = config.with_smoothing(self.smoothing_frames)
        if self.lookahead_ms is not None:
            config = config.with_lookahead(self.lookahead_ms)
        if self.steps is not None:
            config = config.with_steps(self.steps)
        training_device(config.device)  # complain before anything slow happens
        lpips_weights = find_lpips_weights(self.lpips_weights)
        if len(self.datasets) == 1 and not self.workers:
            return self._one(config, lpips_weights)
        return self._many(config, lpips_weights)

    def _one(self, config: TrainConfig, lpips_weights: Path | None) -> int | None:
        from gstalker.cli.progress import RichProgress
        from gstalker.runtime.train.loop import TrainingStopped, train

        try:
            with interrupt_is_a_wish() as stop, RichProgress() as progress:
                train(
                    *(self.datasets[0], self.out, config, progress),
                    resume=self.resume,
                    lpips_weights=lpips_weights,
                    stop=stop,
                )
        except TrainingStopped as stopped:
            print(f"stopped {stopped}")
            return EXIT_INTERRUPTED
        print(f"run written to {self.out}")
        return None

    def _many(self, config: TrainConfig, lpips_weights: Path | None) -> int:
        from gstalker.cli.train_table import TrainTable
        from gstalker.runtime.train.many.ray_workers import RayWorkers
        from gstalker.runtime.train.many.schedule import plan, run_all
        from gstalker.runtime.train.many.workers import ProcessWorkers, places, usable_cores, usable_gpus

        rows = plan(self.datasets, self.out, config, resume=self.resume, lpips_weights=lpips_weights)
        jobs = sum(row.job is not None for row in rows)
        if jobs == 0:
            print(f"nothing to do: all {len(rows)} runs in {self.out} are finished")
            return EXIT_OK
        try:
            divided = places(self.workers, jobs, usable_cores(), usable_gpus(), config.device == "cuda")
        except ValueError as error:
            raise InputError(f"--workers: {error}") from error
        kind = RayWorkers if self.through == "ray" else ProcessWorkers
        with TrainTable() as table:
            interrupted = run_all(rows, kind(divided), table.show)
        failed = [row.name for row in rows if row.status.state == "failed"]
        if interrupted:
            print(f"stopped; --resume goes on with what is in {self.out}")
            return EXIT_INTERRUPTED
        if failed:
            print(
                f"{len(failed)} of {len(rows)} failed: {', '.join(failed)}; logs are in {rows[0].run.parent / 'jobs'}"
            )
            return EXIT_FAILED
        print(f"{len(rows)} runs written to {self.out}")
        return EXIT_OK


@contextmanager
def interrupt_is_a_wish() -> Iterator[Callable[[], bool]]:
    """Within it, the first Ctrl-C asks training to stop between two steps; the second interrupts at once."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    # A shell's background jobs ignore Ctrl-C, and go on doing so.
    if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
        yield asked.is_set
        return
    signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
