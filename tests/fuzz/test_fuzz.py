"""The short part of the fuzzing campaign (`fuzz.run` is the whole), and that the campaign sees what it should."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fuzz.campaign import run_campaign
from fuzz.mutation import mutated

TESTS = Path(__file__).parents[1]


def test_damaged_messages_bundles_sessions_and_keys_are_refused_in_time_and_within_their_memory():
    environment = os.environ | {"PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.run", "--seconds", "12"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failures, seed 1" in done.stdout, done.stdout


class Faulty:
    """Stands for a part of the program; what it does wrong is its case."""

    name = "faulty"
    refusals: tuple[type[Exception], ...] = (ValueError,)
    most_s = 0.05

    def make(self, rng: random.Random) -> str:
        return self.fault

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def run(self, case: str) -> str:
        if case == "refuses":
            raise ValueError("no")
        if case == "crashes":
            raise KeyError("no")
        if case == "dawdles":
            until_s = time.thread_time() + 2 * self.most_s
            while time.thread_time() < until_s:
                pass
        if case == "hoards":
            bytes(20_000_000)
        return "taken"

    def most_bytes(self, case: str) -> int:
        return 1_000_000


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("nothing", None),
        ("refuses", None),
        ("crashes", "KeyError at"),
        ("dawdles", "too slow"),
        ("hoards", "too much memory"),
    ],
)
def test_the_campaign_sees_crashes_slowness_and_memory(fault: str, found: str | None):
    report = run_campaign(Faulty(fault), 2, seed=1)
    assert report.cases == 2
    assert report.failure_count == (0 if found is None else 2)
    assert [what.startswith(found or "") for what in report.failures] == [True] * (found is not None)


def test_the_same_seed_does_the_same_damage():
    data, others = bytes(range(256)), (b"other" * 50,)
    first = [mutated(random.Random(7 << 40 | i), data, others) for i in range(200)]
    assert first == [mutated(random.Random(7 << 40 | i), data, others) for i in range(200)]
    assert len(set(first)) > 150
