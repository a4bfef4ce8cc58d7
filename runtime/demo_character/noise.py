"""Smooth noise for textures, and the hole pattern that gives hair its strand-jagged edge; all scalar numba."""

from __future__ import annotations

import math

import numba as nb


@nb.njit(cache=True)
def _hash01(i: int, j: int) -> float:
    """A repeatable number in 0..1 for a lattice point."""
    n = (i * 374761393 + j * 668265263) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((n ^ (n >> 16)) & 0xFFFFFF) / 16777216.0


@nb.njit(cache=True)
def value_noise(x: float, y: float) -> float:
    """Smooth noise in 0..1 with features of size 1."""
    fx, fy = math.floor(x), math.floor(y)
    i, j = int(fx), int(fy)
    u, v = x - fx, y - fy
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    low = _hash01(i, j) * (1 - u) + _hash01(i + 1, j) * u
    high = _hash01(i, j + 1) * (1 - u) + _hash01(i + 1, j + 1) * u
    return low * (1 - v) + high * v


@nb.njit(cache=True)
def strands(across: float, along: float) -> float:
    """Streaks in 0..1 that run along a lock: thick tresses with finer hairs on them."""
    tress = value_noise(across * 1.3, along * 0.12)
    hair = value_noise(across * 4.7 + 13.0, along * 0.25)
    return 0.55 * tress + 0.45 * hair


@nb.njit(cache=True)
def hair_cutout(across: float, along: float, cover: float) -> float:
    """Below zero where there is no hair. `cover` is 1 inside a lock and falls to 0 at its edge."""
    if cover >= 1.0:
        return 1.0
    tress = value_noise(across * 1.3, along * 0.12)
    hair = value_noise(across * 4.7 + 13.0, along * 0.25)
    return cover - 0.20 * tress - 0.65 * hair - 0.05
