"""Motions in the picture plane as matrices, and fits to pictures larger than OpenCV takes in one row."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gstalker.runtime.prepare.picture_fit import (
    Template,
    channels_of,
    rigid_motion_matrix,
    rigid_motion_of,
    stretch_of,
    stretched,
)

SHIFTS, TURNS, STRETCHES = st.floats(-40, 40), st.floats(-0.4, 0.4), st.floats(-0.25, 0.25)


@given(st.tuples(SHIFTS, SHIFTS, TURNS))
def test_a_rigid_motion_comes_back_from_its_matrix(motion: tuple[float, float, float]):
    np.testing.assert_allclose(rigid_motion_of(rigid_motion_matrix(np.array(motion))), motion, atol=1e-12)


@given(st.tuples(SHIFTS, SHIFTS, TURNS), st.tuples(STRETCHES, STRETCHES, STRETCHES))
def test_a_stretch_comes_back_whatever_motion_follows_it(
    motion: tuple[float, float, float], stretch: tuple[float, float, float]
):
    matrix = stretched(rigid_motion_matrix(np.array(motion)), np.array(stretch))
    np.testing.assert_allclose(stretch_of(matrix), stretch, atol=1e-12)


def test_a_region_of_more_pixels_than_opencv_takes_in_a_row_is_found_again():
    size = 512
    noise = np.random.default_rng(5).uniform(0, 255, (size, size)).astype(np.float32)
    blobs = cv2.GaussianBlur(noise, (0, 0), 6.0)
    grey = np.clip(128 + 12 * (blobs - blobs.mean()), 0, 255).astype(np.uint8)
    picture, matte = np.repeat(grey[..., None], 3, axis=2), np.full((size, size), 255, np.uint8)
    region = np.zeros((size, size), bool)
    region[200:480, 60:450] = True
    assert region.sum() > 2**15
    later = np.roll(picture, (3, -5), axis=(0, 1))
    template = Template(channels_of(picture, matte), region, (255.0, 340.0), "rigid", (0.5, 1.0))
    found, _ = template.fit(channels_of(later, matte), rigid_motion_matrix(np.zeros(3)))
    np.testing.assert_allclose(rigid_motion_of(found), [-5, 3, 0], atol=0.02)  # measured 0.0024
