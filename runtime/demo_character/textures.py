"""What each material is made of at a point: procedural colour and finish, as scalar numba functions."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from gstalker.runtime.demo_character.mesh import CLOTH, EYE, MOUTH, SKIN, TEETH
from gstalker.runtime.demo_character.noise import value_noise

TABLE = 33  # entries of the lip and lid height tables
LIP_TABLE_HALF_CM, LID_TABLE_HALF_CM = 2.6, 1.6
BROW_ALBEDO = np.array([0.085, 0.040, 0.024])


@nb.njit(cache=True)
def smooth(low: float, high: float, x: float) -> float:
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3.0 - 2.0 * t)


@nb.njit(cache=True)
def look_up(table: np.ndarray, half_cm: float, x_cm: float) -> float:
    at = min(max((x_cm / half_cm * 0.5 + 0.5) * (TABLE - 1), 0.0), TABLE - 1.001)
    i = int(at)
    return table[i] * (1.0 - (at - i)) + table[i + 1] * (at - i)


@nb.njit(cache=True)
def brow_cover(x: float, y: float) -> float:
    """0..1 hair of the brow at frontal rest coordinates (cm); its middle line is `brow_line`."""
    a = abs(x)
    if a < 0.8 or a > 5.7 or y < -4.0 or y > -1.0:
        return 0.0
    d = abs(y - brow_line(a)) / (brow_half_width(a) + 0.02)
    stroke = value_noise(a * 5.0 + y * 4.0, y * 1.6 - a * 0.6)
    ends = smooth(0.85, 1.5, a) * (1.0 - smooth(5.0, 5.6, a))
    return smooth(1.25, 0.35, d + 0.55 * (stroke - 0.5)) * ends


@nb.njit(cache=True)
def brow_half_width(a: float) -> float:
    """Half the brow's height (cm) at distance a (cm) from the midline."""
    return 0.37 * smooth(0.8, 1.4, a) * (1.0 - 0.75 * smooth(2.6, 5.4, a))


@nb.njit(cache=True)
def brow_line(a: float) -> float:
    """Middle of the brow: y (cm) at distance a (cm) from the midline."""
    rise = smooth(1.0, 3.9, a)
    fall = max(0.0, a - 3.7)
    return -1.84 - 0.32 * rise + 0.19 * fall * fall


@nb.njit(cache=True)
def _eye_colour(d: np.ndarray, colour: np.ndarray) -> None:
    """Albedo of the eyeball in direction d (its own axes) into `colour` (3,)."""
    r = math.acos(min(1.0, max(-1.0, -d[2])))
    turn = math.atan2(d[1], d[0])
    vein = value_noise(turn * 5.0, r * 9.0)
    edge = smooth(0.6, 1.15, r)
    sclera = (0.68 - 0.14 * edge, 0.64 - 0.24 * edge - 0.05 * vein * edge, 0.61 - 0.24 * edge)
    fibre = value_noise(turn * 9.0, r * 4.0) * 0.6 + value_noise(turn * 23.0 + 5.0, r * 7.0) * 0.4
    warm = 1.0 - smooth(0.17, 0.30, r + 0.06 * (fibre - 0.5))
    light = 0.5 + 0.9 * fibre
    iris_r = (0.055 * (1 - warm) + 0.22 * warm) * light
    iris_g = (0.150 * (1 - warm) + 0.13 * warm) * light
    iris_b = (0.165 * (1 - warm) + 0.045 * warm) * light
    limbus = 1.0 - 0.75 * smooth(0.34, 0.43, r)
    pupil = smooth(0.145, 0.185, r)
    iris = 1.0 - smooth(0.415, 0.455, r)
    colour[0] = sclera[0] * (1 - iris) + iris * pupil * limbus * iris_r + iris * 0.004
    colour[1] = sclera[1] * (1 - iris) + iris * pupil * limbus * iris_g + iris * 0.004
    colour[2] = sclera[2] * (1 - iris) + iris * pupil * limbus * iris_b + iris * 0.004


@nb.njit(cache=True)
def finish(
    kind: int,
    tex: np.ndarray,
    q: np.ndarray,
    base: np.ndarray,
    wrap: np.ndarray,
    open_share: float,
    lit: float,
    lip_table: np.ndarray,
    lid_table: np.ndarray,
    eye_centres_cm: np.ndarray,
) -> tuple[float, float, float, float, float]:
    """Material `kind` at a point; changes `base` (albedo) and `wrap` (how far light wraps, per channel).

    Args:
        tex: the part's texture coordinates; q: position in sculpt space, cm, with the face's motion.
        open_share, lit: shares of ambient and key light that reach the point.
        lip_table, lid_table, eye_centres_cm: as in `shade.shade`.

    Returns:
        gloss, sharpness and grazing sheen; open_share and lit, less what lids and lips keep off.
    """
    gloss, sharp, sheen = 0.0, 20.0, 0.0
    wrap[0] = wrap[1] = wrap[2] = 0.22
    if kind == SKIN:
        wrap[0], wrap[1], wrap[2] = 0.42, 0.22, 0.16
        lip = tex[2]
        mottle = value_noise(tex[0] * 3.1, tex[1] * 3.1) * 0.6 + value_noise(tex[0] * 9, tex[1] * 9) * 0.4
        grain = 1.0 + 0.07 * (mottle - 0.5)
        line = 1.0 - 0.14 * lip * smooth(0.45, 0.9, value_noise(tex[0] * 6.5, tex[1] * 0.9))
        brow = brow_cover(tex[0], tex[1]) * (1.0 - lip) * 0.88
        for x in range(3):
            base[x] = base[x] * grain * line * (1.0 - brow) + brow * BROW_ALBEDO[x]
        gloss, sharp, sheen = 0.075 + 0.16 * lip, 16.0 + 26.0 * lip, 0.10
    elif kind == EYE:
        _eye_colour(tex, base)
        side = 0 if q[0] < 0 else 1
        offset = q[0] - eye_centres_cm[side, 0]
        under = q[1] - look_up(lid_table[side, 0], LID_TABLE_HALF_CM, offset)
        above = look_up(lid_table[side, 1], LID_TABLE_HALF_CM, offset) - q[1]
        cover = 0.32 + 0.68 * smooth(-0.05, 0.50, under) * (0.75 + 0.25 * smooth(0.0, 0.2, above))
        open_share *= cover * (1.0 - 0.45 * smooth(0.95, 1.45, abs(offset)))
        lit = min(lit, 0.25 + 0.75 * smooth(-0.02, 0.30, under))
        wrap[0] = wrap[1] = wrap[2] = 0.30
        gloss, sharp = 1.6 * smooth(0.02, 0.2, under), 420.0
    elif kind in (TEETH, MOUTH):
        upper = look_up(lip_table[0], LIP_TABLE_HALF_CM, q[0])
        lower = look_up(lip_table[1], LIP_TABLE_HALF_CM, q[0])
        depth = max(q[2] - look_up(lip_table[2], LIP_TABLE_HALF_CM, q[0]), 0.0)
        gap = max(lower - upper, 0.0)
        reach = math.exp(-max(depth - 0.8, 0.0) * (0.40 / (0.30 + gap)))
        below = smooth(-0.10, 0.45, q[1] - upper) * (0.6 + 0.4 * smooth(-0.1, 0.3, lower - q[1]))
        open_share *= (0.15 + 0.85 * smooth(0.0, 0.5, gap)) * reach * (0.35 + 0.65 * below)
        lit *= open_share
        wrap[0], wrap[1], wrap[2] = 0.35, 0.30, 0.28
        if kind == TEETH:
            between = abs((abs(tex[0]) % 1.0) - 0.5) * 2.0
            crack = 1.0 - 0.50 * smooth(0.80, 1.0, between) * smooth(-0.1, 0.2, tex[1])
            for x in range(3):
                base[x] *= crack
        gloss, sharp = 0.22 * open_share, 60.0
    elif kind == CLOTH:
        if tex[2] > 0.5:  # the collar's ribs
            knit = 0.72 + 0.28 * math.sin(tex[0] * math.pi)
        else:
            wave = tex[1] * 1.6 + 0.25 * math.sin(tex[0] * 4.4)
            knit = 0.90 + 0.07 * math.sin(wave * 3.6) + 0.10 * (value_noise(tex[0] * 2, tex[1] * 2) - 0.5)
            band = smooth(20.7, 20.9, tex[1]) * (1.0 - smooth(22.0, 22.2, tex[1]))
            base[0] = base[0] * (1 - band) + band * 0.70
            base[1] = base[1] * (1 - band) + band * 0.56
            base[2] = base[2] * (1 - band) + band * 0.38
        for x in range(3):
            base[x] *= knit
        sheen = 0.10
    return gloss, sharp, sheen, open_share, lit
