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

import numpy as np

from gstalker.kernels import quantise_numba
from gstalker.kernels.quantise_box import (
    BYTES_PER_MOVER,
    LOG_SCALE_CODES,
    POSITION_CODES,
    ROTATION_ZERO_CODE,
    QuantisationBox,
    box_for,
    coefficients,
    decoding,
)
from gstalker.kernels.quantise_numba import (
    CODE_TO_ROTATION,
    FIFTH,
    LN2,
    ONE,
    ROTATION_TO_CODE,
    SEVENTH,
    SQRT_HALF_BITS,
    THIRD,
    TWO,
)

__all__ = [
    "BYTES_PER_MOVER",
    "LOG_SCALE_CODES",
    "POSITION_CODES",
    "ROTATION_ZERO_CODE",
    "QuantisationBox",
    "box_for",
    "pack_movers",
    "pack_movers_reference",
    "unpack_movers",
    "unpack_movers_reference",
]


def pack_movers_reference(
    means: np.ndarray, quats_wxyz: np.ndarray, scales: np.ndarray, opacities: np.ndarray, box: QuantisationBox
) -> np.ndarray:
    """`pack_movers`, one field after the other in NumPy: the definition."""
    _check_shapes(means, quats_wxyz, scales, opacities)
    minimum, to_code, log_minimum, log_to_code = coefficients(box)
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

    unit = quats_wxyz * (ONE / np.sqrt(squared_length))[:, None]
    largest = np.argmax(np.abs(unit), axis=1)
    sign = np.where(np.take_along_axis(unit, largest[:, None], axis=1) < 0, -ONE, ONE)
    smaller = unit[np.arange(4) != largest[:, None]].reshape(-1, 3)
    rotation = np.rint(smaller * sign * ROTATION_TO_CODE) + np.float32(ROTATION_ZERO_CODE)

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
    minimum, step, scale_of_code = decoding(box)
    codes = np.stack([words[:, 0] & 0xFFFF, words[:, 0] >> 16, words[:, 1] & 0xFFFF], axis=1)
    means = minimum + codes.astype(np.float32) * step
    opacities = (words[:, 1] >> 16).astype(np.float32) * np.float32(1 / POSITION_CODES)
    shifts = np.array([0, 10, 20], np.uint32)
    codes = (words[:, 2:3] >> shifts) & 1023
    smaller = (codes.astype(np.float32) - np.float32(ROTATION_ZERO_CODE)) * CODE_TO_ROTATION
    a, b, c = smaller.T
    rest = np.sqrt(np.maximum(ONE - ((a * a + b * b) + c * c), np.float32(0)))
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
    if not quantise_numba.pack(*contiguous, *coefficients(box), out):  # pyright: ignore[reportCallIssue]
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
    quantise_numba.unpack(words, *decoding(box), means, quats, scales, opacities)
    return means, quats, scales, opacities


def _log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of positive normal float32, to 1.1e-7 * (1 + its size).

    Not np.log: that differs in the last bit between NumPy's builds and from numba's, and so would the codes. Here
    x = 2^e m with m in sqrt(1/2)..sqrt(2), and log m = 2 artanh(f), f = (m - 1) / (m + 1), from its series.
    """
    bits = x.view(np.int32)
    exponent = (bits - SQRT_HALF_BITS) >> 23
    m = (bits - (exponent << 23)).view(np.float32)
    f = (m - ONE) / (m + ONE)
    ff = f * f
    series = ONE + ff * (THIRD + ff * (FIFTH + ff * SEVENTH))
    return exponent.astype(np.float32) * LN2 + TWO * f * series


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
