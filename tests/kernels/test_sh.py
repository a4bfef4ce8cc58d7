from __future__ import annotations

import numpy as np
import pytest
from helpers.splat_scenes import one_splat, plain_camera
from scipy.special import sph_harm_y

from gstalker.kernels.sh import evaluate_sh, view_colors


def real_harmonic(degree: int, order: int, directions: np.ndarray) -> np.ndarray:
    """Real spherical harmonic from SciPy's complex ones, with the Condon-Shortley phase left in as 3DGS does."""
    x, y, z = directions.T
    complex_value = sph_harm_y(degree, abs(order), np.arccos(z), np.arctan2(y, x))
    if order == 0:
        return complex_value.real
    return np.sqrt(2) * (complex_value.imag if order < 0 else complex_value.real)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_every_basis_function_is_scipys(degree: int):
    """Tolerance: the constants carry 16 digits, arccos and arctan2 lose a few near the poles."""
    rng = np.random.default_rng(degree)
    directions = rng.normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for order in range(-degree, degree + 1):
        coeffs = np.zeros((200, (degree + 1) ** 2, 3))
        coeffs[:, degree * degree + degree + order] = 1.0
        ours = evaluate_sh(coeffs, directions)[:, 0] - 0.5
        np.testing.assert_allclose(ours, real_harmonic(degree, order, directions), atol=1e-12)


def test_the_length_of_the_direction_does_not_matter():
    rng = np.random.default_rng(1)
    coeffs, directions = rng.normal(size=(50, 16, 3)), rng.normal(size=(50, 3))
    np.testing.assert_allclose(evaluate_sh(coeffs, directions), evaluate_sh(coeffs, 7.5 * directions), atol=1e-13)


@pytest.mark.parametrize("bands", [1, 4, 9, 16])
def test_a_gaussian_at_the_camera_has_a_finite_color(bands: int):
    assert np.isfinite(evaluate_sh(np.ones((3, bands, 3)), np.zeros((3, 3)))).all()


def test_colors_are_clamped_at_black_and_not_at_white():
    cloud = one_splat(color=(-0.5, 0.3, 1.7))
    np.testing.assert_allclose(view_colors(cloud, plain_camera()), [[0.0, 0.3, 1.7]], atol=1e-6)
