"""Backdrop that the person always hides is told from what some frames show."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from made_dataset import MadeSpeaker, made_clip, write_made_dataset
from PIL import Image

from gstalker.runtime.dataset import Dataset, write_clip
from gstalker.runtime.prepare.contact_sheet import CELL_PX, write_contact_sheet
from gstalker.runtime.prepare.never_seen import plate_seen, striped


def swaying(frames: int) -> np.ndarray:
    """(T, 64, 64) mattes of a person 20 px wide who moves by 10 px."""
    mattes = np.zeros((frames, 64, 64), np.uint8)
    for t in range(frames):
        left = 20 + round(10 * t / (frames - 1))
        mattes[t, 10:, left : left + 20] = 255
    return mattes


def test_only_what_no_frames_show_counts_as_never_seen():
    seen = plate_seen(swaying(21))
    assert seen[:9].all()
    assert not seen[20:, 31:39].any(), "hidden in every frame"
    # At 64 px the margin about a person is one pixel, and three frames have to show a pixel.
    assert seen[20:, :20].all()
    assert seen[20:, 52:].all()
    assert seen[20:, 22].all()


def test_one_hole_in_a_matte_is_no_view_of_the_backdrop():
    mattes = np.full((10, 64, 64), 255, np.uint8)
    mattes[3, 20:40, 20:40] = 0
    assert not plate_seen(mattes).any()
    mattes[4:6, 20:40, 20:40] = 0
    assert plate_seen(mattes)[25:35, 25:35].all()


def test_a_dataset_keeps_what_was_seen_and_one_without_it_says_that_it_is_not_known(tmp_path: Path):
    clip = made_clip(MadeSpeaker(), "clip0", "train", 0)
    folder = write_made_dataset(tmp_path / "dataset")
    assert Dataset(folder).load("clip0").plate_seen is None
    seen = plate_seen(clip.matte)
    write_clip(folder, dataclasses.replace(clip, plate_seen=seen))
    read = Dataset(folder).load("clip0").plate_seen
    assert read is not None
    assert np.array_equal(read, seen)


@pytest.mark.parametrize("known", [True, False])
def test_the_contact_sheet_stripes_what_was_never_seen(tmp_path: Path, known: bool):
    folder = write_made_dataset(tmp_path / "dataset", MadeSpeaker(train_clips=1, test_clips=0))
    clip = Dataset(folder).load("clip0")
    seen = plate_seen(clip.matte)
    if known:
        write_clip(folder, dataclasses.replace(clip, plate_seen=seen))
    write_contact_sheet(folder)
    sheet = np.asarray(Image.open(folder / "contact_sheet.png"))
    plate = sheet[CELL_PX // 4 :, -CELL_PX:].astype(int)  # the made plate is (40, 90, 200)
    pink = (plate[..., 0] > 120) & (plate[..., 1] < 80)
    assert bool(pink.any()) == known
    marked = striped(clip.plate, seen)
    assert np.array_equal(marked[seen], clip.plate[seen])
    assert not np.array_equal(marked[~seen], clip.plate[~seen])
