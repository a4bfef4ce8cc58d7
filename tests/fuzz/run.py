"""The fuzzing campaign: damaged messages, requests, datagrams, bundles, sessions and keys, each judged and measured.

    PYTHONPATH=tests python -m fuzz.run                          the full run: figures for docs/results.md
    PYTHONPATH=tests python -m fuzz.run --seconds 12             the short one of the tests
    PYTHONPATH=tests python -m fuzz.run --only bundles --seed 3 --first 123 --count 1       one case again

A case fails where anything but the project's own refusals is raised, where it takes longer or allocates more than its
cap. Besides, the process may not grow beyond HEADROOM_BYTES of address space, where the system can hold it to that.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fuzz.bundle_cases import Opening
from fuzz.campaign import Report, Target, run_campaign
from fuzz.file_cases import Keys, Reading
from fuzz.input_cases import Datagrams
from fuzz.message_cases import Decoding, Handling

from gstalker.bridge import schema
from gstalker.bridge.server.logs import configure_logs

HEADROOM_BYTES = 1 << 30

Maker = Callable[[Path], Target]
# Name, how many cases make a full run, and what makes the target in a scratch folder.
TARGETS: tuple[tuple[str, int, Maker], ...] = (
    ("control messages", 550_000, lambda folder: Decoding("control messages", schema.Request, schema.Answer)),
    ("frames and sound", 500_000, lambda folder: Decoding("frames and sound", schema.Publication)),
    ("requests", 80_000, lambda folder: Handling()),
    ("bundles", 10_500, Opening),
    ("tracker datagrams", 150_000, lambda folder: Datagrams()),
    ("sessions", 5_000, Reading),
    ("keys", 3_000, Keys),
)


def main() -> int:
    """Run what was asked for; 1 where something failed."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzz.run", description="Damaged input of every kind, judged and measured."
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="share this time among the targets instead of counting cases")
    parser.add_argument("--only", action="append", choices=[name for name, _, _ in TARGETS])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int)
    arguments = parser.parse_args()
    chosen = [t for t in TARGETS if arguments.only is None or t[0] in arguments.only]
    reports: list[Report] = []
    with tempfile.TemporaryDirectory() as scratch, Path(os.devnull).open("w") as nowhere:
        configure_logs(nowhere, json_lines=True)  # what is refused is logged, and the log must bear it
        for name, full_count, make in chosen:
            folder = Path(scratch) / name
            folder.mkdir()
            target = make(folder)
            seconds = float("inf") if arguments.seconds is None else arguments.seconds / len(chosen)
            with _Walls():
                count = arguments.count or (full_count if arguments.seconds is None else 10**9)
                reports.append(run_campaign(target, count, arguments.seed, arguments.first, seconds))
            print(reports[-1].line(), flush=True)
    cases, failed = sum(r.cases for r in reports), sum(r.failure_count for r in reports)
    print(f"{cases:,} cases, {failed} failures, seed {arguments.seed}, {time.strftime('%Y-%m-%d')}")
    return 1 if failed else 0


class _Walls:
    """While it is entered, the process cannot get more than HEADROOM_BYTES of address space beyond what it has."""

    def __enter__(self) -> None:
        self._before: tuple[int, int] | None = None
        if sys.platform != "linux":
            return
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        self._before = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * os.sysconf("SC_PAGE_SIZE") + HEADROOM_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, self._before[1]))

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_AS, self._before)


if __name__ == "__main__":
    sys.exit(main())
