"""Several avatars: what is trained, in which order, and what the table says of those that fail or stop."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from made_dataset import MadeSpeaker, write_made_dataset
from rich.console import Console

from gstalker.cli.train_table import TrainTable
from gstalker.runtime.errors import InputError
from gstalker.runtime.model import trained_run
from gstalker.runtime.train.config import PRESETS, InitConfig, PretrainConfig, TrainConfig
from gstalker.runtime.train.many import job as jobs
from gstalker.runtime.train.many.job import Job, Status, StopSign, read_status
from gstalker.runtime.train.many.ray_workers import RayWorkers
from gstalker.runtime.train.many.schedule import Row, plan, run_all
from gstalker.runtime.train.many.workers import Place, ProcessWorkers, Workers, places


def tiny(steps: int = 8) -> TrainConfig:
    config = dataclasses.replace(
        PRESETS["preview"],
        init=InitConfig(head_count=150, torso_count=60),
        pretrain=PretrainConfig(steps=4, clips_per_step=2),
        preview_every=10_000,
        checkpoint_every=10_000,
    )
    return config.with_steps(steps)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("made")
    speakers = {f"speaker{i}": MadeSpeaker(size_px=48, seconds=0.6, seed=i) for i in (0, 10)}
    return [write_made_dataset(folder / name, speaker) for name, speaker in speakers.items()]


class Acted:
    """Workers that do what a play says, one line a look."""

    def __init__(self, count: int, play: dict[str, list[Status | str]], deaf: bool = False) -> None:
        self._deaf = deaf
        self.places = [Place((index,)) for index in range(count)]
        self._play = play
        self._jobs: dict[str, Job] = {}
        self.started: list[tuple[str, Place]] = []
        self.most_at_once = 0
        self.closed = False

    def start(self, job: Job, place: Place) -> None:
        self._jobs[job.name] = job
        self.started.append((job.name, place))
        self.most_at_once = max(self.most_at_once, len(self._jobs))

    def ended(self) -> dict[str, str]:
        over = {}
        for name, job in list(self._jobs.items()):
            line: Status | str = self._play[name].pop(0)
            if job.stop_file.exists() and not self._deaf:
                line = Status("stopped", 3, 8, text="at step 3 of 8")
            if isinstance(line, str):
                over[name] = line
            else:
                job.status_file.write_text(json.dumps(dataclasses.asdict(line)))
                if line.ended:
                    over[name] = "its process ended with code 0"
            if name in over:
                del self._jobs[name]
        return over

    def close(self) -> None:
        self.closed = True


DONE, BUSY = Status("done", 8, 8), Status("training", 4, 8, 2.0, "loss 0.1")


def run_acted(rows: list[Row], workers: Workers, show: Callable[[list[Row]], None] = lambda rows: None) -> bool:
    return run_all(rows, workers, show, poll_s=0.0)


def test_a_failing_avatar_does_not_stop_the_others_and_the_table_says_why(tmp_path: Path):
    rows = plan([tmp_path / n for n in "abcd"], tmp_path / "out", tiny(), resume=False)
    failed = Status("failed", text="b: expected a dataset, found none.")
    workers = Acted(
        2, {"a": [BUSY, BUSY, DONE], "b": [failed], "c": [BUSY, "its process ended with code -9"], "d": [DONE]}
    )
    text = io.StringIO()
    with TrainTable(Console(file=text, width=160)) as table:
        assert not run_acted(rows, workers, table.show)
    assert [row.status.state for row in rows] == ["done", "failed", "failed", "done"]
    assert [name for name, _ in workers.started] == ["a", "b", "c", "d"]
    assert workers.most_at_once == 2
    assert {place.cores for _, place in workers.started} == {(0,), (1,)}
    assert workers.closed
    said = text.getvalue()
    assert "b: expected a dataset, found none." in said
    assert "its process ended with code -9, see" in said
    assert "a: training on core 0" in said


def test_an_interrupt_lets_jobs_write_their_checkpoints_and_starts_no_more(tmp_path: Path):
    rows = plan([tmp_path / n for n in "abc"], tmp_path / "out", tiny(), resume=False)
    workers = Acted(2, {"a": [BUSY] * 9, "b": [BUSY] * 9, "c": [DONE]})
    looks = 0

    def interrupt_once(rows: list[Row]) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise KeyboardInterrupt

    assert run_acted(rows, workers, interrupt_once)
    assert [row.status.state for row in rows] == ["stopped", "stopped", "waiting"]
    assert rows[0].status.text == "at step 3 of 8"
    assert workers.closed


def test_a_second_interrupt_ends_them_as_they_are(tmp_path: Path):
    rows = plan([tmp_path / "a"], tmp_path / "out", tiny(), resume=False)
    workers = Acted(1, {"a": [BUSY] * 9}, deaf=True)
    looks = 0

    def interrupt(rows: list[Row]) -> None:
        nonlocal looks
        looks += 1
        if looks < 3:
            raise KeyboardInterrupt

    assert run_acted(rows, workers, interrupt)
    assert workers.closed
    assert rows[0].status.text == "ended before it had stopped by itself"


@pytest.mark.parametrize("kind", ["processes", "ray"])
def test_two_avatars_train_beside_each_other_and_a_second_call_finds_them_finished(
    datasets: list[Path], tmp_path: Path, kind: str
):
    if kind == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed: pip install 'gstalker[ray]'")
    wanted = [*datasets, tmp_path / "none"]
    rows = plan(wanted, tmp_path / "out", tiny(), resume=False)
    divided = [Place(threads=1), Place(threads=1)]
    workers: Workers = RayWorkers(divided) if kind == "ray" else ProcessWorkers(divided)
    mine = psutil.Process()
    listening: set[str] = set()

    def look(rows: list[Row]) -> None:
        for child in mine.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                listening.update(c.laddr.ip for c in child.net_connections("inet") if c.status == psutil.CONN_LISTEN)

    assert not run_all(rows, workers, look)
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, "Ray is to listen on loopback alone"
    assert bool(listening) == (kind == "ray")
    states = {row.name: row.status for row in rows}
    for name in ("speaker0", "speaker10"):
        assert states[name].state == "done", states[name]
        assert trained_run.load_run(tmp_path / "out" / name).step == 8
    assert states["none"].state == "failed"
    assert "none" in states["none"].text
    assert not [p for p in mine.children(recursive=True) if "gstalker" in " ".join(p.cmdline())]

    again = plan(wanted, tmp_path / "out", tiny(), resume=True)
    assert [(row.job is None, row.status.state) for row in again] == [
        (True, "finished before"), (True, "finished before"), (False, "waiting"),
    ]  # fmt: skip


def test_a_job_stops_with_a_checkpoint_and_goes_on_from_it(datasets: list[Path], tmp_path: Path, monkeypatch):
    """In this process; the stop sign is looked at before every step, so that it is seen at the third."""
    (row,) = plan(datasets[:1], tmp_path / "out", tiny(), resume=False)
    assert row.job is not None
    row.job.notes.mkdir(parents=True)
    monkeypatch.setattr(jobs, "LOOK_EVERY_S", 0.0)
    real, stop_file = jobs.FileProgress.advance, row.job.stop_file

    def stop_at_three(progress: jobs.FileProgress, text: str) -> None:
        real(progress, text)
        if progress._status.state == "training" and progress._status.step == 3:
            stop_file.touch()

    monkeypatch.setattr(jobs.FileProgress, "advance", stop_at_three)
    monkeypatch.setattr(jobs.signal, "signal", lambda *a: None)
    assert jobs.run_job(row.job).state == "stopped"
    status = read_status(row.job.status_file)
    assert status is not None
    assert (status.state, status.step, status.steps) == ("stopped", 3, 8)
    with pytest.raises(InputError, match="holds an unfinished run"):
        plan(datasets[:1], tmp_path / "out", tiny(), resume=False)
    (again,) = plan(datasets[:1], tmp_path / "out", tiny(), resume=True)
    assert again.job is not None
    assert again.job.resume
    assert again.status.step == 3
    stop_file.unlink()
    monkeypatch.setattr(jobs.FileProgress, "advance", real)
    assert jobs.run_job(again.job).state == "done"
    assert "resumed at step 3 of 8" in again.job.log_file.read_text()


def test_a_job_ends_when_its_scheduler_is_gone(tmp_path: Path):
    (row,) = plan([tmp_path / "a"], tmp_path / "out", tiny(), resume=False)
    assert row.job is not None
    assert not StopSign(row.job)()
    gone = dataclasses.replace(row.job, scheduler=(row.job.scheduler[0], row.job.scheduler[1] - 60))
    assert StopSign(gone)(), "a process id that was given again is another process"
    assert Job.from_json(row.job.to_json()) == row.job


def test_names_that_clash_and_runs_with_other_settings_are_refused(datasets: list[Path], tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="runs are named by their dataset's folder, and 'a' is taken"):
        plan([tmp_path / "x" / "a", tmp_path / "y" / "a"], out, tiny(), resume=False)
    with pytest.raises(InputError, match="'jobs' is taken"):
        plan([tmp_path / "jobs"], out, tiny(), resume=False)
    (row,) = plan(datasets[:1], out, tiny(), resume=False)
    assert row.job is not None
    row.job.notes.mkdir(parents=True)
    from helpers.random_run import write_random_run

    write_random_run(row.run)
    with pytest.raises(InputError, match=r"expected a run with preset, seed and steps \('preview', 0, 8\), found one"):
        plan(datasets[:1], out, tiny(), resume=True)
    shutil.rmtree(row.run)


def test_the_machine_is_divided_into_sets_of_cores_or_gpus():
    two = places(None, 2, [0, 1, 2, 3], 0, False)
    assert [(p.cores, p.threads, p.gpu) for p in two] == [((0, 1), 2, None), ((2, 3), 2, None)]
    assert [str(p) for p in places(None, 9, [4, 5], 0, False)] == ["core 4", "core 5"]
    assert [(str(p), p.threads) for p in places(None, 9, list(range(16)), 2, True)] == [("GPU 0", 8), ("GPU 1", 8)]
    with pytest.raises(ValueError, match="expected 1 to 2 workers, one for each of the 2 cores, got 3"):
        places(3, 9, [0, 1], 0, False)


def test_without_ray_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"--through ray: expected the package ray, .*pip install 'gstalker\[ray\]'"):
        RayWorkers([Place()])
