"""What training keeps of the person: the controls that it chose, and the table of what was seen."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from made_dataset import MadeSpeaker, write_made_dataset

from gstalker.export.asked_faces import asked_faces, seen_of_samples
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.expression import ExpressionConfig, choose_controls
from gstalker.runtime.model.audio_encoder import AudioEncoderConfig
from gstalker.runtime.model.avatar import AvatarConfig
from gstalker.runtime.model.driving_samples import DrivingSamples
from gstalker.runtime.model.settings import config_from_json
from gstalker.runtime.poses import avatar_space
from gstalker.runtime.seen import Emotion, Seen
from gstalker.runtime.train import frames
from gstalker.runtime.train.config import PRESETS
from gstalker.runtime.train.keep_samples import driving_samples
from gstalker.runtime.train.keep_seen import person_seen

LIDS = ("eyeBlinkLeft", "eyeBlinkRight")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three clips of a made speaker who blinks and moves nothing else of the upper face."""
    speaker = MadeSpeaker(train_clips=3, test_clips=0)
    return Dataset(write_made_dataset(tmp_path_factory.mktemp("made") / "dataset", speaker))


@pytest.fixture(scope="module")
def kept(dataset: Dataset) -> tuple[DrivingSamples, Seen]:
    names = [c.name for c in dataset.clips("train")]
    space = avatar_space(dataset)
    tracks = frames.frame_tracks(dataset, names, space, AudioEncoderConfig(), None, LIDS)
    pictures = frames.PictureStore(dataset, names)
    pictures.wait()
    return driving_samples(dataset, names, tracks, pictures, space, LIDS), person_seen(dataset, names, tracks, LIDS)


def test_only_what_moves_is_chosen(dataset: Dataset):
    assert choose_controls(dataset, [c.name for c in dataset.clips("train")], ExpressionConfig()) == LIDS


def test_samples_have_the_columns_of_the_controls(kept: tuple[DrivingSamples, Seen]):
    samples, _ = kept
    assert samples.expression.shape[1] == samples.idle_expression.shape[1] == len(samples.expression_low) == 2


def test_the_table_has_every_tracked_weight_and_the_head_pose(kept: tuple[DrivingSamples, Seen]):
    samples, seen = kept
    by_name = {r.name: r for r in seen.ranges}
    assert by_name["eyeBlinkLeft"].control
    assert by_name["eyeBlinkLeft"].high == pytest.approx(float(samples.expression_high[0]), abs=1e-6)
    assert not by_name["browInnerUp"].control
    turn = by_name["head turn"]
    assert (turn.low, turn.high) == pytest.approx((samples.head_pose_low[1], samples.head_pose_high[1]), abs=1e-6)
    assert turn.unit == "rad"
    assert seen.emotions == ()


def test_a_run_without_a_table_gets_one_from_its_samples(kept: tuple[DrivingSamples, Seen]):
    samples, _ = kept
    seen = seen_of_samples(samples, LIDS)
    assert [r.name for r in seen.ranges] == list(LIDS)
    low, high = samples.expression_low, samples.expression_high
    assert seen.problem({n: (float(low[e]), float(high[e])) for e, n in enumerate(LIDS)}) == ""


def test_the_faces_that_may_be_asked_for_are_ends_of_controls_and_emotions_with_lids_open_and_shut(
    kept: tuple[DrivingSamples, Seen],
):
    samples, _ = kept
    seen = Seen((), (Emotion("sad", 0.5, {"eyeBlinkRight": 0.25}),))
    faces = asked_faces(samples, seen, LIDS)
    assert faces.shape == (2 * (3 + 2 * 2 + 1), 2)
    assert any(np.allclose(face[1], 0.25) for face in faces)
    assert (faces[len(faces) // 2 :] == samples.expression_high).all()


def test_a_run_from_before_controls_were_chosen_hears_nine_weights_as_tracked():
    fields = json.loads(json.dumps(dataclasses.asdict(PRESETS["preview"].with_controls(LIDS).avatar)))
    assert config_from_json(AvatarConfig, fields, "run").controls == LIDS
    del fields["controls"], fields["blinks_apart"]
    earlier = config_from_json(AvatarConfig, fields, "run")
    assert len(earlier.controls) == 9
    assert not earlier.blinks_apart


def test_the_cost_of_choosing_is_that_of_reading_tracks(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    def no_pictures(*_: object) -> None:
        raise AssertionError("choosing controls decodes no pictures")

    monkeypatch.setattr(Dataset, "load", no_pictures)
    names = [c.name for c in dataset.clips("train")]
    assert choose_controls(dataset, names, ExpressionConfig(gaze=False)) == LIDS
