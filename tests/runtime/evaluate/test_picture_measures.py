"""Errors by region."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.talking_disc import make_clip

from gstalker.runtime.evaluate.picture_measures import (
    PSNR_CAP_DB,
    REGIONS,
    as_bytes,
    frame_regions,
    psnr_from_mse,
    squared_errors,
)

CLIP = make_clip("a", "test", 1, frames=4)
WHERE = frame_regions(CLIP, 2)


def test_head_torso_outline_and_backdrop_share_no_pixel_and_leave_none_out():
    counted = np.sum([m.astype(int) for m in WHERE.masks.values()], axis=0)
    assert (counted == 1).all()
    assert all(m.any() for m in WHERE.masks.values())


def test_the_outline_is_a_band_of_both_sides():
    matte = CLIP.matte[2] > 0
    band = WHERE.masks["silhouette"]
    edge = matte[1:] != matte[:-1]
    assert band[1:][edge].all()
    assert band[:-1][edge].all()
    assert (band & matte).any()
    assert (band & ~matte).any()


def test_equal_pictures_reach_the_cap_and_no_more():
    errors = squared_errors(CLIP.rgb[2], CLIP.rgb[2], WHERE)
    assert set(errors) == set(REGIONS)
    assert set(errors.values()) == {0.0}
    assert psnr_from_mse(np.array(errors["full"])) == PSNR_CAP_DB


def test_a_uniform_error_has_its_closed_form_psnr_everywhere():
    real = CLIP.rgb[2]
    rendered = (real.astype(int) + 10 * np.where(real > 127, -1, 1)).astype(np.uint8)
    for region, mse in squared_errors(rendered, real, WHERE).items():
        assert psnr_from_mse(np.array(mse)) == pytest.approx(20 * np.log10(255 / 10), abs=1e-4), region


@pytest.mark.parametrize("region", ["head", "torso", "silhouette", "backdrop"])
def test_an_error_in_one_region_is_counted_there_alone(region: str):
    rendered = CLIP.rgb[2].copy()
    rendered[WHERE.masks[region]] ^= 16
    errors = squared_errors(rendered, CLIP.rgb[2], WHERE)
    others = set(WHERE.masks) - {region}
    assert errors[region] == pytest.approx((16 / 255) ** 2)
    assert all(errors[o] == 0 for o in others)
    assert errors["full"] == pytest.approx((16 / 255) ** 2 * WHERE.masks[region].mean())


def test_an_error_of_the_mouth_is_far_larger_in_its_box():
    rendered = CLIP.rgb[2].copy()
    x0, y0, x1, y1 = WHERE.mouth
    rendered[y0:y1, x0:x1] ^= 8
    errors = squared_errors(rendered, CLIP.rgb[2], WHERE)
    assert errors["mouth"] == pytest.approx((8 / 255) ** 2)
    assert errors["eyes"] == 0


def test_an_empty_region_has_no_figure():
    bare = make_clip("b", "test", 1, frames=1)
    bare.matte[:] = 0
    errors = squared_errors(bare.rgb[0], bare.rgb[0], frame_regions(bare, 0))
    assert np.isnan(errors["head"])
    assert np.isnan(psnr_from_mse(np.array(errors["head"])))


def test_pictures_are_rounded_and_clipped_as_a_screen_would():
    floats = np.array([[[-0.2, 0.5, 1.7]]], np.float32)
    np.testing.assert_array_equal(as_bytes(floats), [[[0, 128, 255]]])


def test_a_picture_with_nan_is_refused():
    with pytest.raises(ValueError, match="expected finite colours"):
        as_bytes(np.full((1, 1, 3), np.nan, np.float32))
