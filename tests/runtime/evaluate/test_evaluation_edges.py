"""What evaluation does without its instruments, with bad subjects and with bad options."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.made_subjects import INSTRUMENTS, PERFECT, Made, averaged, figure, run_of
from helpers.talking_disc import make_clip, write_dataset

from gstalker.runtime.dataset import Clip, Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.config import EvalConfig
from gstalker.runtime.evaluate.evaluation import Instruments, chosen_clips, evaluate
from gstalker.runtime.evaluate.instruments import ssim
from gstalker.runtime.evaluate.picture_measures import PSNR_CAP_DB


def test_without_a_detector_what_needs_no_face_is_still_there(dataset: Dataset, tmp_path: Path):
    reason = "faces: no detector in this test"
    result = evaluate(
        dataset,
        run_of(PERFECT),
        [],
        Instruments(ssim, None, None, (reason,)),
        tmp_path / "report",
        EvalConfig(clips=1, frames=6, video=False),
    )
    own = result.figures.overall["perfect"]
    assert own["psnr_db"] == PSNR_CAP_DB
    assert "lmd_px" not in own
    assert result.figures.real["loudness_correlation"] is not None, "the tracks know the real lips"
    assert not (result.report / "comparison.mp4").exists()
    assert not (result.report / "plots" / "lip_opening.png").exists()
    assert reason in (result.report / "index.html").read_text(encoding="utf-8")
    assert list(result.figures.clips) == ["blinking"]


def test_pictures_without_a_face_are_counted_and_left_out(dataset: Dataset, tmp_path: Path):
    half = Made("half", lambda clip, t: clip.rgb[t] if t % 2 else np.full_like(clip.rgb[t], 160))
    config = EvalConfig(clips=1, frames=8, video=False)
    result = evaluate(dataset, run_of(half), [], INSTRUMENTS, tmp_path / "report", config)
    assert figure(result, "half", "faces_missed") == 4
    assert figure(result, "half", "lmd_px") == 0.0


def test_lpips_is_measured_on_every_so_many_frames(dataset: Dataset, tmp_path: Path):
    seen = []

    def fake_lpips(rendered: np.ndarray, real: np.ndarray) -> float:
        seen.append((rendered.dtype, real.shape))
        return 0.25

    config = EvalConfig(clips=1, frames=10, lpips_every=4, video=False)
    instruments = replace(INSTRUMENTS, lpips=fake_lpips)
    result = evaluate(dataset, run_of(PERFECT), [], instruments, tmp_path / "report", config)
    assert len(seen) == 3
    assert figure(result, "perfect", "lpips") == 0.25


def test_a_second_report_replaces_the_first(dataset: Dataset, tmp_path: Path):
    config = EvalConfig(clips=1, frames=4, video=False)
    out = tmp_path / "report"
    evaluate(dataset, run_of(Made("averaged", averaged)), [], INSTRUMENTS, out, config)
    evaluate(dataset, run_of(PERFECT), [], INSTRUMENTS, out, config)
    assert list(json.loads((out / "metrics.json").read_text(encoding="utf-8"))["overall"]) == ["perfect"]


def test_a_failure_leaves_nothing_half_written(dataset: Dataset, tmp_path: Path):
    short = Made("short", lambda clip, t: clip.rgb[t][:-2])
    with pytest.raises(ValueError, match=r"subject 'short': expected pictures of \(96, 96, 3\), got"):
        evaluate(dataset, run_of(short), [], INSTRUMENTS, tmp_path / "report", EvalConfig(frames=4))
    assert list(tmp_path.iterdir()) == []


def test_a_subject_that_runs_out_of_pictures_is_named(dataset: Dataset, tmp_path: Path):
    class Lazy(Made):
        def pictures(self, clip: Clip, frame_indices: Sequence[int]) -> Iterator[np.ndarray]:
            yield from super().pictures(clip, frame_indices[:-1])

    lazy = Lazy("lazy", lambda clip, t: clip.rgb[t])
    with pytest.raises(ValueError, match="subject 'lazy': expected 4 pictures of blinking, got 3"):
        evaluate(dataset, run_of(lazy), [], INSTRUMENTS, tmp_path / "report", EvalConfig(frames=4))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (EvalConfig(clips=0), r"--clips 0: expected at least 1"),
        (EvalConfig(frames=-1), r"--frames -1: expected at least 1"),
        (EvalConfig(lpips_every=0), r"--lpips-every 0: expected at least 1"),
        (EvalConfig(voice_seconds=0.01), r"--voice-seconds 0.01: expected at least 0.04 s"),
        (EvalConfig(voice_seconds=float("nan")), r"--voice-seconds nan: expected at least 0.04 s"),
    ],
)
def test_options_out_of_range_are_refused(dataset: Dataset, config: EvalConfig, message: str):
    with pytest.raises(InputError, match=message):
        chosen_clips(dataset, config)


def test_a_dataset_without_test_clips_is_refused(tmp_path: Path):
    folder = write_dataset(tmp_path / "d", [make_clip("a", "train", 1, 4)])
    with pytest.raises(InputError, match="no clip is in the split 'test'"):
        chosen_clips(Dataset(folder), EvalConfig())


def test_an_output_folder_with_other_files_is_left_alone(dataset: Dataset, tmp_path: Path):
    (tmp_path / "letters.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match="expected an empty folder or an earlier report, got other files"):
        evaluate(dataset, run_of(PERFECT), [], INSTRUMENTS, tmp_path, EvalConfig(frames=4))
    with pytest.raises(InputError, match="expected a folder for the report, got a file"):
        evaluate(dataset, run_of(PERFECT), [], INSTRUMENTS, tmp_path / "letters.txt", EvalConfig(frames=4))
    assert [p.name for p in tmp_path.iterdir()] == ["letters.txt"]


def test_a_voice_for_a_run_that_cannot_speak_is_told(dataset: Dataset, voice_wav: Path, tmp_path: Path):
    config = EvalConfig(clips=1, frames=4, video=False, voice=voice_wav)
    result = evaluate(dataset, run_of(PERFECT), [], INSTRUMENTS, tmp_path / "report", config)
    assert result.voice is None
    assert "another voice: this run has no voice-driven model" in result.skipped
