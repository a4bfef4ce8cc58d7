"""Where jobs run: what every kind of worker can do, and the kind that needs nothing else, processes of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Protocol

from gstalker.runtime.train.many.job import Job

END_S = 10.0  # what a process gets to end when it is told to
_NEW_PROCESS_GROUP = 0x200  # subprocess.CREATE_NEW_PROCESS_GROUP, which other systems do not define
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Place:
    """What one job gets: a GPU, or a set of cores."""

    cores: tuple[int, ...] = ()  # processors by number; empty leaves them to the system
    threads: int = 1
    gpu: int | None = None

    def __str__(self) -> str:
        if self.gpu is not None:
            return f"GPU {self.gpu}"
        return "core " + ", ".join(map(str, self.cores)) if self.cores else f"{self.threads} threads"


def places(workers: int | None, jobs: int, cores: list[int], gpus: int, on_gpu: bool) -> list[Place]:
    """Divide this machine: one GPU a job, or its cores in sets of one size.

    Args:
        workers: how many jobs run at once; None: as many as there are GPUs, or cores, or jobs if fewer.
        jobs: how many there are.
        cores: numbers of the processors that may be used.
        gpus: how many there are.
        on_gpu: whether jobs train on one.

    Raises:
        ValueError: not even one worker fits.
    """
    most = gpus if on_gpu else len(cores)
    count = min(workers or jobs, jobs, most)
    if count < 1 or (workers is not None and workers > most):
        what = "GPUs" if on_gpu else "cores"
        raise ValueError(f"expected 1 to {most} workers, one for each of the {most} {what}, got {workers or jobs}.")
    share = len(cores) // count or 1
    if on_gpu:
        return [Place(threads=share, gpu=index) for index in range(count)]
    return [Place(tuple(cores[index * share : (index + 1) * share]), share) for index in range(count)]


def usable_cores() -> list[int]:
    """Numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def usable_gpus() -> int:
    """How many CUDA devices there are; asking takes none of them."""
    import torch

    return torch.cuda.device_count()


class Workers(Protocol):
    """A kind of worker. It runs at most as many jobs as it has places, each in a process of its own."""

    places: list[Place]

    def start(self, job: Job, place: Place) -> None:
        """Run a job; returns at once."""
        ...

    def ended(self) -> dict[str, str]:
        """Jobs that are no longer running, each with how its process ended; every job is named once."""
        ...

    def close(self) -> None:
        """End what still runs, at once, and give everything back."""
        ...


class ProcessWorkers:
    """Each job is `python -m gstalker.runtime.train.many.job`."""

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, job: Job, place: Place) -> None:
        """Run a job; returns at once."""
        job = replace(job, cores=place.cores)
        told = job.notes / f"{job.name}.job.json"
        told.write_text(job.to_json(), encoding="utf-8")
        environment = {**os.environ, **dict.fromkeys(THREADS, str(place.threads))}
        if place.gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = str(place.gpu)
        # A group of its own, so that an interrupt at the terminal reaches the scheduler alone.
        windows = os.name == "nt"
        with job.log_file.open("ab") as log:
            self._running[job.name] = subprocess.Popen(
                [sys.executable, "-m", "gstalker.runtime.train.many.job", str(told)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment,
                start_new_session=not windows, creationflags=_NEW_PROCESS_GROUP if windows else 0,
            )  # fmt: skip

    def ended(self) -> dict[str, str]:
        """Jobs that are no longer running, each with how its process ended."""
        over = {
            name: f"its process ended with code {p.poll()}" for name, p in self._running.items() if p.poll() is not None
        }
        for name in over:
            del self._running[name]
        return over

    def close(self) -> None:
        """End what still runs."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(timeout=END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
