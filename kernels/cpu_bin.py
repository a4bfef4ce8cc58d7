"""Which splats each tile draws, front to back (numba)."""

from __future__ import annotations

import numpy as np
from numba import njit

_RADIX_BITS = 11


@njit(cache=True, nogil=True)
def _order_by_depth(depths_m, visible):
    """`visible` (rising indices) by depth, ties by index: radix sort of the bits of positive floats."""
    count = len(visible)
    bits = depths_m.view(np.uint32)
    keys = np.empty(count, np.uint32)
    for k in range(count):
        keys[k] = bits[visible[k]]
    order = visible.copy()
    other_keys, other_order = np.empty_like(keys), np.empty_like(order)
    buckets = 1 << _RADIX_BITS
    starts = np.empty(buckets, np.int64)
    for shift in range(0, 32, _RADIX_BITS):
        starts[:] = 0
        for k in range(count):
            starts[(keys[k] >> np.uint32(shift)) & np.uint32(buckets - 1)] += 1
        total = 0
        for bucket in range(buckets):
            here = starts[bucket]
            starts[bucket] = total
            total += here
        for k in range(count):
            bucket = (keys[k] >> np.uint32(shift)) & np.uint32(buckets - 1)
            other_keys[starts[bucket]] = keys[k]
            other_order[starts[bucket]] = order[k]
            starts[bucket] += 1
        keys, other_keys = other_keys, keys
        order, other_order = other_order, order
    return order


@njit(cache=True, nogil=True)
def bin_splats(depths_m, tiles, tile_columns, tile_count):
    """Sort what is seen by depth and list it per tile.

    Args:
        depths_m (N,), tiles (N, 4): from `cpu_project.project`.
        tile_columns, tile_count: how the picture is cut, row by row.

    Returns:
        order: (visible,) int32 Gaussian index by rank (0 is nearest).
        rank: (N,) int32, -1 for what is not seen.
        first_pair: (visible + 1,) int32: rank r owns pairs first_pair[r] to first_pair[r + 1].
        tile_start: (tile_count + 1,) int32 into the two lists below.
        tile_ranks: (pairs,) int32 ranks in each tile, rising.
        tile_pairs: (pairs,) int32 pair number of each entry.
    """
    count = len(depths_m)
    rank = np.full(count, -1, np.int32)
    visible = np.empty(count, np.int32)
    seen = 0
    for i in range(count):
        if tiles[i, 1] > tiles[i, 0]:
            visible[seen] = i
            seen += 1
    order = _order_by_depth(depths_m, visible[:seen])
    first_pair = np.empty(seen + 1, np.int32)
    tile_start = np.zeros(tile_count + 1, np.int32)
    pairs = 0
    for r in range(seen):
        i = order[r]
        rank[i] = r
        first_pair[r] = pairs
        pairs += (tiles[i, 1] - tiles[i, 0]) * (tiles[i, 3] - tiles[i, 2])
        for row in range(tiles[i, 2], tiles[i, 3]):
            for column in range(tiles[i, 0], tiles[i, 1]):
                tile_start[row * tile_columns + column + 1] += 1
    first_pair[seen] = pairs
    for tile in range(tile_count):
        tile_start[tile + 1] += tile_start[tile]
    cursor = tile_start[:-1].copy()
    tile_ranks = np.empty(pairs, np.int32)
    tile_pairs = np.empty(pairs, np.int32)
    pair = 0
    for r in range(seen):
        i = order[r]
        for row in range(tiles[i, 2], tiles[i, 3]):
            for column in range(tiles[i, 0], tiles[i, 1]):
                entry = cursor[row * tile_columns + column]
                cursor[row * tile_columns + column] += 1
                tile_ranks[entry] = r
                tile_pairs[entry] = pair
                pair += 1
    return order, rank, first_pair, tile_start, tile_ranks, tile_pairs


@njit(cache=True, nogil=True)
def share_tiles(tile_start, workers):
    """Deal tiles to workers, the fullest first, each to whoever has least so far.

    Returns:
        dealt: (tile_count,) int32 tiles, worker after worker.
        worker_start: (workers + 1,) int32 into `dealt`.
    """
    tile_count = len(tile_start) - 1
    work = np.empty(tile_count, np.int64)
    for tile in range(tile_count):
        work[tile] = tile_start[tile + 1] - tile_start[tile] + 8  # clearing a tile costs about 8 splats
    load = np.zeros(workers, np.int64)
    owner = np.empty(tile_count, np.int32)
    sizes = np.zeros(workers + 1, np.int32)
    for tile in np.argsort(-work):
        worker = np.argmin(load)
        owner[tile] = worker
        load[worker] += work[tile]
        sizes[worker + 1] += 1
    worker_start = np.cumsum(sizes).astype(np.int32)
    dealt = np.empty(tile_count, np.int32)
    cursor = worker_start[:-1].copy()
    for tile in range(tile_count):
        dealt[cursor[owner[tile]]] = tile
        cursor[owner[tile]] += 1
    return dealt, worker_start
