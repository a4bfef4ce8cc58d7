"""The loops of `quantise` in numba, and the numbers they share with its NumPy twins."""

from __future__ import annotations

import math

import numba
import numpy as np

from gstalker.kernels.quantise_box import LOG_SCALE_CODES, POSITION_CODES, ROTATION_ZERO_CODE

ROTATION_TO_CODE = np.float32(ROTATION_ZERO_CODE * math.sqrt(2))
CODE_TO_ROTATION = np.float32(1 / (ROTATION_ZERO_CODE * math.sqrt(2)))
LN2 = np.float32(math.log(2))
SQRT_HALF_BITS = np.int32(np.float32(math.sqrt(0.5)).view(np.int32))
ONE, TWO = np.float32(1), np.float32(2)
THIRD, FIFTH, SEVENTH = np.float32(1 / 3), np.float32(1 / 5), np.float32(1 / 7)


@numba.njit(inline="always", error_model="numpy")
def _log_scalar(x):
    """The logarithm of `quantise`, of one float32."""
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(bits - SQRT_HALF_BITS) >> np.int32(23)
    m = np.int32(bits - np.int32(exponent << np.int32(23))).view(np.float32)
    f = (m - ONE) / (m + ONE)
    ff = f * f
    series = ONE + ff * (THIRD + ff * (FIFTH + ff * SEVENTH))
    return np.float32(exponent) * LN2 + TWO * f * series


@numba.njit(cache=True, error_model="numpy", nogil=True)
def pack(means, quats, scales, opacities, minimum, to_code, log_minimum, log_to_code, words):
    """Fill words (M, 4) uint32; False if any value has no code. No fastmath: the bits must be the reference's."""
    highest, highest_log = np.float32(POSITION_CODES), np.float32(LOG_SCALE_CODES)
    zero, infinity = np.float32(0), np.float32(np.inf)
    x0, y0, z0 = minimum[0], minimum[1], minimum[2]
    tx, ty, tz = to_code[0], to_code[1], to_code[2]
    bad = 0
    for n in range(len(words)):
        px = np.rint((means[n, 0] - x0) * tx)
        py = np.rint((means[n, 1] - y0) * ty)
        pz = np.rint((means[n, 2] - z0) * tz)
        o = np.rint(opacities[n] * highest)
        fits = (px >= zero) & (px <= highest) & (py >= zero) & (py <= highest) & (pz >= zero) & (pz <= highest)
        fits &= (o >= zero) & (o <= highest)
        words[n, 0] = np.uint32(px) | np.uint32(py) << np.uint32(16)
        words[n, 1] = np.uint32(pz) | np.uint32(o) << np.uint32(16)
        bad += not fits
    for n in range(len(words)):
        sx, sy, sz = scales[n, 0], scales[n, 1], scales[n, 2]
        lx = np.rint((_log_scalar(sx) - log_minimum) * log_to_code)
        ly = np.rint((_log_scalar(sy) - log_minimum) * log_to_code)
        lz = np.rint((_log_scalar(sz) - log_minimum) * log_to_code)
        fits = (lx >= zero) & (lx <= highest_log) & (ly >= zero) & (ly <= highest_log)
        fits &= (lz >= zero) & (lz <= highest_log) & (sx > zero) & (sy > zero) & (sz > zero)
        words[n, 3] = np.uint32(lx) | np.uint32(ly) << np.uint32(10) | np.uint32(lz) << np.uint32(20)
        bad += not fits
    for n in range(len(words)):
        w, x, y, z = quats[n, 0], quats[n, 1], quats[n, 2], quats[n, 3]
        squared_length = ((w * w + x * x) + y * y) + z * z
        bad += not ((squared_length > zero) & (squared_length < infinity))
        inverse = ONE / np.sqrt(squared_length)
        w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
        largest, value = np.uint32(0), w
        if abs(x) > abs(value):
            largest, value = np.uint32(1), x
        if abs(y) > abs(value):
            largest, value = np.uint32(2), y
        if abs(z) > abs(value):
            largest, value = np.uint32(3), z
        sign = -ONE if value < zero else ONE
        a = x if largest == np.uint32(0) else w
        b = y if largest <= np.uint32(1) else x
        c = z if largest <= np.uint32(2) else y
        middle = np.float32(ROTATION_ZERO_CODE)
        ca = np.uint32(np.rint(a * sign * ROTATION_TO_CODE) + middle)
        cb = np.uint32(np.rint(b * sign * ROTATION_TO_CODE) + middle)
        cc = np.uint32(np.rint(c * sign * ROTATION_TO_CODE) + middle)
        words[n, 2] = ca | cb << np.uint32(10) | cc << np.uint32(20) | largest << np.uint32(30)
    return bad == 0


@numba.njit(cache=True, error_model="numpy", nogil=True)
def unpack(words, minimum, step, scale_of_code, means, quats, scales, opacities):
    """Fill the four arrays from words (M, 4) uint32."""
    middle = np.float32(ROTATION_ZERO_CODE)
    for n in range(len(words)):
        w0, w1, w2, w3 = words[n, 0], words[n, 1], words[n, 2], words[n, 3]
        means[n, 0] = minimum[0] + np.float32(w0 & np.uint32(0xFFFF)) * step[0]
        means[n, 1] = minimum[1] + np.float32(w0 >> np.uint32(16)) * step[1]
        means[n, 2] = minimum[2] + np.float32(w1 & np.uint32(0xFFFF)) * step[2]
        opacities[n] = np.float32(w1 >> np.uint32(16)) * np.float32(1 / POSITION_CODES)
        total = np.float32(0)
        column, largest = 0, w2 >> np.uint32(30)
        for k in range(3):
            code = (w2 >> np.uint32(10 * k)) & np.uint32(1023)
            value = (np.float32(code) - middle) * CODE_TO_ROTATION
            column += column == largest
            quats[n, column] = value
            column += 1
            total += value * value
        quats[n, largest] = np.sqrt(max(ONE - total, np.float32(0)))
        for k in range(3):
            scales[n, k] = scale_of_code[(w3 >> np.uint32(10 * k)) & np.uint32(1023)]
