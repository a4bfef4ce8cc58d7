"""Light on the character: one numba pass over the rasterised samples that gives pixels and the exact matte.

Linear light inside, a soft shoulder and sRGB at the end; samples are averaged as displayed, so that a picture is
matte times person plus the rest of the backdrop, exactly.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from gstalker.runtime.demo_character.lighting import dot, light_hair, light_surface, lit_share, unit
from gstalker.runtime.demo_character.mesh import HAIR, LASH
from gstalker.runtime.demo_character.textures import finish

SHADOW_LIFT_M = 0.004  # shadows are looked up this far off the surface, which keeps it from shading itself


def _tone_curve() -> np.ndarray:
    c = (np.arange(TONE_STEPS) / (TONE_STEPS - 1)) ** 2 * TONE_TOP
    c = c * (1.0 + c * 0.16) / (1.0 + c * 0.62)
    return np.minimum(1.0, np.where(c < 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055))


TONE_STEPS, TONE_TOP = 1024, 8.0
TONE_CURVE = _tone_curve()


@nb.njit(cache=True)
def _tone(c: float) -> float:
    """Linear light to a display value 0..1: straight below, a soft shoulder above."""
    at = min(max(c, 0.0), TONE_TOP) * ((TONE_STEPS - 1) / TONE_TOP)
    at = math.sqrt(at * (TONE_STEPS - 1))  # finer in the dark, where the curve is steep
    i = min(int(at), TONE_STEPS - 2)
    return TONE_CURVE[i] * (1.0 - (at - i)) + TONE_CURVE[i + 1] * (at - i)


@nb.njit(cache=True, fastmath=True)
def shade(
    seen: np.ndarray,
    weights: np.ndarray,
    triangles: np.ndarray,
    material: np.ndarray,
    positions: np.ndarray,
    normals: np.ndarray,
    head_cm: np.ndarray,
    albedo: np.ndarray,
    texture: np.ndarray,
    openness: np.ndarray,
    tangents: np.ndarray,
    shadow: np.ndarray,
    light_from_camera: np.ndarray,
    k_light: np.ndarray,
    lights: np.ndarray,
    lip_table: np.ndarray,
    lid_table: np.ndarray,
    eye_centres_cm: np.ndarray,
    plate: np.ndarray,
    supersample: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Colour every sample and average them into pixels.

    Args:
        seen, weights: from `rasterise`, (H * s, W * s[, 3]).
        positions, normals: (V, 3) camera space; head_cm: (V, 3) deformed, sculpt space.
        albedo, texture, openness, tangents: per vertex; tangents (V, 3) camera space, hair only.
        lights: (3, 2, 3) for key, fill and rim: direction towards the light, colour.
        lip_table: (3, TABLE) y of upper and lower contact line and their z, cm; lid_table: (2, 2, TABLE).
        plate: (H, W, 3) display-space backdrop, 0..1.

    Returns:
        rgb (H, W, 3) display-space float32 0..1; matte (H, W) float32, the share of covered samples.
    """
    height, width = plate.shape[0], plate.shape[1]
    rgb = np.empty((height, width, 3), np.float32)
    matte = np.empty((height, width), np.float32)
    n, v, h, p, lifted = np.empty(3), np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    q, tex, base, tangent, out = np.empty(3), np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    wrap = np.empty(3)
    share = 1.0 / (supersample * supersample)
    for row in range(height):
        for col in range(width):
            total_r = total_g = total_b = 0.0
            covered = 0
            for sub in range(supersample * supersample):
                i, j = row * supersample + sub // supersample, col * supersample + sub % supersample
                t = seen[i, j]
                if t < 0:
                    total_r += plate[row, col, 0]
                    total_g += plate[row, col, 1]
                    total_b += plate[row, col, 2]
                    continue
                covered += 1
                a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
                wa, wb, wc = weights[i, j, 0], weights[i, j, 1], weights[i, j, 2]
                for x in range(3):
                    n[x] = wa * normals[a, x] + wb * normals[b, x] + wc * normals[c, x]
                    p[x] = wa * positions[a, x] + wb * positions[b, x] + wc * positions[c, x]
                    tex[x] = wa * texture[a, x] + wb * texture[b, x] + wc * texture[c, x]
                    base[x] = wa * albedo[a, x] + wb * albedo[b, x] + wc * albedo[c, x]
                    q[x] = wa * head_cm[a, x] + wb * head_cm[b, x] + wc * head_cm[c, x]
                open_share = wa * openness[a] + wb * openness[b] + wc * openness[c]
                unit(n)
                for x in range(3):
                    v[x] = -p[x]
                unit(v)
                if dot(n, v) < 0.0:
                    for x in range(3):
                        n[x] = -n[x]
                for x in range(3):
                    lifted[x] = p[x] + SHADOW_LIFT_M * n[x]
                lit = lit_share(shadow, light_from_camera, k_light, lifted)
                kind = int(material[t])
                if kind in (HAIR, LASH):
                    for x in range(3):
                        tangent[x] = wa * tangents[a, x] + wb * tangents[b, x] + wc * tangents[c, x]
                    unit(tangent)
                    light_hair(tex, base, n, v, tangent, lights, lit, open_share, kind == LASH, out)
                else:
                    gloss, sharp, sheen, open_share, lit = finish(
                        kind, tex, q, base, wrap, open_share, lit, lip_table, lid_table, eye_centres_cm
                    )
                    light_surface(base, n, v, wrap, gloss, sharp, sheen, open_share, lit, lights, h, out)
                total_r += _tone(out[0])
                total_g += _tone(out[1])
                total_b += _tone(out[2])
            rgb[row, col, 0], rgb[row, col, 1] = total_r * share, total_g * share
            rgb[row, col, 2] = total_b * share
            matte[row, col] = covered * share
    return rgb, matte
