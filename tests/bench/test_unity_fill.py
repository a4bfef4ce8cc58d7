"""The count of fragments: against the obvious way, and against what the package's own vertex function covers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.splat_scenes import one_splat, plain_camera, random_cloud, tilted_camera
from made_bundle import write_made_bundle

from gstalker.bench import unity_fill
from gstalker.kernels import reference
from gstalker.kernels.gaussians import Gaussians, concatenate
from gstalker.runtime.errors import InputError


def scene(count: int = 60) -> tuple[Gaussians, reference.Camera]:
    """Long thin, round, faint and opaque splats, some over the border."""
    camera = tilted_camera(90, 70)
    return random_cloud(count, camera, seed=2, sigma_px=(0.5, 9.0), opacity=(0.005, 1.0)), camera


def test_counts_are_those_of_the_obvious_way():
    """Every pixel centre of the picture asked, for every splat, whether it lies in the square, polygon and ellipse."""
    cloud, camera = scene()
    centres_px, covariances_px2, _ = reference.project_gaussians(cloud, camera)
    x, y = np.meshgrid(np.arange(90) + 0.5, np.arange(70) + 0.5)
    usual, polygons, needed = 0, {4: 0, 8: 0}, 0
    for i in range(len(cloud)):
        offset = np.stack([x - centres_px[i, 0], y - centres_px[i, 1]], axis=-1)
        variances, axes = np.linalg.eigh(covariances_px2[i])
        reach = np.sqrt(2 * np.log(cloud.opacities[i] * 255.0))
        in_reaches = offset @ axes / np.sqrt(variances) / reach
        inside = np.hypot(in_reaches[..., 0], in_reaches[..., 1]) <= 1
        extent_px = reach * np.sqrt(np.diag(covariances_px2[i]))
        if (centres_px[i] + extent_px <= 0).any() or (centres_px[i] - extent_px >= [90, 70]).any():
            continue
        needed += inside.sum()
        half = np.ceil(3 * np.sqrt(variances[1]))
        low, high = centres_px[i] - half, centres_px[i] + half
        usual += ((x >= low[0]) & (x < high[0]) & (y >= low[1]) & (y < high[1])).sum()
        for corners in polygons:
            angles = np.arange(corners) * 2 * np.pi / corners
            within = in_reaches @ np.stack([np.cos(angles), np.sin(angles)])
            polygons[corners] += (within <= 1).all(axis=-1).sum()
    fill = unity_fill.count_fragments(cloud, camera)
    assert (fill.usual, fill.polygons, fill.needed) == (usual, polygons, needed)
    assert needed < polygons[8] < polygons[4] < usual


def test_splats_too_faint_or_too_near_are_not_counted():
    cloud, camera = scene()
    faint = replace(cloud, opacities=np.full(len(cloud), 0.0039, np.float32))
    assert unity_fill.count_fragments(faint, camera).splats == 0
    behind = replace(cloud, means=cloud.means * np.float32([1, 1, -1]))  # type: ignore[call-overload]
    fill = unity_fill.count_fragments(behind, camera)
    assert (fill.splats, fill.usual, fill.needed) == (0, 0, 0)


def test_weights_are_what_a_splat_adds_to_the_picture_at_most():
    """Three splats behind one another, seen along one line: an opaque one leaves a thousandth for the next."""
    camera = plain_camera(32, 32, 100.0)
    cloud = concatenate(
        [
            one_splat(mean_m=(0, 0, z), opacity=o, scales_m=(0.05 * z, 0.05 * z, 0.05 * z))
            for z, o in ((3, 0.8), (1, 0.5), (2, 0.999))
        ]
    )
    weights = unity_fill.largest_weights(cloud, camera)
    # The pixel nearest to the middle is half a pixel off it in x and y: q is 0.5 over the variance.
    falloff = np.exp(-0.25 / (5.0**2 + reference.DILATION_PX2))
    np.testing.assert_allclose(weights[1], 0.5 * falloff, rtol=1e-6)
    np.testing.assert_allclose(weights[2], 0.999 * falloff * (1 - 0.5 * falloff), rtol=1e-6)
    assert 0 < weights[0] < 0.2, "behind both only its rim shows"


def test_a_bundle_is_counted_for_portrait_and_close_up(tmp_path: Path):
    write_made_bundle(tmp_path / "made.gsavatar")
    figures = unity_fill.run(tmp_path / "made.gsavatar")
    assert figures["gaussians"] == 480
    pictures = figures["pictures"]
    assert figures["share"] == max(p["share_octagons"] for p in pictures.values())
    for picture in pictures.values():
        assert picture["share_that_is_needed"] < picture["share_octagons"] < picture["share_rectangles"] < 1
        assert picture["share_octagons_high_quality"] < picture["share_octagons"]
    portrait, close_up = pictures["portrait"], pictures["close_up"]
    assert close_up["fragments_of_octagons"] > 2 * portrait["fragments_of_octagons"]


def test_without_a_bundle_it_says_what_it_wants():
    with pytest.raises(InputError, match=r"bench unity-fill: expected --bundle NAME\.gsavatar, got none\."):
        unity_fill.run()
