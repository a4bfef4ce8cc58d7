"""How far one picture is from another, in NumPy: what `validate` reports, with no torch.

Pictures are (H, W, C), uint8 or floating point 0..1, display space; two of different kinds may be compared. All
arithmetic is float64. Boxes are (x0, y0, x1, y1) in pixels, x1 and y1 one past the end; masks are (H, W), bool or
weights 0..1.

Decibels do not average: keep mean squared errors, average those, and convert at the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate1d

Box = tuple[int, int, int, int]

VISIBLE_255 = 2.0
"""A pixel counts as off when any of its channels differs by more than this many 255ths."""

_SSIM_TAPS = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
_SSIM_TAPS /= _SSIM_TAPS.sum()
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


def mean_squared_error(
    a: np.ndarray, b: np.ndarray, *, mask: np.ndarray | None = None, box: Box | None = None
) -> float:
    """Mean squared difference of colours 0..1 over the pixels and channels asked for.

    Args:
        a, b: pictures.
        mask: (H, W) weights of the pixels; with a box, both count.
        box: the part to look at; it must lie inside the picture.

    Raises:
        ValueError: pictures, mask or box that do not fit each other, or nothing to look at.
    """
    a, b = _colours(a, b)
    squared = ((a - b) ** 2).mean(axis=2)
    if mask is None and box is None:
        return float(squared.mean())
    weights = np.ones(squared.shape) if mask is None else np.asarray(mask, np.float64)
    if weights.shape != squared.shape:
        raise ValueError(f"mask: expected shape {squared.shape} like the pictures, got {weights.shape}.")
    if box is not None:
        inside = _slices(box, squared.shape)
        squared, weights = squared[inside], weights[inside]
    total = weights.sum()
    if not total > 0:
        raise ValueError("mask: expected at least one pixel to look at, got none.")
    return float((squared * weights).sum() / total)


def psnr_from_mse(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of colours 0..1; `math.inf` for an error of zero."""
    return math.inf if mse == 0 else -10 * math.log10(mse)


def psnr(a: np.ndarray, b: np.ndarray, *, mask: np.ndarray | None = None, box: Box | None = None) -> float:
    """Peak signal-to-noise ratio in dB, peak 1; `math.inf` where the pictures are equal, NaN where one holds NaN.

    Infinity is the true value and no JSON number: who writes a report decides how to show it.
    Arguments and errors are those of `mean_squared_error`.
    """
    return psnr_from_mse(mean_squared_error(a, b, mask=mask, box=box))


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Structural similarity of each pixel and channel, (H, W, C) float64 in -1..1.

    The 11 x 11 Gaussian window of sigma 1.5 px, C1 = 0.01^2, C2 = 0.03^2, zero outside the picture: the same as
    `kernels.ssim`, which trains with it.

    Raises:
        ValueError: pictures that do not fit each other.

    Source: Wang et al. 2004, 'Image quality assessment: from error visibility to structural similarity'.
    """
    a, b = _colours(a, b)
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a, variance_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _SSIM_C1) / (mean_a**2 + mean_b**2 + _SSIM_C1)
    return luminance * (2 * covariance + _SSIM_C2) / (variance_a + variance_b + _SSIM_C2)


def ssim(a: np.ndarray, b: np.ndarray, *, box: Box | None = None) -> float:
    """Mean structural similarity, 1 for equal pictures; over a box, windows still look at what is around it.

    Raises:
        ValueError: pictures or a box that do not fit each other.
    """
    values = ssim_map(a, b)
    if box is not None:
        values = values[_slices(box, values.shape[:2])]
    return float(values.mean())


@dataclass(frozen=True)
class DifferenceStats:
    """How two pictures differ, for a report.

    Attributes:
        psnr_db: over the whole picture; `math.inf` where they are equal.
        worst_255: largest difference of any channel, in 255ths.
        visible_share: share of the pixels with a channel off by more than VISIBLE_255.
        worst_x_px, worst_y_px: column and row of the pixel of the largest difference (the first such).
    """

    psnr_db: float
    worst_255: float
    visible_share: float
    worst_x_px: int
    worst_y_px: int


def difference_stats(a: np.ndarray, b: np.ndarray) -> DifferenceStats:
    """PSNR, the largest difference and where it is, and how many pixels are visibly off.

    A pixel that is not a number in either picture counts as the worst there can be (infinitely far off).

    Raises:
        ValueError: pictures that do not fit each other.
    """
    a, b = _colours(a, b)
    off_255 = 255 * np.abs(a - b).max(axis=2)
    off_255 = np.where(np.isnan(off_255), np.inf, off_255)
    y, x = np.unravel_index(int(np.argmax(off_255)), off_255.shape)
    # A difference of exactly two levels must not count for the last bit of its division by 255.
    visible = off_255 > VISIBLE_255 + 1e-6
    return DifferenceStats(
        psnr_db=psnr(a, b),
        worst_255=float(off_255[y, x]),
        visible_share=float(visible.mean()),
        worst_x_px=int(x),
        worst_y_px=int(y),
    )


def _blur(picture: np.ndarray) -> np.ndarray:
    return correlate1d(correlate1d(picture, _SSIM_TAPS, 0, mode="constant"), _SSIM_TAPS, 1, mode="constant")


def _colours(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures as float64 0..1."""
    if a.shape != b.shape or a.ndim != 3 or a.size == 0:
        raise ValueError(f"pictures: expected two of one shape (H, W, C), got {a.shape} and {b.shape}.")
    return _as_colours(a), _as_colours(b)


def _as_colours(picture: np.ndarray) -> np.ndarray:
    if picture.dtype == np.uint8:
        return picture / 255.0
    if np.issubdtype(picture.dtype, np.floating):
        return picture.astype(np.float64, copy=False)
    raise ValueError(f"pictures: expected uint8 or floating point 0..1, got {picture.dtype}.")


def _slices(box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    x0, y0, x1, y1 = box
    height, width = shape[:2]
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ValueError(f"box: expected (x0, y0, x1, y1) inside a picture of {width} x {height} px, got {box}.")
    return slice(y0, y1), slice(x0, x1)
