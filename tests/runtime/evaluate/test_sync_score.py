"""The lip-sync surrogate: it finds known shifts, tells right sound from wrong, and knows what it was trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.made_speech import spoken_clip
from made_dataset import MadeSpeaker, write_made_dataset
from safetensors.torch import save_file

from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate import sync_score as module
from gstalker.runtime.evaluate import sync_training
from gstalker.runtime.evaluate.sync_figures import other_moment, sync_figures, voice_sync
from gstalker.runtime.evaluate.sync_network import SyncNetwork, SyncSizes, lip_shapes
from gstalker.runtime.evaluate.sync_score import LAGS_S, SyncOrigin, SyncScorer, load_scorer, sound_id, sync_score
from gstalker.runtime.evaluate.sync_training import SpokenClip, SyncTrainingConfig, judge, shifted, train_scorer
from gstalker.runtime.landmarks import LIPS

CONFIG = SyncTrainingConfig(steps=45, folds=2, clips_per_step=4)


@pytest.fixture(scope="module")
def clips() -> list[SpokenClip]:
    return [spoken_clip(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def scorer(clips: list[SpokenClip]) -> SyncScorer:
    return SyncScorer(*train_scorer(clips, CONFIG, SyncSizes(), "made speech"))


def lag_ms(scorer: SyncScorer, clips: list[SpokenClip], shift_s: float) -> float:
    found = [scorer.agreement(c.landmarks_px, shifted(c.samples, shift_s)) for c in clips]
    lag_s = sync_score([a for a in found if a is not None]).lag_s
    assert lag_s is not None
    return 1000 * lag_s


def test_the_lag_of_speech_that_was_never_seen_is_found(scorer: SyncScorer):
    """Lips come 25 times a second, sound 100 times; measured worst 4 ms, a wrong sign errs by 160."""
    unseen = [spoken_clip(seed) for seed in range(100, 104)]
    at_rest = lag_ms(scorer, unseen, 0.0)
    assert abs(at_rest) < 15
    for shift_ms in (-200, -80, 80, 200):
        assert abs(lag_ms(scorer, unseen, shift_ms / 1000) - at_rest - shift_ms) < 15


def test_another_clips_sound_fits_nowhere(scorer: SyncScorer, clips: list[SpokenClip]):
    report = judge(scorer, clips)
    own, strange = report["as filmed"], report["another clip's sound"]
    assert isinstance(own, dict)
    assert isinstance(strange, dict)
    # measured 0.90 and 0.10 on clips that the judging network had not seen
    assert own["confidence"] > 4 * strange["confidence"]
    assert abs(report["mouth 80 ms late"]["lag_ms"] - 80) < 15  # type: ignore[index]


def test_a_mouth_that_stands_still_has_no_confidence(scorer: SyncScorer):
    clip = spoken_clip(7)
    still = np.repeat(clip.landmarks_px[:1], len(clip.landmarks_px), axis=0)
    found = scorer.agreement(still, clip.samples)
    moving = scorer.agreement(clip.landmarks_px, clip.samples)
    assert found is not None
    assert moving is not None
    assert sync_score([found]).confidence < 0.5 * sync_score([moving]).confidence


def test_a_clip_is_judged_by_the_network_that_has_not_seen_it(scorer: SyncScorer, clips: list[SpokenClip]):
    networks = [SyncNetwork(SyncSizes()) for _ in range(2)]
    blind = SyncScorer(networks, SyncOrigin("", {sound_id(clips[0].samples): 1}))
    alone = SyncScorer(networks[1:], SyncOrigin("", {}))
    both = SyncScorer(networks, SyncOrigin("", {}))
    landmarks, samples = clips[0].landmarks_px, clips[0].samples
    own, of_one, of_both = (s.agreement(landmarks, samples) for s in (blind, alone, both))
    assert own is not None
    assert of_one is not None
    assert of_both is not None
    np.testing.assert_array_equal(own, of_one)
    assert np.abs(of_both - of_one).max() > 0
    # The clip stays itself when it is heard with strange sound.
    heard = clips[1].samples
    own, of_one = blind.agreement(landmarks, heard, sound_id(samples)), alone.agreement(landmarks, heard)
    assert own is not None
    assert of_one is not None
    np.testing.assert_array_equal(own, of_one)


def test_where_and_whose_a_mouth_is_does_not_count():
    clip = spoken_clip(3)
    shapes = lip_shapes(clip.landmarks_px)
    turn = np.array([[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]])
    moved = lip_shapes(1.7 * clip.landmarks_px @ turn.T + [30.0, -12.0])
    assert shapes is not None
    assert moved is not None
    np.testing.assert_allclose(moved, shapes, atol=1e-3)  # float32 of pixels up to 300, over a unit of about 1 px


def test_frames_without_a_face_are_filled_in_and_clips_without_one_are_not_judged(scorer: SyncScorer):
    clip = spoken_clip(4)
    holes = clip.landmarks_px.copy()
    holes[10:12] = np.nan
    shapes, whole = lip_shapes(holes), lip_shapes(clip.landmarks_px)
    assert shapes is not None
    assert whole is not None
    assert np.isfinite(shapes).all()
    np.testing.assert_allclose(shapes[20:], whole[20:], atol=0.3)  # the mean over the clip changes a little
    assert lip_shapes(np.full_like(holes, np.nan)) is None
    assert scorer.agreement(np.full_like(holes, np.nan), clip.samples) is None
    assert scorer.agreement(clip.landmarks_px[:8], clip.samples) is None


def test_the_best_lag_is_found_between_steps_and_not_at_the_edge():
    peak = np.exp(-0.5 * ((LAGS_S - 0.034) / 0.05) ** 2)
    score = sync_score([np.stack([peak, peak], axis=1)])
    assert score.lag_s == pytest.approx(0.034, abs=0.001)  # a parabola through a bell of 50 ms
    assert score.confidence == pytest.approx(peak.max() - np.median(peak))
    assert sync_score([np.linspace(0, 1, len(LAGS_S))[:, None]]).lag_s is None
    with pytest.raises(ValueError, match="sync_score: expected at least one clip"):
        sync_score([])


def test_lips_that_fit_no_better_than_by_chance_have_no_lag():
    fits = np.exp(-0.5 * (LAGS_S / 0.05) ** 2)[:, None]
    assert sync_figures([fits], [0.5 * fits])["sync_lag_ms"] == pytest.approx(0.0, abs=1e-9)
    assert sync_figures([fits], [0.9 * fits])["sync_lag_ms"] is None


def test_without_a_face_there_are_no_figures(scorer: SyncScorer):
    assert sync_figures([], []) == dict.fromkeys(("sync_confidence", "sync_lag_ms", "sync_confidence_shuffled"))
    clip = spoken_clip(5, seconds=4.0)
    figures = voice_sync(clip.landmarks_px, clip.samples, scorer)
    assert figures["sync_confidence"] > 3 * figures["sync_confidence_shuffled"]  # type: ignore[operator]
    assert sorted(other_moment(np.arange(10))) == list(range(10))


def test_a_scorer_comes_back_from_its_file(tmp_path: Path, scorer: SyncScorer, clips: list[SpokenClip]):
    path = tmp_path / "deeper" / "scorer.safetensors"
    module.save_scorer(path, scorer._networks, SyncSizes(), scorer.origin)
    again = load_scorer(path)
    assert again.origin == scorer.origin
    expected, got = (s.agreement(clips[2].landmarks_px, clips[2].samples) for s in (scorer, again))
    assert expected is not None
    assert got is not None
    np.testing.assert_array_equal(got, expected)


def test_files_that_are_no_scorers_are_refused(tmp_path: Path):
    path = tmp_path / "scorer.safetensors"
    with pytest.raises(InputError, match=r"--sync-scorer: expected a scorer, found none.*sync_training DATASET"):
        load_scorer(path)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="--sync-scorer: expected a scorer, could not read"):
        load_scorer(path)
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="expected 'gstalker sync scorer 1', got None"):
        load_scorer(path)
    about = {"sizes": {"lip_components": 8, "channels": 48, "vector": 32}, "networks": 1}
    about["origin"] = {"speech": "", "fold_of_clip": {"a": 3}}
    tensors = {f"0/{n}": t for n, t in SyncNetwork(SyncSizes()).state_dict().items()}
    save_file(tensors, path, {"format": module.FORMAT, "about": json.dumps(about)})
    with pytest.raises(InputError, match="no network for some of its folds"):
        load_scorer(path)
    about["origin"] = {"speech": "", "fold_of_clip": {}}
    save_file({"0/basis": torch.zeros(8, 2 * len(LIPS))}, path, {"format": module.FORMAT, "about": json.dumps(about)})
    with pytest.raises(InputError, match=r"could not read .*Missing key"):
        load_scorer(path)


def test_speech_that_is_too_little_is_refused():
    with pytest.raises(InputError, match="sync scorer: expected at least 2 clips of speech to learn from, got 1"):
        train_scorer([spoken_clip(0)], CONFIG, SyncSizes(), "")
    faceless = [SpokenClip(c.name, np.full_like(c.landmarks_px, np.nan), c.samples) for c in map(spoken_clip, (0, 1))]
    with pytest.raises(InputError, match="sync scorer: expected clips with a face, got none"):
        train_scorer(faceless, CONFIG, SyncSizes(), "")


def test_the_command_trains_on_the_test_clips_and_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = write_made_dataset(tmp_path / "made", MadeSpeaker(train_clips=1, test_clips=2))
    out = tmp_path / "scorer.safetensors"
    assert sync_training.main([str(data), "--out", str(out), "--steps", "2", "--folds", "2"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["speech"] == "made, split test, 2 clips, 2 s"
    assert set(load_scorer(out).origin.fold_of_clip.values()) == {0, 1}
    assert sync_training.main([str(tmp_path / "nowhere"), "--out", str(out)]) == 2
    assert "expected a dataset with dataset.json, found none" in capsys.readouterr().err
