"""Picture measures against values worked by hand, and against the training loss."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gstalker.runtime.metrics import DifferenceStats, difference_stats, mean_squared_error, psnr, ssim, ssim_map


def _pair(seed: int = 2, shape: tuple[int, int, int] = (40, 50, 3)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y, x, c = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    a = 0.5 + 0.4 * np.sin(x / 6 + c) * np.cos(y / 5)
    return a, np.clip(a + rng.normal(0, 0.04, shape), 0, 1)


def test_psnr_is_the_decibels_of_the_mean_squared_error() -> None:
    a = np.full((4, 5, 3), 0.5)
    assert psnr(a, a + 0.1) == pytest.approx(20.0, abs=1e-9)
    assert psnr(a, a + 0.01) == pytest.approx(40.0, abs=1e-9)
    one_level = np.zeros((4, 5, 3), np.uint8)
    assert psnr(one_level, one_level + np.uint8(1)) == pytest.approx(20 * math.log10(255), abs=1e-9)


def test_equal_pictures_are_infinitely_alike_and_nan_is_not_hidden() -> None:
    a, b = _pair()
    assert psnr(a, a) == math.inf
    assert ssim(a, a) == pytest.approx(1.0, abs=1e-12)
    b[0, 0, 0] = math.nan
    assert math.isnan(psnr(a, b))
    assert math.isnan(ssim(a, b))


def test_bytes_and_floats_of_the_same_colours_compare_as_equal() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    assert psnr(levels, levels.astype(np.float64) / 255) == math.inf
    assert psnr(levels, levels.astype(np.float32) / np.float32(255)) > 130


def test_box_and_mask_look_at_their_pixels_alone() -> None:
    a = np.zeros((10, 12, 3))
    b = a.copy()
    b[2:5, 3:7] = 0.1
    assert mean_squared_error(a, b) == pytest.approx(0.01 * 12 / 120)
    assert psnr(a, b, box=(3, 2, 7, 5)) == pytest.approx(20.0)
    assert psnr(a, b, box=(7, 2, 12, 5)) == math.inf
    mask = np.zeros((10, 12), bool)
    mask[4:6, 3:7] = True
    assert mean_squared_error(a, b, mask=mask) == pytest.approx(0.005)
    assert mean_squared_error(a, b, mask=mask, box=(0, 0, 12, 5)) == pytest.approx(0.01)
    weights = np.where(mask, 0.25, 0.0)
    assert mean_squared_error(a, b, mask=weights) == pytest.approx(0.005)


def test_ssim_of_flat_pictures_is_the_luminance_term_inside() -> None:
    """Eleven taps away from the border nothing of the outside is seen, and the variances vanish."""
    values = ssim_map(np.full((30, 30, 1), 0.2), np.full((30, 30, 1), 0.6))
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    np.testing.assert_allclose(values[5:-5, 5:-5], expected, rtol=1e-9)
    assert values[0, 0, 0] != pytest.approx(expected, rel=1e-3)


def test_ssim_is_the_training_losss() -> None:
    """Both in float64: only the order of sums differs."""
    torch = pytest.importorskip("torch", reason="torch is not installed (extra 'train')")
    from gstalker.kernels.ssim import ssim_torch

    a, b = _pair()
    assert ssim(a, b) == pytest.approx(ssim_torch(torch.from_numpy(a), torch.from_numpy(b)).item(), abs=1e-12)


def test_ssim_over_a_box_is_the_mean_of_its_map_there() -> None:
    a, b = _pair()
    assert ssim(a, b, box=(5, 6, 20, 30)) == pytest.approx(ssim_map(a, b)[6:30, 5:20].mean())
    assert ssim(a, b, box=(5, 6, 20, 30)) != pytest.approx(ssim(a, b), abs=1e-6)


def test_more_noise_scores_worse() -> None:
    a, _ = _pair()
    noise = np.random.default_rng(1).normal(0, 1, a.shape)
    for measure in (psnr, ssim):
        scores = [measure(a, a + level * noise) for level in (0.01, 0.03, 0.1)]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] > scores[2]


def test_difference_stats_find_the_worst_pixel_and_count_the_visible_ones() -> None:
    a = np.full((10, 20, 3), 100, np.uint8)
    b = a.copy()
    b[3, 4, 1] += 2  # two levels do not count as visible
    b[5, 6, 0] -= 3
    b[7, 8, 2] += 50
    stats = difference_stats(a, b)
    mse = (2**2 + 3**2 + 50**2) / 255**2 / a.size
    assert stats.psnr_db == pytest.approx(-10 * math.log10(mse))
    assert stats.worst_255 == pytest.approx(50)
    assert stats.visible_share == pytest.approx(2 / 200)
    assert (stats.worst_x_px, stats.worst_y_px) == (8, 7)


def test_difference_stats_of_equal_and_of_broken_pictures() -> None:
    a = np.full((4, 5, 3), 0.5)
    assert difference_stats(a, a) == DifferenceStats(math.inf, 0.0, 0.0, 0, 0)
    broken = a.copy()
    broken[2, 3, 0] = math.nan
    stats = difference_stats(a, broken)
    assert stats.worst_255 == math.inf
    assert (stats.worst_x_px, stats.worst_y_px) == (3, 2)
    assert stats.visible_share == pytest.approx(1 / 20)
    assert math.isnan(stats.psnr_db)


def test_refusals_say_what_was_expected() -> None:
    a = np.zeros((4, 6, 3))
    with pytest.raises(ValueError, match=r"two of one shape \(H, W, C\), got \(4, 6, 3\) and \(6, 4, 3\)"):
        psnr(a, np.zeros((6, 4, 3)))
    with pytest.raises(ValueError, match=r"two of one shape \(H, W, C\), got \(4, 6\) and \(4, 6\)"):
        ssim(a[..., 0], a[..., 0])
    with pytest.raises(ValueError, match=r"expected uint8 or floating point 0\.\.1, got int64"):
        difference_stats(a.astype(np.int64), a)
    with pytest.raises(ValueError, match=r"box: .* inside a picture of 6 x 4 px, got \(0, 0, 4, 6\)"):
        psnr(a, a, box=(0, 0, 4, 6))
    with pytest.raises(ValueError, match=r"box: "):
        ssim(a, a, box=(3, 1, 3, 2))
    with pytest.raises(ValueError, match=r"mask: expected shape \(4, 6\) like the pictures, got \(6, 4\)"):
        psnr(a, a, mask=np.ones((6, 4)))
    with pytest.raises(ValueError, match=r"mask: expected at least one pixel"):
        psnr(a, a, mask=np.zeros((4, 6), bool))
