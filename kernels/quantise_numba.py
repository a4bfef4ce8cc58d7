"""The loops of `quantise` in numba, and the numbers they share with its NumPy twins."""

from __future__ import annotations

import math

import numba
import numpy as np

from gstalker.kernels.quantise_box import LOG_SCALE_CODES, POSITION_CODES, ROTATION_ZERO_CODE

BLOCK = 32
"""Gaussians whose values lie side by side while they are packed: a whole number of any processor's vectors."""
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


@numba.njit(inline="always", error_model="numpy")
def whole_bits(code):
    """A whole float32 as uint32. By way of int32, for which more processors have vector instructions."""
    return np.uint32(np.int32(code))


@numba.njit(inline="always", error_model="numpy")
def _three(a, b, c):
    """Three codes of ten bits, the first lowest."""
    return whole_bits(a) | np.uint32(whole_bits(b) << np.uint32(10)) | np.uint32(whole_bits(c) << np.uint32(20))


@numba.njit(error_model="numpy", nogil=True)
def pack_block(values, minimum, to_code, log_minimum, log_to_code, words):
    """Pack BLOCK Gaussians; how many of them have a value without a code.

    No fastmath: the bits must be the reference's. One loop without a branch, which LLVM turns into vector code.

    Args:
        values: flat float32; it begins with eleven rows of BLOCK: means, quaternions w first, scales, opacities.
        minimum, to_code, log_minimum, log_to_code: `quantise_box.coefficients`.
        words: flat uint32, 4 * BLOCK; receives the records.
    """
    highest, highest_log = np.float32(POSITION_CODES), np.float32(LOG_SCALE_CODES)
    zero, infinity, middle = np.float32(0), np.float32(np.inf), np.float32(ROTATION_ZERO_CODE)
    x0, y0, z0 = minimum[0], minimum[1], minimum[2]
    tx, ty, tz = to_code[0], to_code[1], to_code[2]
    bad = np.int32(0)
    for n in range(BLOCK):
        px = np.rint((values[n] - x0) * tx)
        py = np.rint((values[n + BLOCK] - y0) * ty)
        pz = np.rint((values[n + 2 * BLOCK] - z0) * tz)
        o = np.rint(values[n + 10 * BLOCK] * highest)
        fits = (px >= zero) & (px <= highest) & (py >= zero) & (py <= highest) & (pz >= zero) & (pz <= highest)
        fits &= (o >= zero) & (o <= highest)

        sx, sy, sz = values[n + 7 * BLOCK], values[n + 8 * BLOCK], values[n + 9 * BLOCK]
        lx = np.rint((_log_scalar(sx) - log_minimum) * log_to_code)
        ly = np.rint((_log_scalar(sy) - log_minimum) * log_to_code)
        lz = np.rint((_log_scalar(sz) - log_minimum) * log_to_code)
        fits &= (lx >= zero) & (lx <= highest_log) & (ly >= zero) & (ly <= highest_log)
        fits &= (lz >= zero) & (lz <= highest_log) & (sx > zero) & (sy > zero) & (sz > zero)

        w, x = values[n + 3 * BLOCK], values[n + 4 * BLOCK]
        y, z = values[n + 5 * BLOCK], values[n + 6 * BLOCK]
        squared_length = ((w * w + x * x) + y * y) + z * z
        fits &= (squared_length > zero) & (squared_length < infinity)
        inverse = ONE / np.sqrt(squared_length)
        w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
        largest, value = np.int32(0), w
        x_leads = abs(x) > abs(value)
        largest, value = np.int32(1) if x_leads else largest, x if x_leads else value
        y_leads = abs(y) > abs(value)
        largest, value = np.int32(2) if y_leads else largest, y if y_leads else value
        z_leads = abs(z) > abs(value)
        largest, value = np.int32(3) if z_leads else largest, z if z_leads else value
        sign = -ONE if value < zero else ONE
        a = x if largest == np.int32(0) else w
        b = y if largest <= np.int32(1) else x
        c = z if largest <= np.int32(2) else y
        ra = np.rint(a * sign * ROTATION_TO_CODE) + middle
        rb = np.rint(b * sign * ROTATION_TO_CODE) + middle
        rc = np.rint(c * sign * ROTATION_TO_CODE) + middle

        words[4 * n] = whole_bits(px) | np.uint32(whole_bits(py) << np.uint32(16))
        words[4 * n + 1] = whole_bits(pz) | np.uint32(whole_bits(o) << np.uint32(16))
        words[4 * n + 2] = _three(ra, rb, rc) | np.uint32(np.uint32(largest) << np.uint32(30))
        words[4 * n + 3] = _three(lx, ly, lz)
        bad += np.int32(0) if fits else np.int32(1)
    return bad


@numba.njit(cache=True, error_model="numpy", nogil=True)
def pack(means, quats, scales, opacities, minimum, to_code, log_minimum, log_to_code, packed):
    """Fill packed (M, 16) uint8; False if any value has no code."""
    values, words = np.empty(11 * BLOCK, np.float32), np.empty(4 * BLOCK, np.uint32)
    record_bytes, out = words.view(np.uint8), packed.reshape(-1)
    bad = 0
    for first in range(0, len(opacities), BLOCK):
        count = min(BLOCK, len(opacities) - first)
        for i in range(BLOCK):
            n = first + min(i, count - 1)  # the last Gaussian stands in for those that a whole block lacks
            for k in range(3):
                values[k * BLOCK + i] = means[n, k]
                values[(7 + k) * BLOCK + i] = scales[n, k]
            for k in range(4):
                values[(3 + k) * BLOCK + i] = quats[n, k]
            values[10 * BLOCK + i] = opacities[n]
        bad += pack_block(values, minimum, to_code, log_minimum, log_to_code, words)
        begin = 16 * first
        for i in range(16 * count):
            out[begin + i] = record_bytes[i]
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
