from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch
from made_dataset import MadeSpeaker, write_made_dataset

from gstalker.bench.training import ablations, variants
from gstalker.runtime.model.audio_encoder import AudioEncoder
from gstalker.runtime.model.deformation import DeformationField
from gstalker.runtime.train.config import PRESETS, TrainConfig


@pytest.mark.parametrize("name", list(variants.VARIANTS))
def test_every_variant_changes_the_settings_and_keeps_the_number_of_steps(name: str):
    config = PRESETS["preview"]
    changed = variants.VARIANTS[name].change(config)
    assert changed.steps == config.steps
    assert (changed == config) == (name == "whole")
    assert dataclasses.replace(changed, preset="x") != changed


@pytest.mark.parametrize("name", list(variants.VARIANTS))
def test_an_avatar_can_be_built_of_every_variant(name: str):
    avatar = variants.VARIANTS[name].change(PRESETS["preview"]).avatar
    DeformationField(
        avatar.deformation, code_size=avatar.audio.code_size, expression_mean=torch.zeros(9),
        expression_std=torch.ones(9), bounds_m=(-torch.ones(3), torch.ones(3)), picture_unit_m=1.0,
    )  # fmt: skip
    AudioEncoder(avatar.audio)


def test_a_setting_that_does_not_exist_is_an_error():
    with pytest.raises(TypeError, match="colour"):
        variants.settings(losses={"colour": 1.0})(TrainConfig())


def test_a_study_runs_its_variants_and_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    small = variants.changed(TrainConfig(), {"init": {"head_count": 300, "torso_count": 150}, "pretrain": {"steps": 5}})
    monkeypatch.setitem(PRESETS, "preview", small)
    dataset = write_made_dataset(tmp_path / "dataset", MadeSpeaker(train_clips=4))
    out = tmp_path / "study"
    words = [str(dataset), "--out", str(out), "--steps", "12"]
    assert ablations.main([*words, "--variants", "opacity", "--at-once", "0"]) == 0
    found = json.loads((out / "opacity-0" / "figures.json").read_text())
    assert found["steps"] == 12
    assert 5 < found["figures"]["psnr_db"] < 60
    settings = json.loads((out / "opacity-0" / "run" / "config.json").read_text())["train"]
    assert settings["avatar"]["deformation"]["opacity_scale"] == variants.NOTHING

    started: list[list[str]] = []
    monkeypatch.setattr(ablations, "run_all", lambda jobs, at_once: [started.append(c) for _, c in jobs] and [])
    capsys.readouterr()
    assert ablations.main([*words, "--variants", "whole", "opacity"]) == 0
    assert [c[c.index("--variants") + 1] for c in started] == ["whole"]
    printed = capsys.readouterr().out
    assert f"| deltas of opacity | {found['figures']['psnr_db']:.2f} |" in printed
    assert "| nothing | none |" in printed


def test_a_variant_that_fails_is_named_and_the_others_are_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    jobs = [
        (tmp_path / name, [sys.executable, "-c", f"raise SystemExit({code})"]) for name, code in (("a", 0), ("b", 3))
    ]
    assert ablations.run_all(jobs, 2) == [tmp_path / "b"]
    assert "b: FAILED, see log.txt" in capsys.readouterr().out


def test_a_folder_that_is_no_dataset_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = [str(tmp_path), "--out", str(tmp_path / "o"), "--variants", "whole", "--at-once", "0"]
    assert ablations.main(words) == 2
    assert "error: " in capsys.readouterr().err
