"""The occluded copy of a dataset: how much is covered, and that nothing else changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from made_dataset import MadeSpeaker, write_made_dataset

from gstalker.bench.training import occlusion
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.train.config import PRESETS
from gstalker.runtime.train.initialise import InitConfig


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    speaker = MadeSpeaker(train_clips=6, test_clips=1, seconds=2.0)
    return Dataset(write_made_dataset(tmp_path_factory.mktemp("made") / "dataset", speaker))


def test_gestures_cover_the_share_asked_for_and_never_overlap(dataset: Dataset):
    for seed in range(5):
        gestures = occlusion.plan_gestures(dataset, 0.2, seed)
        covered = {(g.clip, f) for g in gestures for f in range(g.start, g.stop)}
        assert len(covered) == sum(g.stop - g.start for g in gestures) == round(0.2 * 6 * 50)
        assert {g.clip for g in gestures} <= {c.name for c in dataset.clips("train")}


def test_the_copy_differs_where_a_gesture_covers_the_face_and_nowhere_else(dataset: Dataset, tmp_path: Path):
    gestures = occlusion.occluded_copy(dataset, tmp_path / "covered", share=0.1, seed=1)
    copy = Dataset(tmp_path / "covered")
    covered = {(g.clip, f) for g in gestures for f in range(g.start, g.stop)}
    for entry in dataset.manifest.clips:
        before, after = dataset.load(entry.name), copy.load(entry.name)
        changed = (before.rgb != after.rgb).any(axis=(1, 2, 3))
        assert {(entry.name, int(f)) for f in np.flatnonzero(changed)} <= covered
        assert (after.matte >= before.matte).all()
        assert np.array_equal(before.tracks.landmarks_px, after.tracks.landmarks_px, equal_nan=True)
        assert np.array_equal(before.tracks.pose_confidence, after.tracks.pose_confidence)
    whole = [g for g in gestures if g.stop - g.start > 10]
    for gesture in whole:
        middle = (gesture.start + gesture.stop) // 2
        before, after = dataset.load(gesture.clip).rgb[middle], copy.load(gesture.clip).rgb[middle]
        share = (np.abs(before.astype(int) - after.astype(int)).max(axis=2) > 20).mean()
        assert share > 0.03, f"{gesture.kind}: covers {share:.3f} of the picture"


def test_an_occluded_copy_replaces_nothing_and_a_share_out_of_range_is_refused(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(InputError, match="expected a new folder for the occluded copy"):
        occlusion.occluded_copy(dataset, tmp_path)
    assert occlusion.main([str(dataset.folder), "--out", str(tmp_path), "--share", "0.9"]) == 2
    assert "--share: expected above 0 and at most 0.5" in capsys.readouterr().err
    assert occlusion.main([str(tmp_path / "nothing"), "--out", str(tmp_path)]) == 2


def test_the_comparison_trains_both_and_says_by_how_much_the_covered_one_falls(dataset: Dataset, tmp_path: Path):
    config = PRESETS["demo"].with_steps(4)
    config = dataclasses.replace(
        config, pretrain=dataclasses.replace(config.pretrain, steps=2), init=InitConfig(head_count=300, torso_count=150)
    )
    report = occlusion.compare(dataset, tmp_path / "out", config, 0.1, 10, without_trust=False)
    figures, fall = report["held_out_psnr_db"], report["fall_db"]
    assert isinstance(figures, dict)
    assert isinstance(fall, dict)
    assert set(figures) == {"uncovered", "covered"}
    assert {"full", "mouth", "eyes"} <= set(fall)
    assert (tmp_path / "out" / "occlusion.json").is_file()
