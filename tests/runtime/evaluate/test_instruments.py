"""Finding the detector and the perceptual distance, and saying what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.talking_disc import make_clip, write_dataset

from gstalker.runtime import metrics
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.config import EvalConfig
from gstalker.runtime.evaluate.find_models import find_landmark_model, find_lpips_weights
from gstalker.runtime.evaluate.fitted_reader import FittedReader
from gstalker.runtime.evaluate.instruments import find_instruments, ssim
from gstalker.runtime.prepare.face_model import cache_folder


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No models anywhere."""
    home = tmp_path / "home" / "project"
    home.mkdir(parents=True)
    monkeypatch.delenv("GSTALKER_MODELS", raising=False)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(home)
    return home


def made(folder: Path, *, frames: int = 70, tracker: str = "exact") -> Dataset:
    """A small dataset; "mediapipe" is what a filmed person's says."""
    write_dataset(folder, [make_clip("a", "train", 1, frames)])
    path = folder / "dataset.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**fields, "tracker": tracker}), encoding="utf-8")
    return Dataset(folder)


def test_a_bare_machine_fits_a_reader_and_says_what_is_missing(bare_machine: Path):
    with find_instruments(EvalConfig(), made(bare_machine / "d", tracker="mediapipe")) as found:
        pass
    assert isinstance(found.detector, FittedReader)
    assert found.lpips is None
    lpips, faces = found.missing
    assert faces.startswith("faces were not read by MediaPipe's detector but by a regression")
    assert "face_landmarker.task was not found. Give --face-model" in faces
    assert "lpips_alex.npz was not found. Give --lpips-weights" in lpips


def test_a_made_character_is_read_by_a_fitted_reader_and_nothing_is_missed(bare_machine: Path):
    with find_instruments(EvalConfig(), made(bare_machine / "d")) as found:
        pass
    assert isinstance(found.detector, FittedReader)
    assert len(found.missing) == 1
    assert found.missing[0].startswith("LPIPS")


def test_too_little_training_video_leaves_faces_unread(bare_machine: Path):
    with find_instruments(EvalConfig(), made(bare_machine / "d", frames=12)) as found:
        pass
    assert found.detector is None
    assert "there are fewer than 60 training frames to fit a reader to" in found.missing[1]


def test_mediapipe_asked_for_must_be_at_hand(bare_machine: Path):
    config = EvalConfig(face_reader="mediapipe")
    with pytest.raises(InputError, match=r"--face-reader mediapipe: face_landmarker.task was not found"):
        find_instruments(config, made(bare_machine / "d", frames=4)).__enter__()


@pytest.mark.parametrize("place", ["GSTALKER_MODELS", "cache"])
def test_models_are_found_in_their_usual_folders(place: str, bare_machine: Path, monkeypatch: pytest.MonkeyPatch):
    folder = bare_machine / "m" if place == "GSTALKER_MODELS" else cache_folder()
    folder.mkdir(parents=True)
    if place == "GSTALKER_MODELS":
        monkeypatch.setenv(place, str(folder))
    assert find_lpips_weights(None) is None
    assert find_landmark_model(None) is None
    for name in ("lpips_alex.npz", "face_landmarker.task"):
        (folder / name).write_bytes(b"x")
    for found, name in (
        (find_lpips_weights(None), "lpips_alex.npz"),
        (find_landmark_model(None), "face_landmarker.task"),
    ):
        assert found is not None
        assert found.samefile(folder / name)


def test_weights_asked_for_must_be_there(tmp_path: Path):
    with pytest.raises(InputError, match=r"--lpips-weights: expected the file lpips_alex.npz, found none at"):
        find_lpips_weights(tmp_path / "none.npz")
    with pytest.raises(InputError, match=r"--face-model: expected the file face_landmarker.task, found none at"):
        find_landmark_model(tmp_path / "none.task")


def test_similarity_is_that_of_double_precision():
    """float32 windows: 2e-6 on natural pictures (kernels.ssim), five times that allowed."""
    rng = np.random.default_rng(3)
    real = rng.integers(0, 256, (48, 40, 3), np.uint8)
    rendered = np.clip(real.astype(int) + rng.integers(-20, 20, real.shape), 0, 255).astype(np.uint8)
    assert ssim(rendered, real) == pytest.approx(metrics.ssim(rendered, real), abs=1e-5)
