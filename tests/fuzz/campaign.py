"""Runs many damaged cases through one entry of the program and judges each: what it raised, took and allocated."""

from __future__ import annotations

import faulthandler
import random
import sys
import time
import traceback
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

BATCH = 16  # cases that are made before they are run
HANG_S = 120.0  # wall clock without a sign of life: the process says where it stands and ends
MOST_FAILURES = 5  # different ones are shown


class Target(Protocol):
    """An entry of the program and how to damage what goes in.

    Attributes:
        name: for the report.
        refusals: the only exceptions it may raise.
        most_s: processor time that one case may take.
    """

    name: str
    refusals: tuple[type[Exception], ...]
    most_s: float

    def make(self, rng: random.Random) -> Any:
        """A damaged input."""
        ...

    def run(self, case: Any) -> str:
        """Put it in; a word for what came of it."""
        ...

    def most_bytes(self, case: Any) -> int:
        """How much memory the case may have allocated at once, beyond what was there before."""
        ...


@dataclass
class Report:
    """What a campaign found."""

    name: str
    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0
    slowest_s: float = 0.0
    largest_bytes: int = 0
    fullest: float = 0.0  # largest share of its own cap that a case allocated
    failures: dict[str, str] = field(default_factory=dict)  # what failed where -> how to see it again
    failure_count: int = 0

    def line(self) -> str:
        """For a person."""
        outcomes = ", ".join(f"{count:,} {word}" for word, count in self.outcomes.most_common())
        return (
            f"{self.name}: {self.cases:,} cases in {self.wall_s:.0f} s ({outcomes}); "
            f"slowest {1e3 * self.slowest_s:.1f} ms, largest allocation {self.largest_bytes / 1e6:.2f} MB "
            f"({100 * self.fullest:.0f} % of its cap); "
            f"{self.failure_count} failures"
        )


def run_campaign(target: Target, count: int, seed: int, first: int = 0, seconds: float = float("inf")) -> Report:
    """Run cases first, first + 1, ... of a seed; fewer where the time is up."""
    report, began = Report(target.name), time.perf_counter()
    for start in range(first, first + count, BATCH):
        if time.perf_counter() - began > seconds:
            break
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        numbers = range(start, min(start + BATCH, first + count))
        cases = [target.make(random.Random(seed << 40 | number)) for number in numbers]
        tracemalloc.start(1)  # only now: it makes the damaging itself ten times slower
        try:
            for number, case in zip(numbers, cases, strict=True):
                _run_case(target, case, seed, number, report)
        finally:
            tracemalloc.stop()
    faulthandler.cancel_dump_traceback_later()
    report.wall_s = time.perf_counter() - began
    return report


def _run_case(target: Target, case: Any, seed: int, number: int, report: Report) -> None:
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    began = time.thread_time()
    try:
        outcome = target.run(case)
    except target.refusals:
        outcome = "refused"
    except Exception as error:  # what this looks for
        outcome = "failed"
        _note(report, target, number, seed, _place_of(error), "".join(traceback.format_exception(error)))
    took_s = time.thread_time() - began
    allocated, most = tracemalloc.get_traced_memory()[1] - before, target.most_bytes(case)
    report.cases += 1
    report.outcomes[outcome] += 1
    report.slowest_s = max(report.slowest_s, took_s)
    report.largest_bytes = max(report.largest_bytes, allocated)
    report.fullest = max(report.fullest, allocated / most)
    if took_s > target.most_s:
        _note(report, target, number, seed, "too slow", f"took {took_s:.2f} s of {target.most_s:g}")
    if allocated > most:
        _note(report, target, number, seed, "too much memory", f"allocated {allocated:,} bytes of {most:,}")


def _note(report: Report, target: Target, number: int, seed: int, what: str, detail: str) -> None:
    report.failure_count += 1
    if what not in report.failures and len(report.failures) < MOST_FAILURES:
        again = f"python -m fuzz.run --only {target.name!r} --seed {seed} --first {number} --count 1"
        report.failures[what] = f"{target.name}, case {number}: {what}\n{detail}\n  again: {again}\n"
        print(report.failures[what], file=sys.stderr, flush=True)


def _place_of(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno}" if frames else type(error).__name__
