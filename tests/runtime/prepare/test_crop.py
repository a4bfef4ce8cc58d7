from __future__ import annotations

import numpy as np
import pytest
from helpers.portrait_video import face_points

from gstalker.runtime.prepare.crop import Crop, choose_crop


def looking(centre: tuple[float, float], half: tuple[float, float], count: int = 10) -> np.ndarray:
    return np.repeat(face_points(centre, half)[None], count, axis=0)


def test_a_small_picture_is_used_to_its_trimmed_full_height_about_the_face():
    crop = choose_crop(looking((150.0, 160.0), (55.0, 72.0)), 360, 288, 256)
    assert (crop.side, crop.y0) == (284, 2)  # 1 % of 288 is 2 whole rows, above and below
    assert crop.x0 == 150 - 142
    assert crop.scale == pytest.approx(256 / 284)


def test_a_large_picture_is_cut_to_the_face_s_surroundings():
    crop = choose_crop(looking((900.0, 500.0), (150.0, 200.0)), 1920, 1080, 256)
    assert crop.side == pytest.approx(2.4 * 400, abs=1)
    assert crop.x0 + crop.side / 2 == pytest.approx(900, abs=1)
    assert crop.y0 + crop.side / 2 == pytest.approx(500 if crop.y0 > 10 else 490, abs=60)


def test_a_face_at_the_border_still_gives_a_square_inside_the_picture():
    crop = choose_crop(looking((30.0, 60.0), (55.0, 72.0)), 360, 288, 256)
    assert crop.x0 == 2
    assert crop.x0 + crop.side <= 358
    assert crop.y0 + crop.side <= 286


def test_a_face_that_wanders_is_kept_in_the_square():
    wander = np.concatenate([looking((x, 400.0), (80.0, 110.0), 5) for x in (400.0, 600.0, 800.0, 1000.0)])
    crop = choose_crop(wander, 1920, 1080, 256)
    assert crop.x0 <= 320
    assert crop.x0 + crop.side >= 1080


def test_landmarks_and_picture_are_cropped_alike():
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[60:64, 100:104] = 255  # a mark whose middle is (102, 62)
    crop = Crop(40, 10, 100, 50)
    cut = crop.picture(picture)
    assert cut.shape == (50, 50, 3)
    rows, columns = np.nonzero(cut[..., 0])
    middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    moved = crop.landmarks(np.array([[102.0, 62.0, 8.0]]))[0]
    np.testing.assert_allclose(middle, moved[:2])
    assert moved[2] == pytest.approx(4.0), "depth is scaled, not moved"


def test_a_crop_of_the_right_size_changes_no_byte():
    picture = np.random.default_rng(seed=1).integers(0, 256, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(Crop(0, 0, 64, 64).picture(picture), picture)
