"""Captured pictures read back with their frame and camera, or are refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.made_session import CAMERA, SIZE_PX
from PIL import Image

from gstalker.runtime.errors import InputError
from gstalker.runtime.session.captures import read_captures, write_capture


def write_two(folder: Path) -> np.ndarray:
    rgb = np.random.default_rng(1).uniform(0, 1, (SIZE_PX, SIZE_PX, 3))
    write_capture(folder, 12, CAMERA, rgb, "a test")
    write_capture(folder, 3, CAMERA, 1 - rgb, "a test")
    return rgb


def test_captures_read_back_in_order_of_their_frames(tmp_path: Path):
    rgb = write_two(tmp_path / "pictures")
    first, second = read_captures(tmp_path / "pictures")
    assert (first.frame_index, second.frame_index, second.name) == (3, 12, "frame_000012")
    assert second.drawn_by == "a test"
    assert second.background_rgb == ()
    np.testing.assert_array_equal(second.camera.viewmat, CAMERA.viewmat)
    np.testing.assert_array_equal(second.camera.K, CAMERA.K)
    # Eight bits round by half a level.
    assert np.abs(second.rgb - rgb).max() <= 0.5 / 255 + 1e-12


def test_colours_beyond_the_display_are_clipped(tmp_path: Path):
    path = write_capture(tmp_path, 0, CAMERA, np.full((SIZE_PX, SIZE_PX, 3), [2.0, -1.0, 0.5]), "a test")
    assert np.asarray(Image.open(path))[0, 0].tolist() == [255, 0, 128]


def change(folder: Path, **changes: object) -> None:
    path = folder / "frame_000012.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format_version": 9}, "expected capture format 1, got 9"),
        ({"background_rgb": [0.5]}, "expected background_rgb of three numbers or none, got 1"),
        ({"frame_index": "twelve"}, "frame_index: expected a value of type int"),
        ({"camera": {"viewmat": [[1.0]], "K": [[1.0]], "width_px": 32, "height_px": 32}}, "expected viewmat"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, object], text: str):
    write_two(tmp_path)
    change(tmp_path, **changes)
    with pytest.raises(InputError, match=text):
        read_captures(tmp_path)


def test_a_folder_without_pictures_is_refused(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="expected a folder of captured pictures"):
            read_captures(folder)


def test_a_picture_without_its_description_is_refused(tmp_path: Path):
    write_two(tmp_path)
    (tmp_path / "frame_000012.json").unlink()
    with pytest.raises(InputError, match=r"expected frame_000012\.json beside it with the frame and camera"):
        read_captures(tmp_path)


def test_a_picture_of_another_size_is_refused(tmp_path: Path):
    write_two(tmp_path)
    Image.new("RGB", (40, 30)).save(tmp_path / "frame_000012.png")
    with pytest.raises(InputError, match=r"expected 32 x 32 px as frame_000012\.json says, got 40 x 30"):
        read_captures(tmp_path)


def test_what_is_no_picture_is_refused(tmp_path: Path):
    write_two(tmp_path)
    (tmp_path / "frame_000012.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="expected a PNG picture, could not read it"):
        read_captures(tmp_path)
