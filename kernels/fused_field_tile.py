"""The inner loop of the fused field as explicit vector code: a tile of a matrix product, for a block of Gaussians.

A block's values lie channel by channel, `BLOCK` Gaussians side by side, so that every lane of a vector is one
Gaussian from the first layer to the packed record and nothing is ever transposed. A tile is `OUTPUTS` output
channels of a layer; its sums stay in registers while the input channels pass by.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gstalker.kernels.quantise_numba import BLOCK

WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
"""Whether vectors of sixteen floats are one register; elsewhere LLVM builds the same from smaller ones."""
LANES = 16 if WIDE else 8
_VECTORS = 2
COLUMNS = _VECTORS * LANES
"""Gaussians a tile: two vectors side by side hide the latency of the fused multiply-adds. Divides BLOCK."""
OUTPUTS = 6
"""Channels a tile: 2 x 6 sums, 2 inputs and a weight fit AVX2's sixteen registers; more gain nothing on AVX-512."""

_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_INDEX_BITS = 8 * struct.calcsize("P")  # of numba's intp
_FUSE = ("contract",)  # a product and its sum may become one fused multiply-add, nothing is reordered


def _instruction(define: Callable[..., Any]) -> Any:
    """numba's `intrinsic`, typed as what it makes: a function without the typing context."""
    return intrinsic(define)


@_instruction
def dense_tile(typing_context, work, x_at, y_at, weights, weights_at, inputs, lowest):
    """One tile of a layer: y = max(x W + b, lowest), for OUTPUTS channels of COLUMNS Gaussians.

    Args:
        work: flat float32; x begins at x_at and has `inputs` rows, y at y_at and has OUTPUTS, apart from x. Rows are
            BLOCK apart.
        weights: flat float32; from weights_at OUTPUTS biases, then for every input OUTPUTS weights.
        inputs: channels of x.
        lowest: float32, 0 for a ReLU, minus infinity for none.

    Bounds are the caller's.
    """
    signature = types.void(work, types.intp, types.intp, weights, types.intp, types.intp, types.float32)

    def build(context, builder, sig, args):
        work, x_at, y_at, weights, weights_at, inputs, lowest = args
        rows = _Rows(builder, context.make_array(sig.args[0])(context, builder, work).data)
        factors = context.make_array(sig.args[3])(context, builder, weights).data
        sums = [[cgutils.alloca_once(builder, _FLOATS) for _ in range(_VECTORS)] for _ in range(OUTPUTS)]
        for k in range(OUTPUTS):
            bias = _broadcast(builder, builder.load(builder.gep(factors, [_plus(builder, weights_at, k)])))
            for place in sums[k]:
                builder.store(bias, place)
        first = _plus(builder, weights_at, OUTPUTS)
        with cgutils.for_range(builder, inputs) as loop:
            x = rows.load(builder.add(x_at, builder.mul(loop.index, _index(BLOCK))))
            row = builder.add(first, builder.mul(loop.index, _index(OUTPUTS)))
            for k in range(OUTPUTS):
                weight = _broadcast(builder, builder.load(builder.gep(factors, [_plus(builder, row, k)])))
                for value, place in zip(x, sums[k], strict=True):
                    product = builder.fmul(weight, value, flags=_FUSE)
                    builder.store(builder.fadd(builder.load(place), product, flags=_FUSE), place)
        floor = _broadcast(builder, lowest)
        for k in range(OUTPUTS):
            totals = [builder.load(place) for place in sums[k]]
            # Unordered, so that NaN stays NaN and is refused where values are packed.
            kept = [builder.select(builder.fcmp_unordered("<", floor, t), t, floor) for t in totals]
            rows.store(_plus(builder, y_at, k * BLOCK), kept)
        return context.get_dummy_value()

    return signature, build


@_instruction
def take(typing_context, counter, amount):
    """Add to counter[0], int64, and return what it was: threads share out work with it without a lock."""

    def build(context, builder, sig, args):
        place = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", place, args[1], "monotonic")

    return types.int64(counter, types.int64), build


@_instruction
def copy_bytes(typing_context, target, target_at, source, count):
    """target[target_at:][:count] = source[:count], flat uint8 arrays that do not overlap."""

    def build(context, builder, sig, args):
        target, target_at, source, count = args
        to = builder.gep(context.make_array(sig.args[0])(context, builder, target).data, [target_at])
        cgutils.raw_memcpy(builder, to, context.make_array(sig.args[2])(context, builder, source).data, count, 1)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp), build


class _Rows:
    """One row of a block, as vectors in a flat float32 array."""

    def __init__(self, builder: ir.IRBuilder, base: Any) -> None:
        self._builder, self._base = builder, base

    def _places(self, at: Any) -> list[Any]:
        builder = self._builder
        starts = [builder.gep(self._base, [_plus(builder, at, v * LANES)]) for v in range(_VECTORS)]
        return [builder.bitcast(start, _FLOATS.as_pointer()) for start in starts]

    def load(self, at: Any) -> list[Any]:
        return [self._builder.load(place, align=4) for place in self._places(at)]

    def store(self, at: Any, values: list[Any]) -> None:
        for value, place in zip(values, self._places(at), strict=True):
            self._builder.store(value, place, align=4)


def _index(value: int) -> ir.Constant:
    return ir.Constant(ir.IntType(_INDEX_BITS), value)


def _plus(builder: ir.IRBuilder, at: Any, offset: int) -> Any:
    return builder.add(at, _index(offset))


def _broadcast(builder: ir.IRBuilder, value: Any) -> Any:
    nothing = ir.Constant(_FLOATS, ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))
