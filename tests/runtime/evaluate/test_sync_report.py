"""The lip-sync surrogate in a report: one figure for every column, the real pictures and the other voice."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from helpers.made_subjects import INSTRUMENTS, PERFECT, Made, MadeVoice, run_of

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.evaluate.config import EvalConfig
from gstalker.runtime.evaluate.evaluation import evaluate
from gstalker.runtime.evaluate.sync_network import SyncNetwork, SyncSizes
from gstalker.runtime.evaluate.sync_score import SyncOrigin, SyncScorer

KEYS = ("sync_confidence", "sync_lag_ms", "sync_confidence_shuffled")
STILL = Made("still", lambda clip, t: clip.rgb[0])


@pytest.fixture(scope="module")
def scorer() -> SyncScorer:
    """Any network will do: what is right is that all columns are judged by the same one in the same way."""
    torch.manual_seed(0)
    network = SyncNetwork(SyncSizes())
    network.basis.normal_()
    return SyncScorer([network], SyncOrigin("made speech", {}))


@pytest.mark.parametrize("clips", [None, 1])
def test_a_perfect_subject_scores_what_the_real_pictures_score(
    dataset: Dataset, voice_wav: Path, scorer: SyncScorer, tmp_path: Path, clips: int | None
):
    instruments = dataclasses.replace(INSTRUMENTS, sync=scorer)
    config = EvalConfig(voice=voice_wav, video=False, clips=clips)
    result = evaluate(dataset, run_of(PERFECT, STILL, voice=MadeVoice()), [], instruments, tmp_path / "report", config)
    figures = result.figures
    for key in KEYS:
        assert figures.overall["perfect"][key] == figures.real[key]
        for own, real in zip(figures.clips.values(), figures.real_of_clips.values(), strict=True):
            assert own["perfect"][key] == real[key]
    confidence, shuffled = figures.real["sync_confidence"], figures.real["sync_confidence_shuffled"]
    assert confidence is not None
    assert confidence > 0
    assert shuffled not in (None, confidence)
    assert figures.overall["still"]["sync_confidence"] != confidence
    assert result.voice is not None
    assert set(result.voice.sync) == set(KEYS)
    document = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert document["sync_scorer"] == "surrogate, trained on made speech"
    assert document["real_picture"]["sync_confidence"] == confidence
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "sync surrogate, confidence" in page
    assert "trained on made speech" in page


def test_a_scorer_without_a_face_reader_is_said_to_be_idle(dataset: Dataset, scorer: SyncScorer, tmp_path: Path):
    instruments = dataclasses.replace(INSTRUMENTS, detector=None, sync=scorer)
    config = EvalConfig(video=False, clips=1, frames=4)
    result = evaluate(dataset, run_of(PERFECT), [], instruments, tmp_path / "report", config)
    assert "the sync surrogate: there is nothing to read faces with" in result.skipped
    assert "sync_confidence" not in result.figures.overall["perfect"]


def test_figures_of_other_programs_stand_with_the_avatars(dataset: Dataset, tmp_path: Path):
    said = tmp_path / "said.txt"
    said.write_text("AV offset: 0\nMin dist: 6.5\nConfidence: 7.25\n")
    config = EvalConfig(video=False, clips=1, frames=4, syncnet=said)
    result = evaluate(dataset, run_of(PERFECT, STILL), [], INSTRUMENTS, tmp_path / "report", config)
    assert result.figures.overall["perfect"]["syncnet_confidence"] == 7.25
    assert "syncnet_confidence" not in result.figures.overall["still"]
