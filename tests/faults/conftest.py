"""What every fault is tried on: a small avatar that says a long steady tone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from made_bundle import write_made_bundle

from gstalker.runtime.dataset import write_wav


@pytest.fixture(scope="session")
def avatar_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faults") / "made.gsavatar"
    write_made_bundle(path)
    return path


@pytest.fixture(scope="session")
def tone_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes of 200 Hz: a break in it can be seen to the sample."""
    path = tmp_path_factory.mktemp("faults") / "tone.wav"
    write_wav(path, (0.5 * np.sin(2 * np.pi * 200 * np.arange(600 * 16_000) / 16_000)).astype(np.float32))
    return path


@pytest.fixture
def linux() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("times of different processes are compared, which needs Linux's shared clock")
