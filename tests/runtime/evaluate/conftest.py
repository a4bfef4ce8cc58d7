"""Fixtures of the evaluation's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.made_subjects import FRAMES
from helpers.talking_disc import make_clip, write_dataset

from gstalker.runtime.dataset import Dataset, write_wav


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    clips = [make_clip(n, "train", i, FRAMES) for i, n in enumerate("ab", start=1)]
    clips += [make_clip("blinking", "test", 3, FRAMES), make_clip("staring", "test", 4, FRAMES, blink=False)]
    return Dataset(write_dataset(tmp_path_factory.mktemp("dataset"), clips))


@pytest.fixture(scope="session")
def voice_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("voice") / "other_voice.wav"
    write_wav(path, make_clip("v", "test", 9, 50).samples)
    return path
