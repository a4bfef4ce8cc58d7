"""Alpha blending of 2D splats into tiles, forward and backward (numba)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from gstalker.kernels.cpu_project import (
    ALPHA_CUT,
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
    TILE_COLS,
    TILE_ROWS,
)

ALPHA_MAX = 0.999
TRANSMITTANCE_STOP = 1e-4

_CUT = np.float32(ALPHA_CUT)
_MAX = np.float32(ALPHA_MAX)
_STOP = np.float32(TRANSMITTANCE_STOP)
_ONE = np.float32(1)
_HALF = np.float32(0.5)
_ZERO = np.float32(0)
_MINUS_HALF_LOG2_E = np.float32(-0.5 / math.log(2))
_LOWEST = np.float32(-60)


@njit(inline="always")
def _exp2(p):
    """2^p for p in -60..0 in float32, relative error below 2e-7: round, then a polynomial of 2^f, |f| <= 0.5."""
    p = max(p, _LOWEST)
    whole = np.int32(p - _HALF)
    f = p - np.float32(whole)
    value = np.float32(1.5353362e-4)
    value = value * f + np.float32(1.3398874e-3)
    value = value * f + np.float32(9.6184373e-3)
    value = value * f + np.float32(5.5503324e-2)
    value = value * f + np.float32(2.4022648e-1)
    value = value * f + np.float32(6.9314720e-1)
    value = value * f + _ONE
    return value * np.int32((whole + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(inline="always")
def _row_span(splats, i, y, x0_tile, x1_tile):
    """Columns of one pixel row that the ellipse covers, inside the tile, and the row's centre and offset."""
    dy = y - splats[i, MEAN_Y]
    q_row = dy * dy * splats[i, INV_VAR_Y]
    centre = splats[i, MEAN_X] - splats[i, SHEAR] * dy
    left = splats[i, Q_MAX] - q_row
    if left <= _ZERO:
        return x0_tile, x0_tile, centre, dy, q_row
    half = math.sqrt(left / splats[i, INV_VAR_X])
    low = max(centre - half - _HALF, np.float32(x0_tile))
    high = min(centre + half + _HALF, np.float32(x1_tile))
    if low >= high:
        return x0_tile, x0_tile, centre, dy, q_row
    return int(math.ceil(low)), int(math.ceil(high)), centre, dy, q_row


@njit(parallel=True, cache=True, fastmath={"contract", "nsz", "arcp"})
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
        t_tile = np.empty((TILE_ROWS, TILE_COLS), np.float32)
        r_tile = np.empty((TILE_ROWS, TILE_COLS), np.float32)
        g_tile = np.empty((TILE_ROWS, TILE_COLS), np.float32)
        b_tile = np.empty((TILE_ROWS, TILE_COLS), np.float32)
        last_tile = np.empty((TILE_ROWS, TILE_COLS), np.int32)
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
            last_tile[:] = -1
            for entry in range(tile_start[tile], tile_start[tile + 1]):
                rank = tile_ranks[entry]
                i = order[rank]
                opacity = splats[i, OPACITY]
                red, green, blue = splats[i, RED], splats[i, GREEN], splats[i, BLUE]
                scale = _MINUS_HALF_LOG2_E * splats[i, INV_VAR_X]
                for row in range(rows):
                    y = np.float32(y_tile + row) + _HALF
                    x0, x1, centre, _, q_row = _row_span(splats, i, y, x_tile, x_tile + columns)
                    p_row = _MINUS_HALF_LOG2_E * q_row
                    u0 = np.float32(x_tile) + _HALF - centre
                    for x in range(x0 - x_tile, x1 - x_tile):
                        u = np.float32(x) + u0
                        alpha = min(opacity * _exp2(scale * u * u + p_row), _MAX)
                        t = t_tile[row, x]
                        t_next = t * (_ONE - alpha)
                        touched = alpha >= _CUT
                        drawn = touched and t_next > _STOP
                        weight = t * alpha if drawn else _ZERO
                        r_tile[row, x] += weight * red
                        g_tile[row, x] += weight * green
                        b_tile[row, x] += weight * blue
                        # A stopped pixel keeps its transmittance with a minus sign.
                        t_tile[row, x] = t_next if drawn else (-abs(t) if touched else t)
                        last_tile[row, x] = rank if drawn else last_tile[row, x]
            for row in range(rows):
                for x in range(columns):
                    t = abs(t_tile[row, x])
                    py, px = y_tile + row, x_tile + x
                    by, bx = (py, px) if plate else (0, 0)
                    through[py, px] = t
                    last[py, px] = last_tile[row, x]
                    rgb[py, px, 0] = r_tile[row, x] + t * background[by, bx, 0]
                    rgb[py, px, 1] = g_tile[row, x] + t * background[by, bx, 1]
                    rgb[py, px, 2] = b_tile[row, x] + t * background[by, bx, 2]
    return rgb, through, last


@njit(parallel=True, cache=True, fastmath={"contract", "nsz", "arcp"})
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
    T <- T / (1 - alpha) are both stable, where "total minus what was in front" would cancel for the far splats.

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
        t_tile = np.empty((TILE_ROWS, TILE_COLS), np.float32)
        rest_tile = np.empty((TILE_ROWS, TILE_COLS), np.float32)
        last_tile = np.empty((TILE_ROWS, TILE_COLS), np.int32)
        g_tile = np.empty((3, TILE_ROWS, TILE_COLS), np.float32)
        for slot in range(worker_start[worker], worker_start[worker + 1]):
            tile = dealt[slot]
            y_tile = tile // tile_columns * TILE_ROWS
            x_tile = tile % tile_columns * TILE_COLS
            rows = min(TILE_ROWS, height_px - y_tile)
            columns = min(TILE_COLS, width_px - x_tile)
            for row in range(rows):
                for x in range(columns):
                    py, px = y_tile + row, x_tile + x
                    by, bx = (py, px) if plate else (0, 0)
                    rest = -g_alpha[py, px]
                    for k in range(3):
                        g_tile[k, row, x] = g_rgb[py, px, k]
                        rest += g_rgb[py, px, k] * background[by, bx, k]
                    t_tile[row, x] = through[py, px]
                    last_tile[row, x] = last[py, px]
                    rest_tile[row, x] = rest
            for entry in range(tile_start[tile + 1] - 1, tile_start[tile] - 1, -1):
                rank = tile_ranks[entry]
                i = order[rank]
                opacity = splats[i, OPACITY]
                red, green, blue = splats[i, RED], splats[i, GREEN], splats[i, BLUE]
                inv_var_x, shear, inv_var_y = splats[i, INV_VAR_X], splats[i, SHEAR], splats[i, INV_VAR_Y]
                scale = _MINUS_HALF_LOG2_E * inv_var_x
                s_1 = s_u = s_uu = s_y = s_uy = s_yy = s_r = s_g = s_b = _ZERO
                for row in range(rows):
                    y = np.float32(y_tile + row) + _HALF
                    x0, x1, centre, dy, q_row = _row_span(splats, i, y, x_tile, x_tile + columns)
                    p_row = _MINUS_HALF_LOG2_E * q_row
                    u0 = np.float32(x_tile) + _HALF - centre
                    row_1 = row_u = row_uu = _ZERO
                    for x in range(x0 - x_tile, x1 - x_tile):
                        u = np.float32(x) + u0
                        raw = opacity * _exp2(scale * u * u + p_row)
                        alpha = min(raw, _MAX)
                        drawn = alpha >= _CUT and last_tile[row, x] >= rank
                        alpha = alpha if drawn else _ZERO
                        rest = rest_tile[row, x]
                        t = t_tile[row, x] / (_ONE - alpha)
                        g0, g1, g2 = g_tile[0, row, x], g_tile[1, row, x], g_tile[2, row, x]
                        over = g0 * red + g1 * green + g2 * blue - rest
                        weight = t * alpha
                        s_r += weight * g0
                        s_g += weight * g1
                        s_b += weight * g2
                        g = weight * over if raw <= _MAX else _ZERO
                        row_1 += g
                        row_u += g * u
                        row_uu += g * u * u
                        t_tile[row, x] = t
                        rest_tile[row, x] = rest + alpha * over
                    s_1 += row_1
                    s_u += row_u
                    s_uu += row_uu
                    s_y += dy * row_1
                    s_uy += dy * row_u
                    s_yy += dy * dy * row_1
                pair = tile_pairs[entry]
                partials[pair, MEAN_X] = inv_var_x * s_u
                partials[pair, MEAN_Y] = inv_var_x * shear * s_u + inv_var_y * s_y
                partials[pair, INV_VAR_X] = -_HALF * s_uu
                partials[pair, SHEAR] = -inv_var_x * s_uy
                partials[pair, INV_VAR_Y] = -_HALF * s_yy
                partials[pair, OPACITY] = s_1 / opacity
                partials[pair, RED] = s_r
                partials[pair, GREEN] = s_g
                partials[pair, BLUE] = s_b
    return partials
