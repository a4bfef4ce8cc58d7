from __future__ import annotations

import numpy as np
import pytest
from helpers.portrait_video import face_points

from gstalker.runtime import landmarks as lm
from gstalker.runtime import regions

CENTRE = (128.0, 100.0)
HALF = (50.0, 64.0)


@pytest.fixture
def face() -> np.ndarray:
    return face_points(CENTRE, HALF)[:, :2]


def test_the_mouth_box_is_64_by_48_about_the_lips_at_256_px(face: np.ndarray):
    x0, y0, x1, y1 = regions.mouth_box(face, 256)
    assert (x1 - x0, y1 - y0) == (64, 48)
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == (128, 132)  # lips lie half a face's half height below the middle
    assert all(isinstance(v, int) for v in (x0, y0, x1, y1))


def test_boxes_scale_with_the_picture(face: np.ndarray):
    x0, y0, x1, y1 = regions.mouth_box(face * 2, 512)
    assert (x1 - x0, y1 - y0) == (128, 96)
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == (256, 264)


@pytest.mark.parametrize("shift", [(-120.0, 0.0), (120.0, 0.0), (0.0, -140.0), (0.0, 140.0)])
def test_boxes_keep_their_size_at_the_picture_s_edge(face: np.ndarray, shift: tuple[float, float]):
    moved = face + np.array(shift)
    for x0, y0, x1, y1 in (regions.mouth_box(moved, 256), *regions.eye_boxes(moved, 256)):
        assert x0 >= 0
        assert y0 >= 0
        assert x1 <= 256
        assert y1 <= 256
    x0, y0, x1, y1 = regions.mouth_box(moved, 256)
    assert (x1 - x0, y1 - y0) == (64, 48)


def test_the_right_eye_s_box_is_on_the_picture_s_left_and_a_blink_does_not_move_it(face: np.ndarray):
    right, left = regions.eye_boxes(face, 256)
    assert right[2] <= left[0] + 8
    assert right[0] < left[0]
    shut = face.copy()
    shut[list(lm.RIGHT_LIDS), 1] = shut[list(lm.RIGHT_LIDS), 1].mean()
    assert regions.eye_boxes(shut, 256) == (right, left)


def test_openings_are_the_distances_of_the_middles(face: np.ndarray):
    frames = np.stack([face, face])
    frames[1, lm.LIP_OPENING[1], 1] += 7
    frames[1, lm.LEFT_LIDS[1], 1] += 3
    lips, eyes = regions.lip_opening_px(frames), regions.eye_opening_px(frames)
    assert lips.shape == (2,)
    assert lips[1] - lips[0] == pytest.approx(7, abs=1e-4)
    assert eyes.shape == (2, 2)
    assert (eyes[1] - eyes[0]).tolist() == pytest.approx([0, 3], abs=1e-4)


def test_head_and_torso_share_the_person_without_overlap(face: np.ndarray):
    matte = np.zeros((256, 256), np.uint8)
    matte[30:, 60:200] = 255
    head, torso = regions.head_torso_masks(face, matte)
    assert not (head & torso).any()
    np.testing.assert_array_equal(head | torso, matte >= regions.MATTE_PERSON)
    assert head[100, 128], "the middle of the face is head"
    chin_y = int(face[152, 1])
    assert head[chin_y - 2, 128]
    assert torso[chin_y + 2, 128]
    assert torso[250, 70]


def test_a_mask_of_a_square_counts_pixel_centres():
    square = np.array([[2.0, 1.0], [6.0, 1.0], [6.0, 4.0], [2.0, 4.0]])
    expected = np.zeros((6, 8), bool)
    expected[1:4, 2:6] = True
    np.testing.assert_array_equal(regions.polygon_mask(square, 6, 8), expected)


def test_the_face_mask_is_the_oval_s_ellipse(face: np.ndarray):
    mask = regions.face_mask(face, 256, 256)
    # A polygon of 36 corners has 0.995 of its ellipse's area.
    assert mask.sum() == pytest.approx(np.pi * HALF[0] * HALF[1], rel=0.01)
    assert mask[100, 128]
    assert not mask[20, 20]
