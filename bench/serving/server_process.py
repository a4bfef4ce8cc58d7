"""A real `gstalker serve` in a process of its own, watched from outside: processor time, memory, open files."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from gstalker.bridge.free_port import free_port

START_S = 120.0  # a first start may compile


@dataclass(frozen=True)
class ServerProcess:
    """A server that answers."""

    address: str
    process: subprocess.Popen[str]
    watched: psutil.Process

    def cpu_s(self) -> float:
        """Processor seconds of all its threads so far."""
        times = self.watched.cpu_times()
        return times.user + times.system

    def memory_mb(self) -> float:
        """Resident memory, MiB."""
        return self.watched.memory_info().rss / 2**20

    def handles(self) -> int:
        """Open files and sockets."""
        return self.watched.num_handles() if sys.platform == "win32" else self.watched.num_fds()


def start(words: list[str], address: str, *, prefix: tuple[str, ...] = (), log: Path | None = None) -> ServerProcess:
    """Start `gstalker serve WORDS --address ADDRESS` and wait until it says that it serves.

    Args:
        words: bundles and options.
        address: where it shall listen.
        prefix: words before the command.
        log: file for what it logs; dropped without one.

    Raises:
        RuntimeError: it ended, or did not say so in time.
    """
    command = [*prefix, sys.executable, "-m", "gstalker.cli.main", "serve", *words, "--address", address]
    with contextlib.ExitStack() as stack:
        sink = subprocess.DEVNULL if log is None else stack.enter_context(log.open("ab"))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sink, text=True)
    assert process.stdout is not None
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        line = process.stdout.readline()
        if line.startswith("serving "):
            return ServerProcess(address, process, psutil.Process(process.pid))
        if not line:
            break
    process.kill()
    raise RuntimeError(f"{' '.join(command)}: expected a server, it ended with exit code {process.wait()}.")


@contextlib.contextmanager
def served(words: list[str], address: str | None = None, **options: object) -> Iterator[ServerProcess]:
    """`start`, and end it afterwards; on a free port unless an address is given."""
    server = start(words, address or f"tcp://127.0.0.1:{free_port()}", **options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        end(server)


def end(server: ServerProcess, patience_s: float = 20.0) -> int:
    """Ask it to end, and see that it does; its exit code."""
    if server.process.poll() is None:
        server.process.terminate()
    try:
        return server.process.wait(timeout=patience_s)
    except subprocess.TimeoutExpired:
        server.process.kill()
        return server.process.wait()
    finally:
        if server.process.stdout is not None:
            server.process.stdout.close()
