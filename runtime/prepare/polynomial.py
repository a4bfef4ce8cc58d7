"""A smooth backdrop as a polynomial of the picture coordinates, one a channel, fitted robustly."""

from __future__ import annotations

import numpy as np

PIXELS_FITTED = 8_000
ROBUST_ROUNDS = 4
TUKEY = 4.7  # spreads beyond which a pixel has no say


def fit_plate(pictures: np.ndarray, chosen: np.ndarray, order: int) -> tuple[np.ndarray, float]:
    """Fit by iteratively reweighted least squares, so that pixels that are not backdrop lose their say.

    Args:
        pictures: (T, H, W, 3) float32.
        chosen: (T, H, W) bool, pixels to fit.
        order: of the polynomial; its terms are x^i y^j with i + j <= order, x and y in -1..1.

    Returns:
        coefficients (terms, 3) and the robust spread (1.4826 x median distance) of the chosen pixels about it.
    """
    t, y, x = np.nonzero(chosen)
    if len(t) == 0:
        return np.zeros((len(_exponents(order)), 3)), float("inf")
    step = max(1, len(t) // PIXELS_FITTED)
    t, y, x = t[::step], y[::step], x[::step]
    height, width = pictures.shape[1:3]
    basis = _basis(2 * (x + 0.5) / width - 1, 2 * (y + 0.5) / height - 1, order)
    values = pictures[t, y, x].astype(np.float64)
    weight = np.ones(len(values))
    coefficients = np.zeros((basis.shape[1], 3))
    spread = float("inf")
    ridge = 1e-6 * len(values) * np.eye(basis.shape[1])
    for _ in range(ROBUST_ROUNDS):
        weighted = basis * weight[:, None]
        coefficients = np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ values)
        distance = np.abs(values - basis @ coefficients).max(axis=-1)
        spread = 1.4826 * float(np.median(distance))
        weight = np.maximum(0.0, 1.0 - (distance / (TUKEY * max(spread, 1.0))) ** 2) ** 2
    return coefficients, spread


def polynomial_plate(coefficients: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """(H, W, 3) float32 of the fitted polynomial, 0..255."""
    order = 0
    while len(_exponents(order)) < len(coefficients):
        order += 1
    x = 2 * (np.arange(width_px) + 0.5) / width_px - 1
    y = 2 * (np.arange(height_px) + 0.5) / height_px - 1
    grid = np.zeros((order + 1, order + 1, 3))  # of y^j, x^i
    for (i, j), terms in zip(_exponents(order), coefficients, strict=True):
        grid[j, i] = terms
    powers = np.arange(order + 1)
    plate = np.einsum("hj,jic,wi->hwc", y[:, None] ** powers, grid, x[:, None] ** powers, optimize=True)
    return np.clip(plate, 0.0, 255.0).astype(np.float32)


def _exponents(order: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]


def _basis(x: np.ndarray, y: np.ndarray, order: int) -> np.ndarray:
    return np.stack([x**i * y**j for i, j in _exponents(order)], axis=-1)
