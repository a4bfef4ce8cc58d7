"""The fused field's loops in numba: block by block through the network, onto the canonical Gaussians, into records.

A block is BLOCK Gaussians whose values lie channel by channel (`fused_field_tile`). Everything between the first
layer and the record stays in a scratch of a few kilobytes that the first cache holds.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from gstalker.kernels.fused_field_tile import COLUMNS, OUTPUTS, dense_tile, take
from gstalker.kernels.quantise_box import POSITION_CODES
from gstalker.kernels.quantise_numba import BLOCK, ONE, pack_block, whole_bits
from gstalker.kernels.simd import LANES, load, select, splat, store

MOVER_ROWS = 11
"""Rows of a block: means 3, quaternions 4, scales 3, and the opacity (its logit in canonical blocks)."""
_DELTAS = MOVER_ROWS * BLOCK  # where a block's deltas lie in its state: behind what is made of them
STATE_FLOATS = 2 * _DELTAS
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
    """The network of one block; where in `work` its outputs begin.

    Args:
        base: (blocks, H, BLOCK), flat: the baked first layer.
        gates: (blocks, G, BLOCK), flat, and drive (G, H): the first layer is max(base + sum over G of gate * drive, 0).
        layers: (L, 3) int64: inputs, tiles, and where in `weights` the layer's first tile begins.
        weights: flat float32, `fused_field_tile.dense_tile`.
        work: flat float32, twice `room`.
        room: floats that the widest layer of a block takes.
    """
    gate_count, hidden = drive.shape
    zero = splat(_ZERO)
    for h in range(hidden):
        for i in range(0, BLOCK, LANES):
            value = load(base, (block * hidden + h) * BLOCK + i)
            for g in range(gate_count):
                value = value + load(gates, (block * gate_count + g) * BLOCK + i) * splat(drive[g, h])
            store(work, h * BLOCK + i, select(zero > value, zero, value))
    x_at, y_at = 0, room
    for layer in range(len(layers)):
        inputs, tiles, at = layers[layer, 0], layers[layer, 1], layers[layer, 2]
        floor = _ZERO if layer < len(layers) - 1 else _NO_FLOOR
        for tile in range(tiles):
            tile_at = at + tile * OUTPUTS * (inputs + 1)
            for column in range(0, BLOCK, COLUMNS):
                y = y_at + tile * OUTPUTS * BLOCK + column
                dense_tile(work, x_at + column, y, weights, tile_at, inputs, floor)
        x_at, y_at = y_at, x_at
    return x_at


@numba.njit(error_model="numpy", nogil=True)
def gather(rows, first, count, state):
    """Rows (M, C) of one block as its deltas, the last one again where the block is not full."""
    for k in range(rows.shape[1]):
        for i in range(BLOCK):
            state[_DELTAS + k * BLOCK + i] = rows[first + min(i, count - 1), k]


@numba.njit(error_model="numpy", nogil=True)
def apply_block(canonical, block, state):
    """The moved state: eleven rows, of canonical (blocks, 11, BLOCK) and the eleven rows of deltas behind them."""
    for i in range(BLOCK):
        d = _DELTAS + i
        state[i] = canonical[block, 0, i] + state[d]
        state[i + BLOCK] = canonical[block, 1, i] + state[d + BLOCK]
        state[i + 2 * BLOCK] = canonical[block, 2, i] + state[d + 2 * BLOCK]
        w = canonical[block, 3, i] + state[d + 3 * BLOCK]
        x = canonical[block, 4, i] + state[d + 4 * BLOCK]
        y = canonical[block, 5, i] + state[d + 5 * BLOCK]
        z = canonical[block, 6, i] + state[d + 6 * BLOCK]
        inverse = ONE / np.sqrt(w * w + x * x + y * y + z * z)
        state[i + 3 * BLOCK] = w * inverse
        state[i + 4 * BLOCK] = x * inverse
        state[i + 5 * BLOCK] = y * inverse
        state[i + 6 * BLOCK] = z * inverse
        state[i + 7 * BLOCK] = canonical[block, 7, i] * exp_scalar(state[d + 7 * BLOCK])
        state[i + 8 * BLOCK] = canonical[block, 8, i] * exp_scalar(state[d + 8 * BLOCK])
        state[i + 9 * BLOCK] = canonical[block, 9, i] * exp_scalar(state[d + 9 * BLOCK])
        logit = canonical[block, 10, i] + state[d + 10 * BLOCK]
        state[i + 10 * BLOCK] = ONE / (ONE + exp_scalar(-logit))


@numba.njit(error_model="numpy", nogil=True)
def shift_block(canonical, block, state):
    """The moved means alone: three rows, of canonical (blocks, 3, BLOCK) and the three rows of deltas."""
    for k in range(3):
        for i in range(BLOCK):
            state[k * BLOCK + i] = canonical[block, k, i] + state[_DELTAS + k * BLOCK + i]


@numba.njit(error_model="numpy", nogil=True)
def pack_means_block(still, block, state, minimum, to_code, words):
    """`pack_block` for Gaussians of which only the means move: the first three rows of `state`, the rest from `still`.

    still: (blocks, 3, BLOCK) uint32, the second (its upper half), third and fourth word of every record.
    """
    highest = np.float32(POSITION_CODES)
    x0, y0, z0 = minimum[0], minimum[1], minimum[2]
    tx, ty, tz = to_code[0], to_code[1], to_code[2]
    bad = np.int32(0)
    for n in range(BLOCK):
        px = np.rint((state[n] - x0) * tx)
        py = np.rint((state[n + BLOCK] - y0) * ty)
        pz = np.rint((state[n + 2 * BLOCK] - z0) * tz)
        fits = (px >= _ZERO) & (px <= highest) & (py >= _ZERO) & (py <= highest) & (pz >= _ZERO) & (pz <= highest)
        words[4 * n] = whole_bits(px) | np.uint32(whole_bits(py) << np.uint32(16))
        words[4 * n + 1] = whole_bits(pz) | still[block, 0, n]
        words[4 * n + 2] = still[block, 1, n]
        words[4 * n + 3] = still[block, 2, n]
        bad += np.int32(0) if fits else np.int32(1)
    return bad


@numba.njit(error_model="numpy", nogil=True)
def deltas_of(side, block, first, count, work, room, state):
    """The deltas of one block into its state: from the network, or those that were given."""
    base, gates, drive, layers, weights, deltas = side
    if len(deltas) > 0:
        gather(deltas, first, count, state)
        return
    at = network(base, gates, drive, layers, weights, block, work, room)
    for i in range(deltas.shape[1] * BLOCK):
        state[_DELTAS + i] = work[at + i]


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
        scratch: this thread's own: work (flat float32, twice `room`), room, state (STATE_FLOATS,) float32,
            words (4 * BLOCK,) uint32.
        packed: (16 * M,) uint8, or empty: records are not wanted.
        values: means (M, 3), quats (M, 4), scales (M, 3), opacities (M,) float32, or all empty: not wanted. Of the
            torso only means are written.
    """
    minimum, to_code, log_minimum, log_to_code = box
    work, room, state, words = scratch
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
                deltas_of(head, index, first, count, work, room, state)
                apply_block(canonical, index, state)
                if len(packed) > 0:
                    bad += pack_block(state, minimum, to_code, log_minimum, log_to_code, words)
            else:
                block = index - head_blocks
                first = block * BLOCK
                count = min(BLOCK, torso_count - first)
                deltas_of(torso, block, first, count, work, room, state)
                shift_block(torso_canonical, block, state)
                if len(packed) > 0:
                    bad += pack_means_block(still, block, state, minimum, to_code, words)
                first += head_count
            if len(packed) > 0:
                for i in range(16 * count):
                    packed[16 * first + i] = record_bytes[i]
            if len(means) > 0:
                for i in range(count):
                    for k in range(3):
                        means[first + i, k] = state[k * BLOCK + i]
            if len(means) > 0 and is_head:
                for i in range(count):
                    for k in range(4):
                        quats[first + i, k] = state[(3 + k) * BLOCK + i]
                    for k in range(3):
                        scales[first + i, k] = state[(7 + k) * BLOCK + i]
                    opacities[first + i] = state[10 * BLOCK + i]
