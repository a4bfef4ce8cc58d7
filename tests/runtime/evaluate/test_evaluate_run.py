"""From a run's folder to its report: what is checked before anything slow starts."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from helpers.talking_disc import SIZE_PX, make_clip, write_dataset

from gstalker.runtime.dataset import Clip, Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate import evaluate_run as module
from gstalker.runtime.evaluate.config import EvalConfig
from gstalker.runtime.evaluate.evaluation import Instruments
from gstalker.runtime.evaluate.subject import NEAREST, RunSubjects
from gstalker.runtime.model.trained_run import RUN_FORMAT_VERSION, RunFacts

QUICK = EvalConfig(frames=3, video=False)


class Real:
    """Shows the real pictures."""

    name = "avatar"
    composited = "the real pictures"

    def pictures(self, clip: Clip, frame_indices: Sequence[int]) -> Iterator[np.ndarray]:
        for t in frame_indices:
            yield clip.rgb[t].astype(np.float32) / 255.0


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's network and this machine's models play no part here."""

    def subjects_from_run(run: Path, dataset: Dataset) -> RunSubjects:
        return RunSubjects(run.name, (Real(),), None)

    stub = types.ModuleType("subjects_from_run")
    vars(stub)["subjects_from_run"] = subjects_from_run
    monkeypatch.setitem(sys.modules, "gstalker.runtime.evaluate.subjects_from_run", stub)
    arithmetic = Instruments(lambda a, b: 1.0, None, None)
    monkeypatch.setattr(module, "find_instruments", lambda *given: nullcontext(arithmetic))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    clips = [make_clip("a", "train", 1, 6), make_clip("b", "test", 2, 6)]
    return write_dataset(tmp_path / "dataset", clips)


def write_run(folder: Path, dataset: Path, **changes: object) -> Path:
    eye = tuple(tuple(float(i == j) for j in range(4)) for i in range(4))
    facts = RunFacts(
        dataset=str(dataset), size_px=SIZE_PX, focal_px=200.0, camera_from_avatar=eye, torso_origin_avatar_m=(0.0,) * 3
    )
    fields = {"format_version": RUN_FORMAT_VERSION, "train": {}, "facts": dataclasses.asdict(facts), **changes}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder


def test_a_run_becomes_a_report(tmp_path: Path, dataset: Path):
    run = write_run(tmp_path / "run", dataset)
    result = module.evaluate_run(run, tmp_path / "report", QUICK)
    assert list(result.figures.overall) == ["avatar", NEAREST]
    assert "Evaluation of run" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_a_missing_run_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"expected a training run with config.json, found none"):
        module.evaluate_run(tmp_path / "nowhere", tmp_path / "report", QUICK)
    assert not (tmp_path / "report").exists()


def test_a_run_of_another_version_is_refused(tmp_path: Path, dataset: Path):
    run = write_run(tmp_path / "run", dataset, format_version=99)
    with pytest.raises(InputError, match=r"expected run format 1, got 99"):
        module.evaluate_run(run, tmp_path / "report", QUICK)


def test_a_dataset_that_moved_is_asked_for(tmp_path: Path, dataset: Path):
    run = write_run(tmp_path / "run", tmp_path / "gone")
    with pytest.raises(InputError, match=r"found none. Say with --dataset where it lies now"):
        module.evaluate_run(run, tmp_path / "report", QUICK)
    found = dataclasses.replace(QUICK, dataset=dataset)
    assert module.evaluate_run(run, tmp_path / "report", found).report.is_dir()


def test_a_dataset_of_another_version_is_refused(tmp_path: Path, dataset: Path):
    run = write_run(tmp_path / "run", dataset)
    path = dataset / "dataset.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**fields, "format_version": 99}), encoding="utf-8")
    with pytest.raises(InputError, match=r"expected dataset format 1, got 99"):
        module.evaluate_run(run, tmp_path / "report", QUICK)


def test_a_dataset_of_another_size_is_refused(tmp_path: Path, dataset: Path):
    run = write_run(tmp_path / "run", dataset)
    path = dataset / "dataset.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**fields, "size_px": 128}), encoding="utf-8")
    with pytest.raises(InputError, match=r"96 px with a focal length of 200 px, got 128 px and 200 px"):
        module.evaluate_run(run, tmp_path / "report", QUICK)


def test_a_run_without_held_out_clips_is_refused(tmp_path: Path):
    only_training = write_dataset(tmp_path / "d", [make_clip("a", "train", 1, 6)])
    run = write_run(tmp_path / "run", only_training)
    with pytest.raises(InputError, match=r"no clip is in the split 'test'"):
        module.evaluate_run(run, tmp_path / "report", QUICK)
