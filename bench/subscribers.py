"""Do subscribers that never read make the others late? Forty that read, with and without ten that do not, by turns."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gstalker.bench.serving.repeated_avatar import write_repeated
from gstalker.bench.serving.server_process import ServerProcess, served
from gstalker.bridge.client.client import AvatarClient
from gstalker.bridge.web.demo_avatar import demo_avatar

READERS, SLEEPERS = 40, 10
RISE_TARGET_MS = 5.0
PROGRAM = "gstalker.bench.serving.many_subscribers"


def run(
    optional_bundle: Path | None = None, gaussians: int = 10_000, seconds: float = 60.0, cycles: int = 3
) -> dict[str, Any]:
    """Serve an avatar to forty subscribers, and every other time to ten more that never read.

    Args:
        optional_bundle: the avatar whose Gaussians are repeated; the demo character if not given.
        gaussians: how many it shall have.
        seconds: how long altogether; cycles: how often each of the two is measured.

    Raises:
        RuntimeError: the server or a subscriber ended badly.
    """
    source = optional_bundle or demo_avatar()[0]
    late: dict[str, list[np.ndarray]] = {"alone": [], "with_sleepers": []}
    with tempfile.TemporaryDirectory() as folder:
        bundle = write_repeated(source, gaussians, Path(folder) / "measured.gsavatar")
        with served([str(bundle), "--start", "now"]) as server:
            for _ in range(cycles):
                late["alone"].append(_turn(server, seconds / (2 * cycles), sleepers=0))
                late["with_sleepers"].append(_turn(server, seconds / (2 * cycles), sleepers=SLEEPERS))
            with AvatarClient(server.address) as client:
                stats = client.stats()
    p99_ms = {name: float(np.median([np.percentile(t, 99) for t in turns])) for name, turns in late.items()}
    rise_ms = p99_ms["with_sleepers"] - p99_ms["alone"]
    return {
        "readers": READERS,
        "never_reading": SLEEPERS,
        "gaussians": gaussians,
        "cycles": cycles,
        "frames_a_turn": float(np.median([len(t) for turns in late.values() for t in turns])) / READERS,
        "p99_late_ms_alone": p99_ms["alone"],
        "p99_late_ms_with_sleepers": p99_ms["with_sleepers"],
        "rise_ms": rise_ms,
        "rise_target_ms": RISE_TARGET_MS,
        "reached": rise_ms < RISE_TARGET_MS,
        "server_frames_dropped": stats.frames_dropped,
    }


def _turn(server: ServerProcess, seconds: float, sleepers: int) -> np.ndarray:
    """How late frames came to the readers, ms."""
    with contextlib.ExitStack() as stack:
        if sleepers:
            stack.enter_context(_subscribers(server, sleepers, "no"))
        readers = stack.enter_context(_subscribers(server, READERS, "yes"))
        time.sleep(seconds)
        said, _ = readers.communicate("")
        if readers.returncode:
            raise RuntimeError(f"subscribers: expected them to end well, got exit code {readers.returncode}.")
    return np.array(json.loads(said.splitlines()[-1]))


@contextlib.contextmanager
def _subscribers(server: ServerProcess, count: int, reads: str) -> Iterator[subprocess.Popen[str]]:
    host, _, port = server.address.removeprefix("tcp://").rpartition(":")
    words = [host, str(int(port) + 1), "1", str(count), reads]
    process = subprocess.Popen(
        [sys.executable, "-m", PROGRAM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"subscribers: expected {count} to connect, they ended.")
        yield process
    finally:
        process.kill()
        process.wait()
