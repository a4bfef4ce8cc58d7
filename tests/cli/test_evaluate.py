"""`gstalker eval` at the command line: what it prints and how it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.talking_disc import make_clip, write_dataset

from gstalker.cli.main import EXIT_BAD_INPUT, EXIT_OK, main
from gstalker.runtime.dataset import Clip, Dataset
from gstalker.runtime.evaluate import evaluate_run as module
from gstalker.runtime.evaluate.config import EvalConfig
from gstalker.runtime.evaluate.evaluation import EvaluationResult, Instruments, evaluate
from gstalker.runtime.evaluate.subject import AVATAR, STATIC, RunSubjects


class Mean:
    """Shows the mean of the clip, brightened a little."""

    composited = "the mean picture"

    def __init__(self, name: str, gain: float) -> None:
        self.name, self.gain = name, gain

    def pictures(self, clip: Clip, frame_indices: Sequence[int]) -> Iterator[np.ndarray]:
        for _ in frame_indices:
            yield (self.gain * clip.rgb.mean(axis=0) / 255.0).astype(np.float32)


def test_a_missing_run_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = main(["eval", str(tmp_path / "nowhere"), "--out", str(tmp_path / "report")])
    assert code == EXIT_BAD_INPUT
    said = capsys.readouterr().err
    assert "expected a training run with config.json, found none" in said
    assert "Traceback" not in said


def test_options_reach_the_evaluation_and_the_table_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    dataset = Dataset(write_dataset(tmp_path / "d", [make_clip("a", "train", 1, 5), make_clip("b", "test", 2, 5)]))
    asked = []

    def fake(run: Path, out: Path, config: EvalConfig, progress: object) -> EvaluationResult:
        asked.append((run, config))
        subjects = (Mean(AVATAR, 1.0), Mean(STATIC, 0.9))
        instruments = Instruments(lambda a, b: 0.5, None, None, ("LPIPS: none here",))
        return evaluate(dataset, RunSubjects("run", subjects, None), [], instruments, out, config)

    monkeypatch.setattr(module, "evaluate_run", fake)
    options = "--frames 3 --clips 1 --no-video --face-reader fitted --lpips-every 7 --voice-seconds 4"
    assert main(["eval", "some_run", "--out", str(tmp_path / "report"), *options.split()]) == EXIT_OK
    run, config = asked[0]
    assert run == Path("some_run")
    assert config == EvalConfig(frames=3, clips=1, video=False, face_reader="fitted", lpips_every=7, voice_seconds=4.0)
    said = capsys.readouterr().out
    assert "static canonical" in said
    assert "PSNR, mouth box dB" in said
    assert "not measured: LPIPS: none here" in said
    assert "index.html" in said
