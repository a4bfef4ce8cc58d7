"""A gstalker command in a process of its own, ended with what started it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

END_S = 10.0  # what it gets to say goodbye


@contextmanager
def running(*words: object, quiet: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """`gstalker WORDS`, without its standard output where it is to be quiet."""
    command = [sys.executable, "-m", "gstalker.cli.main", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL if quiet else None)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
