"""Timing programs against each other fairly: each in a process of its own, a few frames by turns, medians.

In one process the pools of idle threads of one library disturb the other; one after the other, a machine that gets
busy in between decides who wins.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

READY_S = 300.0  # a first start may compile, on a busy machine
BETWEEN_TURNS_S = 0.02  # the last one's threads fall asleep

Frame = Callable[[], dict[str, float]]
"""One frame: milliseconds of each of its steps, by name."""


class Contender:
    """The process of one contender, seen from the one that measures."""

    def __init__(self, name: str, command: Sequence[str], threads: int) -> None:
        """Start `command`, which must call `serve_turns`."""
        counted = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(counted, str(threads))}
        self.name = name
        self._process = subprocess.Popen(
            [*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ready(self) -> dict[str, Any]:
        """What it says of itself once it can begin.

        Raises:
            RuntimeError: it ended instead.
        """
        return self._answer()

    def turn(self, frames: int) -> list[dict[str, float]]:
        """Run some frames now."""
        stdin = self._process.stdin
        assert stdin is not None  # a pipe
        stdin.write(f"{frames}\n")
        stdin.flush()
        return self._answer()["frames"]

    def _answer(self) -> Any:
        stdout = self._process.stdout
        assert stdout is not None  # a pipe
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: its process ended with code {self._process.wait(timeout=10)}.")
        return json.loads(line)

    def end(self) -> None:
        """Let it go."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # pipes
        assert stdout is not None
        try:
            stdin.close()
            self._process.wait(timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(timeout=10)
        stdout.close()


@contextmanager
def contenders(commands: Mapping[str, Sequence[str]], threads: int) -> Iterator[dict[str, Contender]]:
    """Start one process a command; all are ended."""
    with ExitStack() as ending:
        started = {}
        for name, command in commands.items():
            started[name] = Contender(name, command, threads)
            ending.callback(started[name].end)
        yield started


def measured(started: dict[str, Contender], cycles: int, frames: int) -> dict[str, dict[str, float]]:
    """Median milliseconds of every step of every contender: the median over cycles of the medians of turns.

    Every cycle lets each contender run `frames` frames, in an order that moves on by one from cycle to cycle.
    """
    names = list(started)
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for cycle in range(cycles):
        for k in range(len(names)):
            name = names[(cycle + k) % len(names)]
            time.sleep(BETWEEN_TURNS_S)
            turns[name].append(medians(started[name].turn(frames)))
    return {name: medians(rows) for name, rows in turns.items()}


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Median of every column."""
    return {step: statistics.median(row[step] for row in rows) for step in rows[0]}


def serve_turns(about: dict[str, Any], frame: Frame) -> None:
    """The other side: say `about`, then run as many frames as each line of standard input asks for, until it ends."""
    frame()  # what loads or compiles lazily does so here
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        print(json.dumps({"frames": [frame() for _ in range(int(line))]}), flush=True)
