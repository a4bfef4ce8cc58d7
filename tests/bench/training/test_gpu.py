"""The command for a GPU machine, in miniature and without one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from made_dataset import MadeSpeaker, write_made_dataset

from gstalker.bench.training import gpu
from gstalker.kernels import cuda
from gstalker.runtime.errors import InputError
from gstalker.runtime.train.config import PRESETS, InitConfig, PretrainConfig

STEPS = 6


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    small = dataclasses.replace(
        PRESETS["preview"],
        init=InitConfig(head_count=150, torso_count=60),
        pretrain=PretrainConfig(steps=4, clips_per_step=2),
    )
    monkeypatch.setitem(gpu.PRESETS, "preview", small)
    dataset = write_made_dataset(tmp_path / "dataset", MadeSpeaker(size_px=48, seconds=0.6))
    words = [str(dataset), "--out", str(tmp_path / "out"), "--preset", "preview", "--device", "cpu"]
    return [*words, "--steps", str(STEPS), "--frames", "3"]


def test_every_figure_is_taken_once_and_what_is_left_out_is_said(command: list[str], tmp_path: Path):
    figures = gpu.run_stages(gpu.parser().parse_args([*command, "--minutes", "0"]))
    assert figures["train"]["step"] < STEPS
    assert "quality" not in figures, "no figures of a training that is not at its end"

    figures = gpu.run_stages(gpu.parser().parse_args(command))
    assert figures["train"]["step"] == STEPS
    kept = (tmp_path / "out" / "figures.json").read_text()
    assert json.loads(kept) == figures
    assert figures["quality"]["psnr_db"] > 10
    assert figures["speed"]["frames_per_second"] > 0
    ours = figures["agreement"]["cpu"]
    # The bounds of test_cpu and test_differentiable: a threshold that flips moves a pixel by 1/255.
    assert ours["picture_worst"] <= 2 / 255
    assert max(ours["gradient_error_of_length"].values()) <= 1e-3
    assert set(figures["made_by"]) == {"train", "agreement", "speed", "quality"}
    assert {"commit", "machine", "command", "gpu"} <= set(figures["made_by"]["speed"])
    if cuda.why_unavailable():
        assert any(line.startswith("gsplat's picture and gradients:") for line in figures["skipped"])
        assert any(line.startswith("LPIPS:") for line in figures["skipped"]) or figures["quality"]["lpips"] is not None

    gpu.run_stages(gpu.parser().parse_args(command))
    assert (tmp_path / "out" / "figures.json").read_text() == kept, "what is there is not measured again"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA GPU is here: nothing to refuse")
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_measured(command: list[str]):
    words = ["cuda" if word == "cpu" else word for word in command]
    with pytest.raises(InputError, match="--device cuda: expected a CUDA GPU"):
        gpu.run_stages(gpu.parser().parse_args(words))
