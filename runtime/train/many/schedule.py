"""Many avatars one after the other in a few places: what is still to be trained, and the order of work."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gstalker.runtime.errors import InputError
from gstalker.runtime.model import trained_run
from gstalker.runtime.train.checkpoint import read_train_config
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.many.job import Job, Status, read_status, this_process
from gstalker.runtime.train.many.workers import Place, Workers

NOTES = "jobs"  # folder of the jobs' files, beside the runs
POLL_S = 0.2
STOP_S = 120.0  # what jobs get to write a checkpoint


@dataclass
class Row:
    """One avatar's line in the table."""

    name: str
    run: Path
    job: Job | None  # None: finished before
    status: Status = field(default_factory=lambda: Status("waiting"))
    place: Place | None = None  # while it runs


def plan(
    datasets: Sequence[Path], out: Path, config: TrainConfig, *, resume: bool, lpips_weights: Path | None = None
) -> list[Row]:
    """One run a dataset, in OUT under the dataset folder's name. Finished runs are left as they are.

    Raises:
        InputError: two datasets of one name; an unfinished run without `resume`; a run with other settings.
    """
    rows: list[Row] = []
    notes = out / NOTES
    for dataset in datasets:
        name = dataset.resolve().name
        run = out / name
        if name == NOTES or any(row.name == name for row in rows):
            raise InputError(
                f"{dataset}: runs are named by their dataset's folder, and {name!r} is taken. Rename the folder."
            )
        newest = trained_run.newest_checkpoint(run)
        step = 0 if newest is None else trained_run.checkpoint_step(newest)
        if newest is not None:
            theirs = read_train_config(run)
            before, asked = ((c.preset, c.seed, c.steps) for c in (theirs, config))
            if before != asked:
                raise InputError(
                    f"{run}: expected a run with preset, seed and steps {asked}, found one with {before}. "
                    "Give another --out."
                )
            if step >= theirs.steps:
                rows.append(Row(name, run, None, Status("finished before", step, theirs.steps)))
                continue
            if not resume:
                raise InputError(f"{run}: holds an unfinished run. Give --resume to go on with it, or another --out.")
        job = Job(name, dataset, run, notes, config, newest is not None, lpips_weights, notes / "stop", this_process())
        rows.append(Row(name, run, job, Status("waiting", step, config.steps)))
    return rows


def run_all(
    rows: list[Row],
    workers: Workers,
    show: Callable[[list[Row]], None],
    *,
    poll_s: float = POLL_S,
) -> bool:
    """Run every job, as many at once as there are places. One that fails does not stop the others.

    An interrupt asks all jobs to stop, which they do with a checkpoint; a second one ends them as they are.

    Args:
        rows: of `plan`; their status is kept up to date.
        workers: where jobs run; closed at the end.
        show: called with the rows whenever they were looked at.
        poll_s: seconds between two looks.

    Returns:
        whether an interrupt ended it.
    """
    waiting = [row for row in rows if row.job is not None]
    running: dict[str, Row] = {}
    free = list(workers.places)
    interrupted_at: float | None = None
    for row in waiting:
        assert row.job is not None
        row.job.notes.mkdir(parents=True, exist_ok=True)
        row.job.stop_file.unlink(missing_ok=True)
        row.job.status_file.unlink(missing_ok=True)
    try:
        while running or (waiting and interrupted_at is None):
            try:
                while waiting and free and interrupted_at is None:
                    row = waiting.pop(0)
                    row.place = free.pop(0)
                    running[row.name] = row
                    row.status = dataclasses.replace(row.status, state="starting")
                    assert row.job is not None
                    workers.start(row.job, row.place)
                _look(running, workers, free)
                show(rows)
                if interrupted_at is not None and time.monotonic() - interrupted_at > STOP_S:
                    break
                time.sleep(poll_s)
            except KeyboardInterrupt:
                if interrupted_at is not None:
                    break
                interrupted_at = time.monotonic()
                for row in running.values():
                    assert row.job is not None
                    row.job.stop_file.touch()
    finally:
        workers.close()
    for row in running.values():
        row.status = Status("failed", text="ended before it had stopped by itself")
    show(rows)
    return interrupted_at is not None


def _look(running: dict[str, Row], workers: Workers, free: list[Place]) -> None:
    over = workers.ended()  # asked before the files are read: the last status is written before the end
    for name, row in list(running.items()):
        assert row.job is not None
        row.status = read_status(row.job.status_file) or row.status
        if name in over:
            if not row.status.ended:
                row.status = Status(
                    "failed", row.status.step, row.status.steps, text=f"{over[name]}, see {row.job.log_file}"
                )
            assert row.place is not None
            free.append(row.place)
            row.place = None
            del running[name]
