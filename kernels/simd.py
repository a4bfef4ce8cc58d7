"""Eight floats at a time inside numba functions: a vector type with the usual operators.

numba leaves it to LLVM's guesswork whether a loop over pixels becomes vector code, and for rows of a dozen pixels
the guess is poor. `Lanes` maps onto LLVM's <8 x float>, which every target has (AVX as it is; SSE and NEON in two
halves). Products and sums may contract to fused multiply-adds, nothing else is reordered.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 8

_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_INTS = ir.VectorType(ir.IntType(32), LANES)
_BITS = ir.VectorType(ir.IntType(1), LANES)


def _instruction(define: Callable[..., Any]) -> Any:
    """numba's `intrinsic`, typed as what it makes: a function without the typing context."""
    return intrinsic(define)


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"Lanes{LANES}")


class _MaskType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"Mask{LANES}")


lanes_type = _LanesType()
mask_type = _MaskType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type) -> None:
        super().__init__(dmm, fe_type, _FLOATS)


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type) -> None:
        super().__init__(dmm, fe_type, _BITS)


def _define(symbol, left, right, result, build) -> None:
    """Teach numba `left symbol right`, built as LLVM instructions by build(builder, a, b)."""

    @infer_global(symbol)  # pyright: ignore[reportOptionalCall]  numba decorates untyped
    class _Typing(ConcreteTemplate):
        cases = [signature(result, left, right)]  # noqa: RUF012  numba reads a plain list

    @lower_builtin(symbol, left, right)
    def _lowering(context, builder, sig, args):
        return build(builder, *args)


_FUSE = ("contract",)
_define(operator.add, lanes_type, lanes_type, lanes_type, lambda b, x, y: b.fadd(x, y, flags=_FUSE))
_define(operator.sub, lanes_type, lanes_type, lanes_type, lambda b, x, y: b.fsub(x, y, flags=_FUSE))
_define(operator.mul, lanes_type, lanes_type, lanes_type, lambda b, x, y: b.fmul(x, y, flags=_FUSE))
_define(operator.truediv, lanes_type, lanes_type, lanes_type, lambda b, x, y: b.fdiv(x, y))
_define(operator.ge, lanes_type, lanes_type, mask_type, lambda b, x, y: b.fcmp_ordered(">=", x, y))
_define(operator.gt, lanes_type, lanes_type, mask_type, lambda b, x, y: b.fcmp_ordered(">", x, y))
_define(operator.and_, mask_type, mask_type, mask_type, lambda b, x, y: b.and_(x, y))


@_instruction
def splat(typing_context, value):
    """All lanes the same float32."""

    def build(context, builder, sig, args):
        one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_INTS, None))

    return lanes_type(types.float32), build


@_instruction
def lane_numbers(typing_context):
    """0, 1, 2, ..."""

    def build(context, builder, sig, args):
        return ir.Constant(_FLOATS, [float(k) for k in range(LANES)])

    return lanes_type(), build


def _pointer(context, builder, array_type, array, index):
    base = context.make_array(array_type)(context, builder, array).data
    element = builder.gep(base, [index])
    return builder.bitcast(element, _FLOATS.as_pointer())


def _check_array(array) -> None:
    if not (isinstance(array, types.Array) and array.dtype == types.float32 and array.ndim == 1):
        raise TypeError(f"lanes are loaded from and stored to flat float32 arrays, not {array}")


@_instruction
def load(typing_context, array, index):
    """Lanes from array[index:]; bounds are the caller's."""
    _check_array(array)

    def build(context, builder, sig, args):
        return builder.load(_pointer(context, builder, sig.args[0], *args), align=4)

    return lanes_type(array, types.intp), build


@_instruction
def store(typing_context, array, index, value):
    """Lanes into array[index:]; bounds are the caller's."""
    _check_array(array)

    def build(context, builder, sig, args):
        builder.store(args[2], _pointer(context, builder, sig.args[0], *args[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes_type), build


@_instruction
def select(typing_context, mask, where_true, where_false):
    """Lane by lane."""

    def build(context, builder, sig, args):
        return builder.select(*args)

    return lanes_type(mask_type, lanes_type, lanes_type), build


@_instruction
def any_lane(typing_context, mask):
    """Whether any lane of a mask is true."""

    def build(context, builder, sig, args):
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(mask_type), build


@_instruction
def sum_lanes(typing_context, value):
    """Sum of all lanes, as a tree: halves onto halves."""

    def build(context, builder, sig, args):
        total, width = args[0], LANES
        while width > 1:
            width //= 2
            order = [k + width if k < width else 0 for k in range(LANES)]
            upper = builder.shuffle_vector(total, total, ir.Constant(_INTS, order))
            total = builder.fadd(total, upper)
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return types.float32(lanes_type), build


@_instruction
def _two_to_the_low_bits(typing_context, value):
    """2^k, where k is the whole number in the lowest mantissa bits of 1.5 * 2^23 + k."""

    def build(context, builder, sig, args):
        bits = builder.bitcast(args[0], _INTS)
        exponent = builder.shl(bits, ir.Constant(_INTS, [23] * LANES))
        one = ir.Constant(_INTS, [127 << 23] * LANES)
        return builder.bitcast(builder.add(exponent, one), _FLOATS)

    return lanes_type(lanes_type), build


_ROUNDER = np.float32(1.5 * 2**23)
# Polynomial of 2^f on |f| <= 0.5; the tests hold it to 3e-7 relative.
_C0, _C1, _C2 = np.float32(1), np.float32(6.9314720e-1), np.float32(2.4022648e-1)
_C3, _C4 = np.float32(5.5503324e-2), np.float32(9.6184373e-3)
_C5, _C6 = np.float32(1.3398874e-3), np.float32(1.5353362e-4)


@njit(inline="always")
def lanes_min(left, right):
    """Smaller of each pair."""
    return select(left > right, right, left)


@njit(inline="always")
def lanes_exp2(p):
    """2^p, -120 <= p <= 120, relative error below 3e-7; lower p gives the value at -120."""
    p = select(p > splat(np.float32(-120)), p, splat(np.float32(-120)))
    shifted = p + splat(_ROUNDER)
    f = p - (shifted - splat(_ROUNDER))
    value = splat(_C6) * f + splat(_C5)
    value = value * f + splat(_C4)
    value = value * f + splat(_C3)
    value = value * f + splat(_C2)
    value = value * f + splat(_C1)
    value = value * f + splat(_C0)
    return value * _two_to_the_low_bits(shifted)
