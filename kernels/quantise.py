"""Sixteen bytes a moving Gaussian: what a frame sends over the wire, and back.

Little-endian, one record of 16 bytes a Gaussian:

| offset | type | bits | field | meaning of code c |
|---|---|---|---|---|
| 0 | u16 | all | x | position_min_m[0] + c * position_step_m[0] |
| 2 | u16 | all | y | position_min_m[1] + c * position_step_m[1] |
| 4 | u16 | all | z | position_min_m[2] + c * position_step_m[2] |
| 6 | u16 | all | opacity | c / 65535 |
| 8 | u32 | 0..9, 10..19, 20..29 | the three smaller rotation components | (c - 511) / (511 sqrt 2) |
| 8 | u32 | 30..31 | index of the largest component: 0 w, 1 x, 2 y, 3 z | |
| 12 | u32 | 0..9, 10..19, 20..29 | x, y, z of the log-scale | log_scale_min + c * log_scale_step |
| 12 | u32 | 30..31 | spare | zero |

The three smaller components keep the order w, x, y, z; the largest is the positive root of one minus their squares.
Code 1023 of a rotation component does not occur: leaving it out makes zero exact, so that a Gaussian which does not
turn is sent with no error.

How far a value may move (half a code; for a box around the origin float32 arithmetic adds up to 5 % of that):

- position: position_step_m / 2 on each axis, the box being 65535 steps wide;
- opacity: 1 / 131070;
- rotation: 0.275 degrees. A component errs by at most d = 1 / (1022 sqrt 2); with v the three components and
  w >= 1/2 the rebuilt one, the quaternion errs by |dv| sqrt(1 + |v|^2 / w^2) = |dv| / w <= 2 sqrt(3) d, and an angle
  by twice that;
- scale: the factor exp(log_scale_step / 2), the range being 1023 steps wide.

Nothing is dropped, clamped or reordered: a value whose nearest code does not exist, or that is not finite, is refused.

`pack_movers_reference` and `unpack_movers_reference` are written for reading, in NumPy; `pack_movers` and
`unpack_movers` are the same in numba, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

BYTES_PER_MOVER = 16
POSITION_CODES = 65535
"""Steps across the box on one axis; also of the opacity across 0..1."""
ROTATION_ZERO_CODE = 511
"""Code of a rotation component that is zero; the codes run from 0 to twice this."""
LOG_SCALE_CODES = 1023
"""Steps across the range of log-scales."""

_ROTATION_TO_CODE = np.float32(ROTATION_ZERO_CODE * math.sqrt(2))
_CODE_TO_ROTATION = np.float32(1 / (ROTATION_ZERO_CODE * math.sqrt(2)))
_LN2 = np.float32(math.log(2))
_SQRT_HALF_BITS = np.int32(np.float32(math.sqrt(0.5)).view(np.int32))
_ONE, _TWO = np.float32(1), np.float32(2)
_THIRD, _FIFTH, _SEVENTH = np.float32(1 / 3), np.float32(1 / 5), np.float32(1 / 7)

MIN_POSITION_MARGIN_M = 1e-3
MIN_LOG_SCALE_MARGIN = 0.05


@dataclass(frozen=True)
class QuantisationBox:
    """The ranges that the codes of a bundle cover, the same for all its frames.

    Attributes:
        position_min_m, position_max_m: corners of the box of all centres, metres, in part space.
        log_scale_min, log_scale_max: range of the natural logarithms of the standard deviations in metres.
    """

    position_min_m: tuple[float, float, float]
    position_max_m: tuple[float, float, float]
    log_scale_min: float
    log_scale_max: float

    def __post_init__(self) -> None:
        low, high = np.asarray(self.position_min_m, float), np.asarray(self.position_max_m, float)
        if low.shape != (3,) or high.shape != (3,) or not (np.isfinite(high - low).all() and (low < high).all()):
            raise ValueError(
                f"QuantisationBox: expected position_min_m < position_max_m, three finite numbers each, "
                f"got {self.position_min_m} and {self.position_max_m}."
            )
        if not (math.isfinite(self.log_scale_max - self.log_scale_min) and self.log_scale_min < self.log_scale_max):
            raise ValueError(
                f"QuantisationBox: expected finite log_scale_min < log_scale_max, "
                f"got {self.log_scale_min} and {self.log_scale_max}."
            )

    @property
    def position_step_m(self) -> tuple[float, float, float]:
        """Metres a position code on each axis."""
        steps = [(b - a) / POSITION_CODES for a, b in zip(self.position_min_m, self.position_max_m, strict=True)]
        return steps[0], steps[1], steps[2]

    @property
    def log_scale_step(self) -> float:
        """Change of the log-scale a code."""
        return (self.log_scale_max - self.log_scale_min) / LOG_SCALE_CODES


def box_for(
    means_min_m: np.ndarray,
    means_max_m: np.ndarray,
    log_scale_min: float,
    log_scale_max: float,
    *,
    margin: float = 0.25,
) -> QuantisationBox:
    """A box with room around the extremes met so far: speech not heard yet moves things a little further.

    Args:
        means_min_m, means_max_m: (3,) extremes of the deformed centres, metres.
        log_scale_min, log_scale_max: extremes of the deformed log-scales.
        margin: room added on each side, as a share of the extent; at least 1 mm and 0.05 are added.

    Raises:
        ValueError: an extreme is not finite, or a minimum exceeds its maximum.
    """
    low, high = np.asarray(means_min_m, float), np.asarray(means_max_m, float)
    if not (low <= high).all() or not log_scale_min <= log_scale_max:
        raise ValueError(
            f"box_for: expected minima <= maxima, got {low.tolist()} to {high.tolist()} m "
            f"and log-scales {log_scale_min} to {log_scale_max}."
        )
    room = np.maximum(margin * (high - low), MIN_POSITION_MARGIN_M)
    log_room = max(margin * (log_scale_max - log_scale_min), MIN_LOG_SCALE_MARGIN)
    return QuantisationBox(
        position_min_m=_three_float32(low - room),
        position_max_m=_three_float32(high + room),
        log_scale_min=float(np.float32(log_scale_min - log_room)),
        log_scale_max=float(np.float32(log_scale_max + log_room)),
    )


def _three_float32(values: np.ndarray) -> tuple[float, float, float]:
    """float32 values, so that an engine that stores them as such decodes the same numbers."""
    x, y, z = (float(v) for v in values.astype(np.float32))
    return x, y, z


def pack_movers_reference(
    means: np.ndarray, quats_wxyz: np.ndarray, scales: np.ndarray, opacities: np.ndarray, box: QuantisationBox
) -> np.ndarray:
    """`pack_movers`, one field after the other in NumPy: the definition."""
    _check_shapes(means, quats_wxyz, scales, opacities)
    minimum, to_code, log_minimum, log_to_code = _coefficients(box)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # what is not finite is found just below
        position = np.rint((means - minimum) * to_code)
        opacity = np.rint(opacities * np.float32(POSITION_CODES))
        log_scale = np.rint((_log(scales) - log_minimum) * log_to_code)
        w, x, y, z = np.moveaxis(quats_wxyz, 1, 0)
        squared_length = ((w * w + x * x) + y * y) + z * z
        length_fits = (squared_length > 0) & (squared_length < np.float32(np.inf))
    _refuse("means", means, ((position >= 0) & (position <= POSITION_CODES)).all(axis=1), f"in the box of {box}")
    _refuse("quats_wxyz", quats_wxyz, length_fits, "finite and of non-zero length")
    fits = (scales > 0) & (log_scale >= 0) & (log_scale <= LOG_SCALE_CODES)
    _refuse("scales", scales, fits.all(axis=1), f"in the box of {box}")
    _refuse("opacities", opacities, (opacity >= 0) & (opacity <= POSITION_CODES), "in 0..1")

    unit = quats_wxyz * (_ONE / np.sqrt(squared_length))[:, None]
    largest = np.argmax(np.abs(unit), axis=1)
    sign = np.where(np.take_along_axis(unit, largest[:, None], axis=1) < 0, -_ONE, _ONE)
    smaller = unit[np.arange(4) != largest[:, None]].reshape(-1, 3)
    rotation = np.rint(smaller * sign * _ROTATION_TO_CODE) + np.float32(ROTATION_ZERO_CODE)

    words = np.empty((len(means), 4), "<u4")
    p, r, s = position.astype(np.uint32), rotation.astype(np.uint32), log_scale.astype(np.uint32)
    words[:, 0] = p[:, 0] | p[:, 1] << 16
    words[:, 1] = p[:, 2] | opacity.astype(np.uint32) << 16
    words[:, 2] = r[:, 0] | r[:, 1] << 10 | r[:, 2] << 20 | largest.astype(np.uint32) << 30
    words[:, 3] = s[:, 0] | s[:, 1] << 10 | s[:, 2] << 20
    return words.view(np.uint8)


def unpack_movers_reference(
    packed: np.ndarray, box: QuantisationBox
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`unpack_movers`, one field after the other in NumPy: the definition."""
    words = _words(packed)
    minimum, step, scale_of_code = _decoding(box)
    codes = np.stack([words[:, 0] & 0xFFFF, words[:, 0] >> 16, words[:, 1] & 0xFFFF], axis=1)
    means = minimum + codes.astype(np.float32) * step
    opacities = (words[:, 1] >> 16).astype(np.float32) * np.float32(1 / POSITION_CODES)
    shifts = np.array([0, 10, 20], np.uint32)
    codes = (words[:, 2:3] >> shifts) & 1023
    smaller = (codes.astype(np.float32) - np.float32(ROTATION_ZERO_CODE)) * _CODE_TO_ROTATION
    a, b, c = smaller.T
    rest = np.sqrt(np.maximum(_ONE - ((a * a + b * b) + c * c), np.float32(0)))
    largest = words[:, 2] >> 30
    quats = np.empty((len(words), 4), np.float32)
    is_largest = np.arange(4) == largest[:, None]
    quats[is_largest] = rest
    quats[~is_largest] = smaller.ravel()
    return means, quats, scale_of_code[(words[:, 3:4] >> shifts) & 1023], opacities


def pack_movers(
    means: np.ndarray,
    quats_wxyz: np.ndarray,
    scales: np.ndarray,
    opacities: np.ndarray,
    box: QuantisationBox,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Pack M Gaussians for the wire; see the table and the error bounds in the module's head.

    Args:
        means: (M, 3) float32, metres, part space. Up to half a step outside the box is still half a step off.
        quats_wxyz: (M, 4) float32, any non-zero length.
        scales: (M, 3) float32 standard deviations, metres.
        opacities: (M,) float32 in 0..1.
        box: the bundle's ranges.
        out: (M, 16) uint8, contiguous, to write into; a new array otherwise. Its content is undefined after an
            error.

    Returns:
        (M, 16) uint8.

    Raises:
        ValueError: shapes or dtypes that do not fit; a value outside the box or not finite. Names the field, how
            many Gaussians, the first one and its value.
    """
    _check_shapes(means, quats_wxyz, scales, opacities)
    shape = (len(means), BYTES_PER_MOVER)
    if out is None:
        out = np.empty(shape, np.uint8)
    elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
        raise ValueError(f"out: expected contiguous uint8 of shape {shape}, got {out.dtype} of shape {out.shape}.")
    contiguous = (np.ascontiguousarray(a) for a in (means, quats_wxyz, scales, opacities))
    if not _pack(*contiguous, *_coefficients(box), out.view("<u4")):  # pyright: ignore[reportCallIssue]
        pack_movers_reference(means, quats_wxyz, scales, opacities, box)  # raises, saying what is wrong
        raise AssertionError("pack_movers refused what its reference accepts")
    return out


def unpack_movers(packed: np.ndarray, box: QuantisationBox) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The values that `pack_movers` wrote, to within the bounds in the module's head.

    Args:
        packed: (M, 16) uint8. Every bit pattern decodes to something; the spare bits are ignored.
        box: the bundle's ranges.

    Returns:
        means (M, 3), quats_wxyz (M, 4), scales (M, 3), opacities (M,), all float32. The quaternions of what
        `pack_movers` wrote are of unit length, and their largest component is positive.

    Raises:
        ValueError: another shape or dtype.
    """
    words = np.ascontiguousarray(_words(packed))
    count = len(words)
    means, quats = np.empty((count, 3), np.float32), np.empty((count, 4), np.float32)
    scales, opacities = np.empty((count, 3), np.float32), np.empty(count, np.float32)
    _unpack(words, *_decoding(box), means, quats, scales, opacities)
    return means, quats, scales, opacities


def _coefficients(box: QuantisationBox) -> tuple[np.ndarray, np.ndarray, np.float32, np.float32]:
    """Minima and codes a unit, float32, for encoding."""
    return (
        np.array(box.position_min_m, np.float32),
        (1 / np.array(box.position_step_m)).astype(np.float32),
        np.float32(box.log_scale_min),
        np.float32(1 / box.log_scale_step),
    )


def _decoding(box: QuantisationBox) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position minima and steps, float32, and the (1024,) float32 scale of every log-scale code."""
    scale_of_code = np.exp(box.log_scale_min + np.arange(LOG_SCALE_CODES + 1) * box.log_scale_step)
    return (
        np.array(box.position_min_m, np.float32),
        np.array(box.position_step_m).astype(np.float32),
        scale_of_code.astype(np.float32),
    )


def _log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of positive normal float32, to 1.1e-7 * (1 + its size).

    Not np.log: that differs in the last bit between NumPy's builds and from numba's, and so would the codes. Here
    x = 2^e m with m in sqrt(1/2)..sqrt(2), and log m = 2 artanh(f), f = (m - 1) / (m + 1), from its series.
    """
    bits = x.view(np.int32)
    exponent = (bits - _SQRT_HALF_BITS) >> 23
    m = (bits - (exponent << 23)).view(np.float32)
    f = (m - _ONE) / (m + _ONE)
    ff = f * f
    series = _ONE + ff * (_THIRD + ff * (_FIFTH + ff * _SEVENTH))
    return exponent.astype(np.float32) * _LN2 + _TWO * f * series


@numba.njit(inline="always", error_model="numpy")
def _log_scalar(x):
    """`_log` of one float32."""
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(bits - _SQRT_HALF_BITS) >> np.int32(23)
    m = np.int32(bits - np.int32(exponent << np.int32(23))).view(np.float32)
    f = (m - _ONE) / (m + _ONE)
    ff = f * f
    series = _ONE + ff * (_THIRD + ff * (_FIFTH + ff * _SEVENTH))
    return np.float32(exponent) * _LN2 + _TWO * f * series


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _pack(means, quats, scales, opacities, minimum, to_code, log_minimum, log_to_code, words):
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
        inverse = _ONE / np.sqrt(squared_length)
        w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
        largest, value = np.uint32(0), w
        if abs(x) > abs(value):
            largest, value = np.uint32(1), x
        if abs(y) > abs(value):
            largest, value = np.uint32(2), y
        if abs(z) > abs(value):
            largest, value = np.uint32(3), z
        sign = -_ONE if value < zero else _ONE
        a = x if largest == np.uint32(0) else w
        b = y if largest <= np.uint32(1) else x
        c = z if largest <= np.uint32(2) else y
        middle = np.float32(ROTATION_ZERO_CODE)
        ca = np.uint32(np.rint(a * sign * _ROTATION_TO_CODE) + middle)
        cb = np.uint32(np.rint(b * sign * _ROTATION_TO_CODE) + middle)
        cc = np.uint32(np.rint(c * sign * _ROTATION_TO_CODE) + middle)
        words[n, 2] = ca | cb << np.uint32(10) | cc << np.uint32(20) | largest << np.uint32(30)
    return bad == 0


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _unpack(words, minimum, step, scale_of_code, means, quats, scales, opacities):
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
            value = (np.float32(code) - middle) * _CODE_TO_ROTATION
            column += column == largest
            quats[n, column] = value
            column += 1
            total += value * value
        quats[n, largest] = np.sqrt(max(_ONE - total, np.float32(0)))
        for k in range(3):
            scales[n, k] = scale_of_code[(w3 >> np.uint32(10 * k)) & np.uint32(1023)]


def _check_shapes(means: np.ndarray, quats_wxyz: np.ndarray, scales: np.ndarray, opacities: np.ndarray) -> None:
    count = len(means)
    fields = {
        "means": (means, (count, 3)),
        "quats_wxyz": (quats_wxyz, (count, 4)),
        "scales": (scales, (count, 3)),
        "opacities": (opacities, (count,)),
    }
    for name, (array, shape) in fields.items():
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(f"{name}: expected float32 of shape {shape}, got {array.dtype} of shape {array.shape}.")


def _refuse(name: str, values: np.ndarray, fits: np.ndarray | np.bool, expected: str) -> None:
    bad = np.flatnonzero(~np.asarray(fits))
    if not len(bad):
        return
    first = int(bad[0])
    raise ValueError(
        f"{name}: {len(bad)} of {len(values)} Gaussians are not {expected}; first is index {first}, "
        f"value {values[first].tolist()}. None were dropped or clamped: frames pair Gaussians by index."
    )


def _words(packed: np.ndarray) -> np.ndarray:
    """(M, 4) little-endian uint32 of (M, 16) uint8."""
    if packed.ndim != 2 or packed.shape[1] != BYTES_PER_MOVER or packed.dtype != np.uint8:
        raise ValueError(
            f"packed: expected uint8 of shape (M, {BYTES_PER_MOVER}), got {packed.dtype} of shape {packed.shape}."
        )
    return np.ascontiguousarray(packed).view("<u4")
