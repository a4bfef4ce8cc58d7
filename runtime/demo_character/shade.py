"""Light on the character: one numba pass over the rasterised samples that gives pixels and the exact matte.

Linear light inside, a soft shoulder and sRGB at the end. Skin scatters (the shadow edge is red), hair has the
two highlights of a fibre, eyes have a clear coat, and the mouth darkens with depth.

Source: wrapped diffuse as a cheap stand-in for scattering (Green 2004, GPU Gems 16); hair after Kajiya and Kay
1989 with the shifted second lobe of Scheuermann 2004.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from gstalker.runtime.demo_character.mesh import CLOTH, EYE, HAIR, LASH, MOUTH, SKIN, TEETH
from gstalker.runtime.demo_character.noise import strands, value_noise

TABLE = 33  # entries of the lip and lid height tables
LIP_TABLE_HALF_CM, LID_TABLE_HALF_CM = 2.6, 1.6
SHADOW_BIAS_M, SHADOW_LIFT_M = 0.003, 0.004


@nb.njit(cache=True)
def _smooth(low: float, high: float, x: float) -> float:
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3.0 - 2.0 * t)


@nb.njit(cache=True)
def _look_up(table: np.ndarray, half_cm: float, x_cm: float) -> float:
    at = min(max((x_cm / half_cm * 0.5 + 0.5) * (TABLE - 1), 0.0), TABLE - 1.001)
    i = int(at)
    return table[i] * (1.0 - (at - i)) + table[i + 1] * (at - i)


@nb.njit(cache=True)
def lit_share(shadow: np.ndarray, light_from_camera: np.ndarray, k_light: np.ndarray, p: np.ndarray) -> float:
    """0 in the key light's shadow .. 1 lit, over a 3 x 3 neighbourhood of its depth map."""
    x = light_from_camera[0, 0] * p[0] + light_from_camera[0, 1] * p[1] + light_from_camera[0, 2] * p[2]
    y = light_from_camera[1, 0] * p[0] + light_from_camera[1, 1] * p[1] + light_from_camera[1, 2] * p[2]
    z = light_from_camera[2, 0] * p[0] + light_from_camera[2, 1] * p[1] + light_from_camera[2, 2] * p[2]
    x, y, z = x + light_from_camera[0, 3], y + light_from_camera[1, 3], z + light_from_camera[2, 3]
    col = k_light[0, 0] * x / z + k_light[0, 2] - 0.5
    row = k_light[1, 1] * y / z + k_light[1, 2] - 0.5
    i, j = int(math.floor(row)), int(math.floor(col))
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
def brow_cover(x: float, y: float) -> float:
    """0..1 hair of the brow at frontal rest coordinates (cm); its middle line is `brow_line`."""
    a = abs(x)
    if a < 0.8 or a > 5.7 or y < -4.0 or y > -1.0:
        return 0.0
    d = abs(y - brow_line(a)) / (brow_half_width(a) + 0.02)
    stroke = value_noise(a * 5.0 + y * 4.0, y * 1.6 - a * 0.6)
    ends = _smooth(0.85, 1.5, a) * (1.0 - _smooth(5.0, 5.6, a))
    return _smooth(1.25, 0.35, d + 0.55 * (stroke - 0.5)) * ends


@nb.njit(cache=True)
def brow_half_width(a: float) -> float:
    """Half the brow's height (cm) at distance a (cm) from the midline."""
    return 0.37 * _smooth(0.8, 1.4, a) * (1.0 - 0.75 * _smooth(2.6, 5.4, a))


@nb.njit(cache=True)
def brow_line(a: float) -> float:
    """Middle of the brow: y (cm) at distance a (cm) from the midline."""
    rise = _smooth(1.0, 3.9, a)
    fall = max(0.0, a - 3.7)
    return -1.84 - 0.32 * rise + 0.19 * fall * fall


@nb.njit(cache=True)
def _eye_colour(d: np.ndarray, colour: np.ndarray) -> float:
    """Albedo of the eyeball in direction d (its own axes) into `colour`; returns how much of it is iris."""
    r = math.acos(min(1.0, max(-1.0, -d[2])))
    turn = math.atan2(d[1], d[0])
    vein = value_noise(turn * 5.0, r * 9.0)
    edge = _smooth(0.6, 1.15, r)
    sclera = (0.68 - 0.14 * edge, 0.64 - 0.24 * edge - 0.05 * vein * edge, 0.61 - 0.24 * edge)
    fibre = value_noise(turn * 9.0, r * 4.0) * 0.6 + value_noise(turn * 23.0 + 5.0, r * 7.0) * 0.4
    warm = 1.0 - _smooth(0.17, 0.30, r + 0.06 * (fibre - 0.5))
    light = 0.5 + 0.9 * fibre
    iris_r = (0.055 * (1 - warm) + 0.22 * warm) * light
    iris_g = (0.150 * (1 - warm) + 0.13 * warm) * light
    iris_b = (0.165 * (1 - warm) + 0.045 * warm) * light
    limbus = 1.0 - 0.75 * _smooth(0.34, 0.43, r)
    pupil = _smooth(0.145, 0.185, r)
    iris = 1.0 - _smooth(0.415, 0.455, r)
    colour[0] = sclera[0] * (1 - iris) + iris * pupil * limbus * iris_r + iris * 0.004
    colour[1] = sclera[1] * (1 - iris) + iris * pupil * limbus * iris_g + iris * 0.004
    colour[2] = sclera[2] * (1 - iris) + iris * pupil * limbus * iris_b + iris * 0.004
    return iris


@nb.njit(cache=True)
def _tone(c: float) -> float:
    """Linear light to a display value 0..1: straight below, a soft shoulder above."""
    c = max(c, 0.0)
    c = c * (1.0 + c * 0.16) / (1.0 + c * 0.62)
    return 12.92 * c if c < 0.0031308 else min(1.0, 1.055 * c ** (1 / 2.4) - 0.055)


@nb.njit(cache=True)
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
    wrap, light, spec = np.zeros(3), np.empty(3), np.empty(3)
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
                _unit(n)
                for x in range(3):
                    v[x] = -p[x]
                _unit(v)
                if n[0] * v[0] + n[1] * v[1] + n[2] * v[2] < 0.0:
                    for x in range(3):
                        n[x] = -n[x]
                facing = n[0] * v[0] + n[1] * v[1] + n[2] * v[2]
                kind = material[t]
                for x in range(3):
                    lifted[x] = p[x] + SHADOW_LIFT_M * n[x]
                lit = lit_share(shadow, light_from_camera, k_light, lifted)
                gloss, sharp, sheen = 0.0, 20.0, 0.0
                wrap[0] = wrap[1] = wrap[2] = 0.0
                if kind == SKIN:
                    wrap[0], wrap[1], wrap[2] = 0.42, 0.22, 0.16
                    lip = tex[2]
                    mottle = value_noise(tex[0] * 3.1, tex[1] * 3.1) * 0.6 + value_noise(tex[0] * 9, tex[1] * 9) * 0.4
                    grain = 1.0 + 0.07 * (mottle - 0.5)
                    line = 1.0 - 0.14 * lip * _smooth(0.45, 0.9, value_noise(tex[0] * 6.5, tex[1] * 0.9))
                    brow = brow_cover(tex[0], tex[1]) * (1.0 - lip) * 0.88
                    for x in range(3):
                        base[x] = base[x] * grain * line * (1.0 - brow) + brow * BROW_ALBEDO[x]
                    gloss, sharp = 0.075 + 0.16 * lip, 16.0 + 26.0 * lip
                    sheen = 0.10
                elif kind == EYE:
                    _eye_colour(tex, base)
                    side = 0 if q[0] < 0 else 1
                    offset = q[0] - eye_centres_cm[side, 0]
                    under = q[1] - _look_up(lid_table[side, 0], LID_TABLE_HALF_CM, offset)
                    above = _look_up(lid_table[side, 1], LID_TABLE_HALF_CM, offset) - q[1]
                    cover = 0.32 + 0.68 * _smooth(-0.05, 0.50, under) * (0.75 + 0.25 * _smooth(0.0, 0.2, above))
                    corner = 1.0 - 0.45 * _smooth(0.95, 1.45, abs(offset))
                    open_share *= cover * corner
                    lit = min(lit, 0.25 + 0.75 * _smooth(-0.02, 0.30, under))
                    wrap[0] = wrap[1] = wrap[2] = 0.30
                    gloss, sharp = 1.6 * _smooth(0.02, 0.2, under), 420.0
                elif kind == TEETH or kind == MOUTH:
                    upper = _look_up(lip_table[0], LIP_TABLE_HALF_CM, q[0])
                    lower = _look_up(lip_table[1], LIP_TABLE_HALF_CM, q[0])
                    front = _look_up(lip_table[2], LIP_TABLE_HALF_CM, q[0])
                    gap = max(lower - upper, 0.0)
                    depth = max(q[2] - front, 0.0)
                    reach = math.exp(-max(depth - 0.8, 0.0) * (0.40 / (0.30 + gap)))
                    below = _smooth(-0.10, 0.45, q[1] - upper) * (0.6 + 0.4 * _smooth(-0.1, 0.3, lower - q[1]))
                    open_share *= (0.15 + 0.85 * _smooth(0.0, 0.5, gap)) * reach * (0.35 + 0.65 * below)
                    lit *= open_share
                    wrap[0], wrap[1], wrap[2] = 0.35, 0.30, 0.28
                    if kind == TEETH:
                        between = abs((abs(tex[0]) % 1.0) - 0.5) * 2.0
                        crack = 1.0 - 0.50 * _smooth(0.80, 1.0, between) * _smooth(-0.1, 0.2, tex[1])
                        for x in range(3):
                            base[x] *= crack
                    gloss, sharp = 0.22 * open_share, 60.0
                elif kind == CLOTH:
                    wrap[0] = wrap[1] = wrap[2] = 0.22
                    if tex[2] > 0.5:
                        knit = 0.72 + 0.28 * math.sin(tex[0] * math.pi)
                    else:
                        wave = tex[1] * 1.6 + 0.25 * math.sin(tex[0] * 4.4)
                        knit = 0.90 + 0.07 * math.sin(wave * 3.6) + 0.10 * (value_noise(tex[0] * 2, tex[1] * 2) - 0.5)
                        band = _smooth(20.7, 20.9, tex[1]) * (1.0 - _smooth(22.0, 22.2, tex[1]))
                        base[0] = base[0] * (1 - band) + band * 0.60
                        base[1] = base[1] * (1 - band) + band * 0.36
                        base[2] = base[2] * (1 - band) + band * 0.12
                    for x in range(3):
                        base[x] *= knit
                    sheen = 0.10
                key = n[0] * lights[0, 0, 0] + n[1] * lights[0, 0, 1] + n[2] * lights[0, 0, 2]
                fill = n[0] * lights[1, 0, 0] + n[1] * lights[1, 0, 1] + n[2] * lights[1, 0, 2]
                rim = n[0] * lights[2, 0, 0] + n[1] * lights[2, 0, 1] + n[2] * lights[2, 0, 2]
                if kind == HAIR or kind == LASH:
                    for x in range(3):
                        tangent[x] = wa * tangents[a, x] + wb * tangents[b, x] + wc * tangents[c, x]
                    _unit(tangent)
                    _hair(tex, base, n, v, tangent, lights, lit, open_share, kind == LASH, out)
                else:
                    sky = 0.5 - 0.5 * n[1]
                    for x in range(3):
                        w = wrap[x]
                        soft = max(0.0, (key + w) / (1.0 + w))
                        # A lit share below one reddens at the shadow's edge as scattered light does.
                        shade_x = lit + (1.0 - lit) * 0.35 * w
                        light[x] = lights[0, 1, x] * soft * soft**0.15 * shade_x
                        light[x] += lights[1, 1, x] * max(0.0, (fill + 0.4) / 1.4) * (0.35 + 0.65 * open_share)
                        light[x] += lights[2, 1, x] * max(0.0, rim) * open_share
                        ambient = AMBIENT_LOW[x] * (1.0 - sky) + AMBIENT_HIGH[x] * sky
                        light[x] += ambient * (open_share if x > 0 or kind != SKIN else open_share**0.8)
                        spec[x] = 0.0
                    for number in range(2):
                        for x in range(3):
                            h[x] = lights[number, 0, x] + v[x]
                        _unit(h)
                        turn = max(0.0, n[0] * h[0] + n[1] * h[1] + n[2] * h[2])
                        strength = gloss * turn**sharp * (lit if number == 0 else 0.8 * open_share)
                        for x in range(3):
                            spec[x] += lights[number, 1, x] * strength
                    grazing = sheen * (1.0 - facing) ** 4 * open_share
                    for x in range(3):
                        out[x] = base[x] * light[x] + spec[x] + grazing * AMBIENT_HIGH[x]
                total_r += _tone(out[0])
                total_g += _tone(out[1])
                total_b += _tone(out[2])
            rgb[row, col, 0], rgb[row, col, 1] = total_r * share, total_g * share
            rgb[row, col, 2] = total_b * share
            matte[row, col] = covered * share
    return rgb, matte


BROW_ALBEDO = np.array([0.085, 0.040, 0.024])
AMBIENT_LOW = np.array([0.30, 0.25, 0.23])
AMBIENT_HIGH = np.array([0.42, 0.45, 0.52])


@nb.njit(cache=True)
def _unit(a: np.ndarray) -> None:
    length = math.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]) + 1e-12
    a[0], a[1], a[2] = a[0] / length, a[1] / length, a[2] / length


@nb.njit(cache=True)
def _hair(
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
    streak = strands(tex[0], tex[1])
    fine = value_noise(tex[0] * 2.3, tex[1] * 0.2)
    tint = 0.35 + 1.15 * streak + 0.25 * fine
    if is_lash:
        tint = 1.0
    for x in range(3):
        sky = 0.5 - 0.5 * n[1]
        out[x] = base[x] * tint * open_share * (AMBIENT_LOW[x] * (1 - sky) + AMBIENT_HIGH[x] * sky)
    for number in range(3):
        dot = n[0] * lights[number, 0, 0] + n[1] * lights[number, 0, 1] + n[2] * lights[number, 0, 2]
        wrapped = max(0.0, (dot + 0.35) / 1.35)
        shown = (lit if number == 0 else open_share) * wrapped
        hx, hy, hz = lights[number, 0, 0] + v[0], lights[number, 0, 1] + v[1], lights[number, 0, 2] + v[2]
        length = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
        along = (tangent[0] * hx + tangent[1] * hy + tangent[2] * hz) / length
        first, second = along + 0.10 + 0.22 * (streak - 0.5), along - 0.12 + 0.30 * (fine - 0.5)
        shine = max(0.0, 1.0 - first * first) ** 45.0 * 0.10 * (0.3 + streak)
        glow = max(0.0, 1.0 - second * second) ** 12.0 * 1.3 * tint
        if is_lash:
            shine, glow = 0.0, 0.0
        for x in range(3):
            colour = base[x] * tint * (0.85 + glow) + shine
            out[x] += lights[number, 1, x] * shown * colour
