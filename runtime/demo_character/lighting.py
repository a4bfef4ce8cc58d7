"""How light meets a point: the key light's shadow, skin and cloth, and hair.

Source: wrapped diffuse as a cheap stand-in for scattering (Green 2004, GPU Gems 16); hair after Kajiya and Kay
1989 with the shifted second lobe of Scheuermann 2004.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from gstalker.runtime.demo_character.noise import strands, value_noise

SHADOW_BIAS_M = 0.003
AMBIENT_LOW = np.array([0.30, 0.25, 0.23])  # from below and from above
AMBIENT_HIGH = np.array([0.42, 0.45, 0.52])


@nb.njit(cache=True)
def unit(a: np.ndarray) -> None:
    """Scale a vector (3,) to length 1 in place."""
    length = math.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]) + 1e-12
    a[0], a[1], a[2] = a[0] / length, a[1] / length, a[2] / length


@nb.njit(cache=True)
def lit_share(shadow: np.ndarray, light_from_camera: np.ndarray, k_light: np.ndarray, p: np.ndarray) -> float:
    """0 in the key light's shadow .. 1 lit, over a 3 x 3 neighbourhood of its depth map."""
    x = light_from_camera[0, 0] * p[0] + light_from_camera[0, 1] * p[1] + light_from_camera[0, 2] * p[2]
    y = light_from_camera[1, 0] * p[0] + light_from_camera[1, 1] * p[1] + light_from_camera[1, 2] * p[2]
    z = light_from_camera[2, 0] * p[0] + light_from_camera[2, 1] * p[1] + light_from_camera[2, 2] * p[2]
    x, y, z = x + light_from_camera[0, 3], y + light_from_camera[1, 3], z + light_from_camera[2, 3]
    col = k_light[0, 0] * x / z + k_light[0, 2] - 0.5
    row = k_light[1, 1] * y / z + k_light[1, 2] - 0.5
    i, j = int(row // 1), int(col // 1)
    if i < 2 or j < 2 or i >= shadow.shape[0] - 3 or j >= shadow.shape[1] - 3:
        return 1.0
    fy, fx = row - i, col - j
    lit = 0.0
    for dy in range(-1, 3):
        wy = 1.0 - fy if dy == -1 else (fy if dy == 2 else 1.0)
        for dx in range(-1, 3):
            wx = 1.0 - fx if dx == -1 else (fx if dx == 2 else 1.0)
            if shadow[i + dy, j + dx] + SHADOW_BIAS_M > z:
                lit += wx * wy
    return lit / 9.0


@nb.njit(cache=True)
def dot(a: np.ndarray, b: np.ndarray) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@nb.njit(cache=True)
def light_surface(
    base: np.ndarray,
    n: np.ndarray,
    v: np.ndarray,
    wrap: np.ndarray,
    gloss: float,
    sharp: float,
    sheen: float,
    open_share: float,
    lit: float,
    lights: np.ndarray,
    h: np.ndarray,
    out: np.ndarray,
) -> None:
    """Light leaving skin, eyes, teeth or cloth towards the viewer, into `out` (3,); `h` (3,) is scratch.

    Args:
        base: albedo; n, v: unit normal and direction to the viewer; lights: (3, 2, 3) as in `shade.shade`.
        wrap, gloss, sharp, sheen, open_share, lit: from `textures.finish`.
    """
    key, fill, rim = dot(n, lights[0, 0]), dot(n, lights[1, 0]), dot(n, lights[2, 0])
    sky = 0.5 - 0.5 * n[1]
    grazing = sheen * (1.0 - dot(n, v)) ** 4 * open_share
    for x in range(3):
        w = wrap[x]
        soft = max(0.0, (key + w) / (1.0 + w))
        # Part of the shadow is lit again, most in red: the shadow's edge glows as scattered light does.
        light = lights[0, 1, x] * soft * (0.85 + 0.15 * soft) * (lit + (1.0 - lit) * 0.35 * w)
        light += lights[1, 1, x] * max(0.0, (fill + 0.4) / 1.4) * (0.35 + 0.65 * open_share)
        light += lights[2, 1, x] * max(0.0, rim) * open_share
        light += (AMBIENT_LOW[x] * (1.0 - sky) + AMBIENT_HIGH[x] * sky) * open_share ** (1.0 - 0.45 * w)
        out[x] = base[x] * light + grazing * AMBIENT_HIGH[x]
    if gloss <= 0.0:
        return
    for number in range(2):
        for x in range(3):
            h[x] = lights[number, 0, x] + v[x]
        unit(h)
        strength = gloss * max(0.0, dot(n, h)) ** sharp * (lit if number == 0 else 0.8 * open_share)
        for x in range(3):
            out[x] += lights[number, 1, x] * strength


@nb.njit(cache=True)
def light_hair(
    tex: np.ndarray,
    base: np.ndarray,
    n: np.ndarray,
    v: np.ndarray,
    tangent: np.ndarray,
    lights: np.ndarray,
    lit: float,
    open_share: float,
    is_lash: bool,
    out: np.ndarray,
) -> None:
    """Light leaving hair or a lash towards the viewer, into `out` (3,); `tangent` runs along the strand."""
    streak = strands(tex[0], tex[1])
    fine = value_noise(tex[0] * 2.3, tex[1] * 0.2)
    tint = 0.35 + 1.15 * streak + 0.25 * fine
    if is_lash:
        tint = 1.0
    for x in range(3):
        sky = 0.5 - 0.5 * n[1]
        out[x] = base[x] * tint * open_share * (AMBIENT_LOW[x] * (1 - sky) + AMBIENT_HIGH[x] * sky)
    for number in range(3):
        wrapped = max(0.0, (dot(n, lights[number, 0]) + 0.35) / 1.35)
        shown = (lit if number == 0 else open_share) * wrapped
        hx, hy, hz = lights[number, 0, 0] + v[0], lights[number, 0, 1] + v[1], lights[number, 0, 2] + v[2]
        length = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
        along = (tangent[0] * hx + tangent[1] * hy + tangent[2] * hz) / length
        first, second = along + 0.10 + 0.22 * (streak - 0.5), along - 0.12 + 0.30 * (fine - 0.5)
        shine = max(0.0, 1.0 - first * first) ** 45 * 0.10 * (0.3 + streak)
        glow = max(0.0, 1.0 - second * second) ** 12 * 1.3 * tint
        if is_lash:
            shine, glow = 0.0, 0.0
        for x in range(3):
            colour = base[x] * tint * (0.85 + glow) + shine
            out[x] += lights[number, 1, x] * shown * colour
