"""One avatar's training as a job: what it is told, in a file; how it fares, in another; run by whatever has a worker.

A job stops between two steps, with a checkpoint, once the stop file is there or the scheduler is gone: so neither an
interrupt nor a scheduler that was killed leaves trainings behind that nobody watches.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from gstalker.runtime.errors import InputError
from gstalker.runtime.model.settings import config_from_json
from gstalker.runtime.train.config import TrainConfig

REPORT_EVERY_S = 0.5
LOOK_EVERY_S = 0.5
ENDED = ("done", "failed", "stopped")


@dataclass(frozen=True)
class Job:
    """What a worker is told.

    Attributes:
        name: of the run, and of the job's files.
        dataset, run: folders.
        notes: folder of the job's files.
        config: settings of the training.
        resume: go on with what is in `run`.
        lpips_weights: lpips_alex.npz, if there is one.
        stop_file: once it exists, the job ends.
        scheduler: process id, and when that process began (s since 1970).
        cores: processors it may use; all if empty.
    """

    name: str
    dataset: Path
    run: Path
    notes: Path
    config: TrainConfig
    resume: bool
    lpips_weights: Path | None
    stop_file: Path
    scheduler: tuple[int, float]
    cores: tuple[int, ...] = ()

    @property
    def status_file(self) -> Path:
        """Where the job says how it fares."""
        return self.notes / f"{self.name}.status.json"

    @property
    def log_file(self) -> Path:
        """What it would say on a terminal."""
        return self.notes / f"{self.name}.log"

    def to_json(self) -> str:
        """For another process."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["config"] = dataclasses.asdict(self.config)
        return json.dumps({name: str(v) if isinstance(v, Path) else v for name, v in fields.items()})

    @staticmethod
    def from_json(text: str) -> Job:
        """What `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        fields["config"] = config_from_json(TrainConfig, fields["config"], "job")
        for name in ("dataset", "run", "notes", "stop_file", "lpips_weights"):
            fields[name] = None if fields[name] is None else Path(fields[name])
        return Job(**{**fields, "scheduler": tuple(fields["scheduler"]), "cores": tuple(fields["cores"])})


@dataclass(frozen=True)
class Status:
    """How a job fares."""

    state: str  # the stage's name, or one of ENDED
    step: int = 0
    steps: int = 0
    left_s: float | None = None  # of this stage
    text: str = ""  # loss and the like; of a failed job the reason

    @property
    def ended(self) -> bool:
        return self.state in ENDED


def read_status(path: Path) -> Status | None:
    """The newest status, or None if there is none that can be read at this moment."""
    try:
        return Status(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class FileProgress:
    """`loop.Progress` into a status file and a log."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._status = Status("starting")
        self._stage_began = self._written = 0.0
        self._done_before = 0

    def stage(self, name: str, total: int, done: int = 0) -> None:
        """A new stage begins."""
        self._stage_began, self._done_before = time.monotonic(), done
        self._status = Status(name, done, total)
        self._write()

    def advance(self, text: str) -> None:
        """One step more."""
        s, now = self._status, time.monotonic()
        step = s.step + 1
        left_s = (now - self._stage_began) / max(step - self._done_before, 1) * (s.steps - step)
        self._status = dataclasses.replace(s, step=step, text=text, left_s=left_s)
        if now - self._written >= REPORT_EVERY_S:
            self._write()

    def say(self, text: str) -> None:
        """A line for the log."""
        with self._job.log_file.open("a", encoding="utf-8") as log:
            log.write(text + "\n")

    def end(self, state: str, text: str) -> None:
        """The last status."""
        self._status = dataclasses.replace(self._status, state=state, text=text, left_s=None)
        for _ in range(20):
            if self._write():
                return
            time.sleep(0.05)

    def _write(self) -> bool:
        path = self._job.status_file
        unfinished = path.with_suffix(".unfinished")
        self._written = time.monotonic()
        try:
            unfinished.write_text(json.dumps(dataclasses.asdict(self._status)), encoding="utf-8")
            os.replace(unfinished, path)
        except PermissionError:  # on Windows, while somebody reads it
            return False
        return True


class StopSign:
    """Whether a job should end; looks at most every LOOK_EVERY_S."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._looked = -LOOK_EVERY_S
        self._seen = False

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._seen and now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._seen = self._job.stop_file.exists() or not process_lives(*self._job.scheduler)
        return self._seen


def process_lives(pid: int, began_s: float) -> bool:
    """Whether that very process is still there: numbers are given again."""
    try:
        return abs(psutil.Process(pid).create_time() - began_s) < 1.0
    except psutil.NoSuchProcess:
        return False


def this_process() -> tuple[int, float]:
    """Its id and when it began."""
    return os.getpid(), psutil.Process().create_time()


def run_job(job: Job) -> Status:
    """Train; whatever happens ends in the status file."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the scheduler hears it and decides
    progress = FileProgress(job)
    state, text = "done", ""
    try:
        if job.cores and hasattr(psutil.Process, "cpu_affinity"):
            psutil.Process().cpu_affinity(list(job.cores))
        from gstalker.runtime.train.loop import TrainingStopped, train

        try:
            train(
                *(job.dataset, job.run, job.config, progress),
                resume=job.resume,
                lpips_weights=job.lpips_weights,
                stop=StopSign(job),
            )
        except TrainingStopped as stopped:
            state, text = "stopped", str(stopped)
    except Exception as error:  # one line for the table, all of it for the log: others go on
        progress.say(traceback.format_exc())
        state = "failed"
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    progress.end(state, text)
    return Status(state, text=text)


if __name__ == "__main__":
    run_job(Job.from_json(Path(sys.argv[1]).read_text(encoding="utf-8")))
