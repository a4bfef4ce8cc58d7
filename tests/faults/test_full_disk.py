"""The disk fills up while a session is being recorded: that is said, and what was written can be read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gstalker.bench.serving.server_process import served
from gstalker.runtime.session import SessionReader

DISK_BYTES = 1_500_000  # some ten seconds of the small avatar's frames


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    try:
        made = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("needs a file system of its own, which only root may make, on Linux")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_recording_that_fills_the_disk_says_so_and_stays_readable(
    small_disk: Path, avatar_path: Path, tone_path: Path
):
    out = small_disk / "session"
    with served([str(avatar_path), "--audio", str(tone_path), "--loop"]) as server:
        words = ["record", server.address, "--out", str(out), "--seconds", "60"]
        done = subprocess.run(
            [sys.executable, "-m", "gstalker.cli.main", *words], capture_output=True, text=True, check=False
        )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert "Traceback" not in said
    assert "No space left" in said
    reader = SessionReader(out)
    frames = reader.frames()
    assert len(frames) > 20
    for entry in frames:
        assert reader.read_frame(entry).index == entry.index
    assert reader.end is None or not reader.end.complete
    assert len(reader.samples()) > 0
