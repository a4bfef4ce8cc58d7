"""The baseline that looks frames up by their sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.talking_disc import make_clip, write_dataset

from gstalker.runtime.dataset import Dataset, read_lossless_video
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.nearest import NearestByAudio, read_frames


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    clips = [make_clip("a", "train", 1, 30), make_clip("b", "train", 2, 30), make_clip("c", "test", 3, 30)]
    return Dataset(write_dataset(tmp_path_factory.mktemp("nearest"), clips))


def test_a_training_sound_finds_its_own_frames(dataset: Dataset):
    clip = dataset.load("b")
    nearest = NearestByAudio(dataset)
    found = nearest.neighbours(clip.samples, 30)
    # Stretches of silence at a clip's ends are alike.
    assert np.mean([f == ("b", t) for t, f in enumerate(found)]) >= 0.9
    picture = next(nearest.pictures(clip, [12]))
    np.testing.assert_array_equal(np.round(picture * 255).astype(np.uint8), clip.rgb[12])


def test_pictures_come_from_training_clips_in_the_order_asked_for(dataset: Dataset):
    clip = dataset.load("c")
    nearest = NearestByAudio(dataset)
    found = nearest.neighbours(clip.samples, 30)
    assert {name for name, _ in found} <= {"a", "b"}
    wanted = [20, 3, 20]
    rgb = {name: dataset.load(name).rgb for name in ("a", "b")}
    for t, picture in zip(wanted, nearest.pictures(clip, wanted), strict=True):
        name, frame = found[t]
        np.testing.assert_array_equal(np.round(picture * 255).astype(np.uint8), rgb[name][frame])


def test_a_dataset_without_training_clips_is_refused(tmp_path: Path):
    folder = write_dataset(tmp_path / "d", [make_clip("c", "test", 3, 4)])
    with pytest.raises(InputError, match="expected training clips to look frames up in, found none"):
        NearestByAudio(Dataset(folder))


def test_single_frames_are_the_frames_of_the_whole(dataset: Dataset):
    path = dataset.clip_folder("a") / "frames.mkv"
    whole = read_lossless_video(path, "rgb24", 30)
    some = read_frames(path, [29, 0, 13])
    assert sorted(some) == [0, 13, 29]
    for frame, picture in some.items():
        np.testing.assert_array_equal(picture, whole[frame])


def test_a_frame_past_the_end_is_refused(dataset: Dataset):
    with pytest.raises(InputError, match="expected a frame 31, found none"):
        read_frames(dataset.clip_folder("a") / "frames.mkv", [31])


def test_a_missing_video_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="expected a video, could not read it"):
        read_frames(tmp_path / "frames.mkv", [0])
