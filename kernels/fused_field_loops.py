"""The fused field's loops in numba: block by block through the network, onto the canonical Gaussians, into records.

A block is BLOCK Gaussians whose values lie channel by channel (`fused_field_tile`). Everything between the first
layer and the record stays in a scratch of a few kilobytes that the first cache holds.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from gstalker.kernels.fused_field_tile import COLUMNS, OUTPUTS, copy_bytes, dense_tile, take
from gstalker.kernels.quantise_box import POSITION_CODES
from gstalker.kernels.quantise_numba import BLOCK, ONE, pack_block, whole_bits
from gstalker.kernels.simd import LANES, load, select, splat, store

MOVER_ROWS = 11
"""Rows of a block: means 3, quaternions 4, scales 3, and the opacity (its logit in canonical blocks)."""
# A thread's scratch: what a block becomes (MOVER_ROWS), its deltas (whole tiles), and two layers by turns.
_DELTAS = MOVER_ROWS * BLOCK
_LAYERS = _DELTAS + -(-MOVER_ROWS // OUTPUTS) * OUTPUTS * BLOCK
TAKEN_AT_ONCE = 8
"""Blocks a thread takes from the common counter: about 30 microseconds of work at the sizes of an avatar."""

_ZERO, _NO_FLOOR = np.float32(0), np.float32(-np.inf)
_INFINITY, _LARGEST = np.float32(np.inf), np.float32(88.72283)  # ln of the largest float32
_SMALLEST = np.float32(-87.0)  # below this exp counts as its value here, 1.6e-38
_LOG2_E = np.float32(1 / math.log(2))
_LN2_HIGH, _LN2_LOW = np.float32(0.693145751953125), np.float32(math.log(2) - 0.693145751953125)
_ROUNDER = np.float32(1.5 * 2**23)
_EXPONENT_ONE = np.int32(127)
_E2, _E3, _E4 = np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24)
_E5, _E6, _E7 = np.float32(1 / 120), np.float32(1 / 720), np.float32(1 / 5040)


def work_floats(room: int) -> int:
    """Size of a thread's `work`, float32, where the widest layer of a block takes `room`."""
    return _LAYERS + 2 * room


@numba.njit(inline="always", error_model="numpy")
def exp_scalar(x):
    """e^x of one float32, relative error below 3e-7 where it is normal; a form that LLVM makes vector code of.

    x = k ln 2 + r, |r| <= ln(2) / 2; the Taylor series of e^r to r^7 errs by less than 6e-9.
    """
    bounded = x if x > _SMALLEST else (_SMALLEST if x <= _SMALLEST else x)  # NaN stays NaN
    shifted = bounded * _LOG2_E + _ROUNDER
    k = shifted - _ROUNDER
    r = (bounded - k * _LN2_HIGH) - k * _LN2_LOW
    series = ONE + r * (ONE + r * (_E2 + r * (_E3 + r * (_E4 + r * (_E5 + r * (_E6 + r * _E7))))))
    # The whole number stands in the lowest bits of `shifted`. 2^128 has no float32, so one half of it is taken apart.
    whole = np.int32(np.float32(shifted).view(np.int32) << np.int32(9)) >> np.int32(9)
    half = np.int32(whole >> np.int32(1))
    first = np.int32(np.int32(half + _EXPONENT_ONE) << np.int32(23)).view(np.float32)
    second = np.int32(np.int32(np.int32(whole - half) + _EXPONENT_ONE) << np.int32(23)).view(np.float32)
    value = series * first * second
    return _INFINITY if x > _LARGEST else value


@numba.njit(error_model="numpy", nogil=True)
def network(base, gates, drive, layers, weights, block, work, room):
    """The network of one block, its outputs as the block's deltas.

    Args:
        base: (blocks, H, BLOCK), flat: the baked first layer.
        gates: (blocks, G, BLOCK), flat, and drive (G, H): the first layer is max(base + sum over G of gate * drive, 0).
        layers: (L, 3) int64: inputs, tiles, and where in `weights` the layer's first tile begins.
        weights: flat float32, `fused_field_tile.dense_tile`.
        work: flat float32, `work_floats(room)`.
        room: floats that the widest layer of a block takes.
    """
    gate_count, hidden = drive.shape
    zero = splat(_ZERO)
    x_at, y_at = _LAYERS, _LAYERS + room
    for h in range(hidden):
        for i in range(0, BLOCK, LANES):
            value = load(base, (block * hidden + h) * BLOCK + i)
            for g in range(gate_count):
                value = value + load(gates, (block * gate_count + g) * BLOCK + i) * splat(drive[g, h])
            store(work, x_at + h * BLOCK + i, select(zero > value, zero, value))
    last = len(layers) - 1
    for layer in range(last + 1):
        inputs, tiles, at = layers[layer, 0], layers[layer, 1], layers[layer, 2]
        floor, y = (_ZERO, y_at) if layer < last else (_NO_FLOOR, _DELTAS)
        for tile in range(tiles):
            tile_at = at + tile * OUTPUTS * (inputs + 1)
            for column in range(0, BLOCK, COLUMNS):
                dense_tile(work, x_at + column, y + tile * OUTPUTS * BLOCK + column, weights, tile_at, inputs, floor)
        x_at, y_at = y_at, x_at


@numba.njit(error_model="numpy", nogil=True)
def gather(rows, first, count, work):
    """Rows (M, C) of one block as its deltas, the last one again where the block is not full."""
    for i in range(BLOCK):
        row = np.uintp(first + min(i, count - 1))
        for k in range(np.uintp(rows.shape[1])):
            work[np.uintp(_DELTAS + i) + np.uintp(BLOCK) * k] = rows[row, k]


@numba.njit(error_model="numpy", nogil=True)
def apply_block(canonical, block, work):
    """The moved state: eleven rows, of canonical (blocks, 11, BLOCK) and the eleven rows of deltas behind them."""
    for i in range(BLOCK):
        d = _DELTAS + i
        work[i] = canonical[block, 0, i] + work[d]
        work[i + BLOCK] = canonical[block, 1, i] + work[d + BLOCK]
        work[i + 2 * BLOCK] = canonical[block, 2, i] + work[d + 2 * BLOCK]
        w = canonical[block, 3, i] + work[d + 3 * BLOCK]
        x = canonical[block, 4, i] + work[d + 4 * BLOCK]
        y = canonical[block, 5, i] + work[d + 5 * BLOCK]
        z = canonical[block, 6, i] + work[d + 6 * BLOCK]
        inverse = ONE / np.sqrt(w * w + x * x + y * y + z * z)
        work[i + 3 * BLOCK] = w * inverse
        work[i + 4 * BLOCK] = x * inverse
        work[i + 5 * BLOCK] = y * inverse
        work[i + 6 * BLOCK] = z * inverse
        work[i + 7 * BLOCK] = canonical[block, 7, i] * exp_scalar(work[d + 7 * BLOCK])
        work[i + 8 * BLOCK] = canonical[block, 8, i] * exp_scalar(work[d + 8 * BLOCK])
        work[i + 9 * BLOCK] = canonical[block, 9, i] * exp_scalar(work[d + 9 * BLOCK])
        logit = canonical[block, 10, i] + work[d + 10 * BLOCK]
        work[i + 10 * BLOCK] = ONE / (ONE + exp_scalar(-logit))


@numba.njit(error_model="numpy", nogil=True)
def shift_block(canonical, block, work):
    """The moved means alone: three rows, of canonical (blocks, 3, BLOCK) and the three rows of deltas."""
    for k in range(3):
        for i in range(BLOCK):
            work[k * BLOCK + i] = canonical[block, k, i] + work[_DELTAS + k * BLOCK + i]


@numba.njit(error_model="numpy", nogil=True)
def pack_means_block(still, block, work, minimum, to_code, words):
    """`pack_block` for Gaussians of which only the means move: the first three rows of `work`, the rest from `still`.

    still: (blocks, 3, BLOCK) uint32, the second (its upper half), third and fourth word of every record.
    """
    highest = np.float32(POSITION_CODES)
    x0, y0, z0 = minimum[0], minimum[1], minimum[2]
    tx, ty, tz = to_code[0], to_code[1], to_code[2]
    bad = np.int32(0)
    for n in range(BLOCK):
        px = np.rint((work[n] - x0) * tx)
        py = np.rint((work[n + BLOCK] - y0) * ty)
        pz = np.rint((work[n + 2 * BLOCK] - z0) * tz)
        fits = (px >= _ZERO) & (px <= highest) & (py >= _ZERO) & (py <= highest) & (pz >= _ZERO) & (pz <= highest)
        words[4 * n] = whole_bits(px) | np.uint32(whole_bits(py) << np.uint32(16))
        words[4 * n + 1] = whole_bits(pz) | still[block, 0, n]
        words[4 * n + 2] = still[block, 1, n]
        words[4 * n + 3] = still[block, 2, n]
        bad += np.int32(0) if fits else np.int32(1)
    return bad


@numba.njit(cache=True, error_model="numpy", nogil=True)
def run_blocks(head, torso, canonical, torso_canonical, still, counts, box, counter, scratch, packed, values):
    """One thread's share: take blocks until none is left. How many Gaussians had a value without a code.

    Args:
        head, torso: base, gates, drive, layers, weights of `network`; and deltas (M, 11) of the head or (M, 3) of the
            torso, used in place of the network where there are any.
        canonical, torso_canonical: of `apply_block` and `shift_block`.
        still: of `pack_means_block`.
        counts: Gaussians of head and torso.
        box: `quantise_box.coefficients`.
        counter: (1,) int64, zero at first, common to the threads.
        scratch: this thread's own: work and room of `network`, words (4 * BLOCK,) uint32.
        packed: (16 * M,) uint8, or empty: records are not wanted.
        values: means (M, 3), quats (M, 4), scales (M, 3), opacities (M,) float32, or all empty: not wanted. Of the
            torso only means are written.
    """
    # Taken apart once: a tuple that is handed on costs the reference counts of all its arrays, a block at a time.
    base, gates, drive, layers, weights, deltas = head
    torso_base, torso_gates, torso_drive, torso_layers, torso_weights, torso_deltas = torso
    minimum, to_code, log_minimum, log_to_code = box
    work, room, words = scratch
    means, quats, scales, opacities = values
    record_bytes = words.view(np.uint8)
    head_count, torso_count = counts
    head_blocks, torso_blocks = len(canonical), len(torso_canonical)
    bad = 0
    while True:
        begin = take(counter, TAKEN_AT_ONCE)
        if begin >= head_blocks + torso_blocks:
            return bad
        for index in range(begin, min(begin + TAKEN_AT_ONCE, head_blocks + torso_blocks)):
            is_head = index < head_blocks
            if is_head:
                first = index * BLOCK
                count = min(BLOCK, head_count - first)
                if len(deltas) > 0:
                    gather(deltas, first, count, work)
                else:
                    network(base, gates, drive, layers, weights, index, work, room)
                apply_block(canonical, index, work)
                if len(packed) > 0:
                    bad += pack_block(work, minimum, to_code, log_minimum, log_to_code, words)
            else:
                block = index - head_blocks
                first = block * BLOCK
                count = min(BLOCK, torso_count - first)
                if len(torso_deltas) > 0:
                    gather(torso_deltas, first, count, work)
                else:
                    network(torso_base, torso_gates, torso_drive, torso_layers, torso_weights, block, work, room)
                shift_block(torso_canonical, block, work)
                if len(packed) > 0:
                    bad += pack_means_block(still, block, work, minimum, to_code, words)
                first += head_count
            if len(packed) > 0:
                copy_bytes(packed, 16 * first, record_bytes, 16 * count)
            if len(means) > 0:
                for i in range(count):
                    for k in range(3):
                        means[first + i, k] = work[k * BLOCK + i]
            if len(means) > 0 and is_head:
                for i in range(count):
                    for k in range(4):
                        quats[first + i, k] = work[(3 + k) * BLOCK + i]
                    for k in range(3):
                        scales[first + i, k] = work[(7 + k) * BLOCK + i]
                    opacities[first + i] = work[10 * BLOCK + i]
