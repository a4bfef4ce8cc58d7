"""Alpha blending of 2D splats into tiles, forward and backward (numba)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from gstalker.kernels.cpu_project import (
    BLUE,
    GRADIENT_FIELDS,
    GREEN,
    INV_VAR_X,
    INV_VAR_Y,
    MEAN_X,
    MEAN_Y,
    OPACITY,
    Q_MAX,
    RED,
    SHEAR,
)
from gstalker.kernels.loops import threaded_loop
from gstalker.kernels.reference import ALPHA_CUT, ALPHA_MAX, TRANSMITTANCE_STOP
from gstalker.kernels.simd import (
    LANES,
    any_lane,
    lane_numbers,
    lanes_exp2,
    lanes_min,
    load,
    select,
    splat,
    store,
    sum_lanes,
)

# Small enough for the first cache, and enough of them to share among threads.
TILE_ROWS = 32
TILE_COLS = 64

# Splats up to this wide are drawn over their bounding box: the few lanes wasted cost less than finding each row's
# span and mispredicting the length of its loop. Measured: a fifth faster forward, a tenth backward.
_NARROW = 3 * LANES

# A tile's pixels lie in flat arrays, each row with room for the lanes of a span that starts in its last column.
_STRIDE = TILE_COLS + LANES
_TILE_SIZE = TILE_ROWS * _STRIDE

_CUT = np.float32(ALPHA_CUT)
_MAX = np.float32(ALPHA_MAX)
_STOP = np.float32(TRANSMITTANCE_STOP)
_ONE = np.float32(1)
_HALF = np.float32(0.5)
_ZERO = np.float32(0)
_MINUS_HALF_LOG2_E = np.float32(-0.5 / math.log(2))


@njit(inline="always")
def _tile_rows(mean_y, inv_var_y, q_max, y_tile, rows):
    """First and one past the last row of the tile that the ellipse may reach."""
    half = math.sqrt(q_max / inv_var_y)
    low = max(mean_y - half - _HALF - np.float32(y_tile), _ZERO)
    high = min(mean_y + half + _HALF - np.float32(y_tile), np.float32(rows))
    return np.int64(low), np.int64(math.ceil(high)) if high > low else np.int64(0)


@njit(inline="always")
def _row_span(centre, half, columns):
    """First and one past the last column of the tile between centre - half and centre + half."""
    low = max(centre - half, _ZERO)
    high = min(centre + half, np.float32(columns))
    first = np.int64(low + np.float32(0.999999))
    return first, np.int64(high + np.float32(0.999999)) if high > low else first


@threaded_loop(cache=True, fastmath={"contract", "nsz", "arcp"})
def blend(splats, order, tile_start, tile_ranks, dealt, worker_start, background, width_px, height_px):
    """Draw every tile front to back.

    Args:
        splats: (N, SPLAT_FIELDS) float32; order, tile_start, tile_ranks, dealt, worker_start: `cpu_bin`.
        background: (H, W, 3) or (1, 1, 3) float32.

    Returns:
        rgb (H, W, 3), transmittance (H, W) float32, last (H, W) int32: rank of the last splat drawn, or -1.
    """
    rgb = np.empty((height_px, width_px, 3), np.float32)
    through = np.empty((height_px, width_px), np.float32)
    last = np.empty((height_px, width_px), np.int32)
    tile_columns = (width_px + TILE_COLS - 1) // TILE_COLS
    plate = background.shape[0] > 1 or background.shape[1] > 1
    for worker in prange(len(worker_start) - 1):
        t_tile = np.empty(_TILE_SIZE, np.float32)
        r_tile = np.empty(_TILE_SIZE, np.float32)
        g_tile = np.empty(_TILE_SIZE, np.float32)
        b_tile = np.empty(_TILE_SIZE, np.float32)
        last_tile = np.empty(_TILE_SIZE, np.float32)
        zero, one = splat(_ZERO), splat(_ONE)
        cut, alpha_max, stop = splat(_CUT), splat(_MAX), splat(_STOP)
        numbers = lane_numbers()
        for slot in range(worker_start[worker], worker_start[worker + 1]):
            tile = dealt[slot]
            y_tile = tile // tile_columns * TILE_ROWS
            x_tile = tile % tile_columns * TILE_COLS
            rows = min(TILE_ROWS, height_px - y_tile)
            columns = min(TILE_COLS, width_px - x_tile)
            t_tile[:] = _ONE
            r_tile[:] = _ZERO
            g_tile[:] = _ZERO
            b_tile[:] = _ZERO
            last_tile[:] = -_ONE
            for entry in range(tile_start[tile], tile_start[tile + 1]):
                rank = tile_ranks[entry]
                i = order[rank]
                rank_lanes = splat(np.float32(rank))
                opacity = splat(splats[i, OPACITY])
                red, green, blue = splat(splats[i, RED]), splat(splats[i, GREEN]), splat(splats[i, BLUE])
                scale = splat(_MINUS_HALF_LOG2_E * splats[i, INV_VAR_X])
                mean_y, shear = splats[i, MEAN_Y], splats[i, SHEAR]
                inv_var_y, q_max = splats[i, INV_VAR_Y], splats[i, Q_MAX]
                var_x = _ONE / splats[i, INV_VAR_X]
                mean_x = splats[i, MEAN_X] - np.float32(x_tile) - _HALF
                first_row, end_row = _tile_rows(mean_y, inv_var_y, q_max, y_tile, rows)
                box_0, box_1 = _row_span(mean_x, math.sqrt(q_max * (var_x + shear * shear / inv_var_y)), columns)
                narrow = box_1 - box_0 <= _NARROW
                for row in range(first_row, end_row):
                    dy = np.float32(y_tile + row) + _HALF - mean_y
                    q_row = dy * dy * inv_var_y
                    centre = mean_x - shear * dy
                    x0, x1 = box_0, box_1
                    if not narrow:
                        x0, x1 = _row_span(centre, math.sqrt(max(q_max - q_row, _ZERO) * var_x), columns)
                    p_row = splat(_MINUS_HALF_LOG2_E * q_row)
                    u = splat(np.float32(x0) - centre) + numbers
                    for at in range(row * _STRIDE + x0, row * _STRIDE + x1, LANES):
                        t = load(t_tile, at)
                        if any_lane(t > zero):
                            alpha = lanes_min(opacity * lanes_exp2(scale * u * u + p_row), alpha_max)
                            t_next = t * (one - alpha)
                            touched = alpha >= cut
                            drawn = touched & (t_next > stop)
                            weight = select(drawn, t * alpha, zero)
                            store(r_tile, at, load(r_tile, at) + weight * red)
                            store(g_tile, at, load(g_tile, at) + weight * green)
                            store(b_tile, at, load(b_tile, at) + weight * blue)
                            # A stopped pixel keeps its transmittance with a minus sign.
                            stopped = select(touched & (t > zero), zero - t, t)
                            store(t_tile, at, select(drawn, t_next, stopped))
                            store(last_tile, at, select(drawn, rank_lanes, load(last_tile, at)))
                        u = u + splat(np.float32(LANES))
            for row in range(rows):
                for x in range(columns):
                    at = row * _STRIDE + x
                    t = abs(t_tile[at])
                    py, px = y_tile + row, x_tile + x
                    by, bx = (py, px) if plate else (0, 0)
                    through[py, px] = t
                    last[py, px] = last_tile[at]
                    rgb[py, px, 0] = r_tile[at] + t * background[by, bx, 0]
                    rgb[py, px, 1] = g_tile[at] + t * background[by, bx, 1]
                    rgb[py, px, 2] = b_tile[at] + t * background[by, bx, 2]
    return rgb, through, last


@threaded_loop(cache=True, fastmath={"contract", "nsz", "arcp"})
def blend_backward(
    splats,
    order,
    tile_start,
    tile_ranks,
    tile_pairs,
    dealt,
    worker_start,
    background,
    through,
    last,
    g_rgb,
    g_alpha,
):
    """Partial gradients of each splat from each tile.

    Goes back to front. With T the transmittance in front of a splat and R what is seen behind it (both summed
    against the picture's gradient), dL/dalpha = T (colour - R); R <- alpha colour + (1 - alpha) R and
    T <- T / (1 - alpha) are both stable, where "total minus what was in front" cancels for the far splats.

    Args:
        through, last: from `blend`; g_rgb (H, W, 3), g_alpha (H, W): dL/d rgb and dL/d alpha.

    Returns:
        (pairs, GRADIENT_FIELDS) float32.
    """
    height_px, width_px = through.shape
    partials = np.empty((len(tile_pairs), GRADIENT_FIELDS), np.float32)
    tile_columns = (width_px + TILE_COLS - 1) // TILE_COLS
    plate = background.shape[0] > 1 or background.shape[1] > 1
    for worker in prange(len(worker_start) - 1):
        t_tile = np.ones(_TILE_SIZE, np.float32)
        rest_tile = np.zeros(_TILE_SIZE, np.float32)
        last_tile = np.empty(_TILE_SIZE, np.float32)
        g0_tile = np.zeros(_TILE_SIZE, np.float32)
        g1_tile = np.zeros(_TILE_SIZE, np.float32)
        g2_tile = np.zeros(_TILE_SIZE, np.float32)
        zero, one = splat(_ZERO), splat(_ONE)
        cut, alpha_max = splat(_CUT), splat(_MAX)
        numbers = lane_numbers()
        for slot in range(worker_start[worker], worker_start[worker + 1]):
            tile = dealt[slot]
            y_tile = tile // tile_columns * TILE_ROWS
            x_tile = tile % tile_columns * TILE_COLS
            rows = min(TILE_ROWS, height_px - y_tile)
            columns = min(TILE_COLS, width_px - x_tile)
            last_tile[:] = -_ONE  # lanes beyond the tile's edge take part in nothing
            for row in range(rows):
                for x in range(columns):
                    py, px = y_tile + row, x_tile + x
                    by, bx = (py, px) if plate else (0, 0)
                    at = row * _STRIDE + x
                    g0, g1, g2 = g_rgb[py, px, 0], g_rgb[py, px, 1], g_rgb[py, px, 2]
                    behind = g0 * background[by, bx, 0] + g1 * background[by, bx, 1] + g2 * background[by, bx, 2]
                    rest_tile[at] = behind - g_alpha[py, px]
                    g0_tile[at], g1_tile[at], g2_tile[at] = g0, g1, g2
                    t_tile[at] = through[py, px]
                    last_tile[at] = last[py, px]
            for entry in range(tile_start[tile + 1] - 1, tile_start[tile] - 1, -1):
                rank = tile_ranks[entry]
                i = order[rank]
                rank_lanes = splat(np.float32(rank))
                opacity = splat(splats[i, OPACITY])
                red, green, blue = splat(splats[i, RED]), splat(splats[i, GREEN]), splat(splats[i, BLUE])
                inv_var_x, shear = splats[i, INV_VAR_X], splats[i, SHEAR]
                inv_var_y, q_max = splats[i, INV_VAR_Y], splats[i, Q_MAX]
                scale = splat(_MINUS_HALF_LOG2_E * inv_var_x)
                mean_y = splats[i, MEAN_Y]
                var_x = _ONE / inv_var_x
                mean_x = splats[i, MEAN_X] - np.float32(x_tile) - _HALF
                s_1 = s_u = s_uu = s_y = s_uy = s_yy = s_r = s_g = s_b = zero
                first_row, end_row = _tile_rows(mean_y, inv_var_y, q_max, y_tile, rows)
                box_0, box_1 = _row_span(mean_x, math.sqrt(q_max * (var_x + shear * shear / inv_var_y)), columns)
                narrow = box_1 - box_0 <= _NARROW
                for row in range(first_row, end_row):
                    dy = np.float32(y_tile + row) + _HALF - mean_y
                    q_row = dy * dy * inv_var_y
                    centre = mean_x - shear * dy
                    x0, x1 = box_0, box_1
                    if not narrow:
                        x0, x1 = _row_span(centre, math.sqrt(max(q_max - q_row, _ZERO) * var_x), columns)
                    p_row = splat(_MINUS_HALF_LOG2_E * q_row)
                    u = splat(np.float32(x0) - centre) + numbers
                    row_1 = row_u = zero
                    for at in range(row * _STRIDE + x0, row * _STRIDE + x1, LANES):
                        reached = load(last_tile, at) >= rank_lanes
                        if any_lane(reached):
                            raw = opacity * lanes_exp2(scale * u * u + p_row)
                            alpha = lanes_min(raw, alpha_max)
                            alpha = select(reached & (alpha >= cut), alpha, zero)
                            t = load(t_tile, at) / (one - alpha)
                            g0, g1, g2 = load(g0_tile, at), load(g1_tile, at), load(g2_tile, at)
                            rest = load(rest_tile, at)
                            over = g0 * red + g1 * green + g2 * blue - rest
                            weight = t * alpha
                            s_r = s_r + weight * g0
                            s_g = s_g + weight * g1
                            s_b = s_b + weight * g2
                            g = select(alpha_max >= raw, weight * over, zero)
                            row_1 = row_1 + g
                            row_u = row_u + g * u
                            s_uu = s_uu + g * u * u
                            store(t_tile, at, t)
                            store(rest_tile, at, rest + alpha * over)
                        u = u + splat(np.float32(LANES))
                    dy_lanes = splat(dy)
                    s_1 = s_1 + row_1
                    s_u = s_u + row_u
                    s_y = s_y + dy_lanes * row_1
                    s_uy = s_uy + dy_lanes * row_u
                    s_yy = s_yy + dy_lanes * dy_lanes * row_1
                pair = tile_pairs[entry]
                sum_u = sum_lanes(s_u)
                partials[pair, MEAN_X] = inv_var_x * sum_u
                partials[pair, MEAN_Y] = inv_var_x * shear * sum_u + inv_var_y * sum_lanes(s_y)
                partials[pair, INV_VAR_X] = -_HALF * sum_lanes(s_uu)
                partials[pair, SHEAR] = -inv_var_x * sum_lanes(s_uy)
                partials[pair, INV_VAR_Y] = -_HALF * sum_lanes(s_yy)
                partials[pair, OPACITY] = sum_lanes(s_1) / splats[i, OPACITY]
                partials[pair, RED] = sum_lanes(s_r)
                partials[pair, GREEN] = sum_lanes(s_g)
                partials[pair, BLUE] = sum_lanes(s_b)
    return partials
