"""From 3D Gaussians to 2D splats and back to gradients, one Gaussian at a time (numba, doubles inside).

The 2D Gaussian is kept as "y, then x given y" instead of as an inverse covariance: with the 2D covariance
[[a, b], [b, c]], the exponent is q = (dx + s dy)^2 / v + dy^2 / c with s = -b / c, v = a - b^2 / c. Both terms
are positive, so single precision is enough even for the pixels of long needles, and a row's span is exact.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from gstalker.kernels.loops import threaded_loop
from gstalker.kernels.reference import ALPHA_CUT, DILATION_PX2, NEAR_M

# Splats centred farther away than this are not drawn, and wider ones are as good as flat. A trained avatar never
# comes near; finite rubbish must do no harm.
_FARTHEST_PX = 1e7

# Columns of the (N, SPLAT_FIELDS) table of projected splats.
MEAN_X, MEAN_Y, INV_VAR_X, SHEAR, INV_VAR_Y, OPACITY, RED, GREEN, BLUE, Q_MAX = range(10)
SPLAT_FIELDS = 10
# Columns of the gradients that come back per splat: the same order, without Q_MAX.
GRADIENT_FIELDS = 9


@njit(inline="always")
def _rotation(qw, qx, qy, qz):
    """Row-major rotation matrix of a unit quaternion."""
    return (
        1 - 2 * (qy * qy + qz * qz),
        2 * (qx * qy - qw * qz),
        2 * (qx * qz + qw * qy),
        2 * (qx * qy + qw * qz),
        1 - 2 * (qx * qx + qz * qz),
        2 * (qy * qz - qw * qx),
        2 * (qx * qz - qw * qy),
        2 * (qy * qz + qw * qx),
        1 - 2 * (qx * qx + qy * qy),
    )


@njit(inline="always")
def _clamp_slopes(K, width_px, height_px):
    """The range of x/z and y/z in which the Jacobian is taken: the picture and 30 % of its half size around.

    Source: gsplat 1.5, persp_proj.
    """
    margin_x = 0.15 * width_px / K[0, 0]
    margin_y = 0.15 * height_px / K[1, 1]
    return (
        -K[0, 2] / K[0, 0] - margin_x,
        (width_px - K[0, 2]) / K[0, 0] + margin_x,
        -K[1, 2] / K[1, 1] - margin_y,
        (height_px - K[1, 2]) / K[1, 1] + margin_y,
    )


@njit(inline="always")
def _finite(means, quats, scales, opacities, colors, i):
    total = np.float64(opacities[i])  # in doubles the sum of finite singles is finite
    for k in range(3):
        total += np.float64(means[i, k]) + np.float64(scales[i, k]) + np.float64(colors[i, k])
    length2 = 0.0
    for k in range(4):
        length2 += np.float64(quats[i, k]) ** 2
    return math.isfinite(total) and math.isfinite(length2) and length2 > 0


@threaded_loop(cache=True)
def project(means, quats, scales, opacities, colors, viewmat, K, width_px, height_px, tile_rows, tile_cols):
    """Project every Gaussian.

    Args:
        means (N, 3), quats (N, 4), scales (N, 3), opacities (N,), colors (N, 3): float32.
        viewmat (4, 4), K (3, 3): float64.
        tile_rows, tile_cols: px; arguments because numba's cache does not notice when an imported constant changes.

    Returns:
        splats: (N, SPLAT_FIELDS) float32.
        depths_m: (N,) float32 camera z.
        tiles: (N, 4) int32 first and one past the last tile column, then row; empty for what is not seen.
        bad: index of the first Gaussian with a value that is not finite (or a zero quaternion), else -1.
    """
    count = len(means)
    splats = np.empty((count, SPLAT_FIELDS), np.float32)
    depths_m = np.empty(count, np.float32)
    tiles = np.empty((count, 4), np.int32)
    first_bad = np.int64(count)
    x_low, x_high, y_low, y_high = _clamp_slopes(K, width_px, height_px)
    for i in prange(count):
        tiles[i, 0] = tiles[i, 1] = tiles[i, 2] = tiles[i, 3] = 0
        if not _finite(means, quats, scales, opacities, colors, i):
            first_bad = min(first_bad, np.int64(i))
            continue
        mx, my, mz = np.float64(means[i, 0]), np.float64(means[i, 1]), np.float64(means[i, 2])
        z = viewmat[2, 0] * mx + viewmat[2, 1] * my + viewmat[2, 2] * mz + viewmat[2, 3]
        depths_m[i] = z
        opacity = np.float64(opacities[i])
        if z < NEAR_M or opacity < ALPHA_CUT:
            continue
        x = viewmat[0, 0] * mx + viewmat[0, 1] * my + viewmat[0, 2] * mz + viewmat[0, 3]
        y = viewmat[1, 0] * mx + viewmat[1, 1] * my + viewmat[1, 2] * mz + viewmat[1, 3]
        a, b, c, v = _covariance_2d(quats, scales, i, x / z, y / z, z, viewmat, K, x_low, x_high, y_low, y_high)
        # A hair more than where alpha falls to 1/255: the pixels themselves decide.
        q_max = 2.0 * math.log(opacity / ALPHA_CUT) + 1e-3
        centre_x = K[0, 0] * x / z + K[0, 2]
        centre_y = K[1, 1] * y / z + K[1, 2]
        half_x = math.sqrt(q_max * a)
        half_y = math.sqrt(q_max * c)
        x0 = max(centre_x - half_x, 0.0)
        x1 = min(centre_x + half_x, np.float64(width_px))
        y0 = max(centre_y - half_y, 0.0)
        y1 = min(centre_y + half_y, np.float64(height_px))
        if not (x0 < x1 and y0 < y1):
            continue
        if abs(centre_x) > _FARTHEST_PX or abs(centre_y) > _FARTHEST_PX:
            continue  # single precision has no pixels there
        tiles[i, 0] = int(x0) // tile_cols
        tiles[i, 1] = (math.ceil(x1) + tile_cols - 1) // tile_cols
        tiles[i, 2] = int(y0) // tile_rows
        tiles[i, 3] = (math.ceil(y1) + tile_rows - 1) // tile_rows
        splats[i, MEAN_X] = centre_x
        splats[i, MEAN_Y] = centre_y
        splats[i, INV_VAR_X] = 1.0 / min(v, _FARTHEST_PX**2)
        splats[i, SHEAR] = -b / c
        splats[i, INV_VAR_Y] = 1.0 / min(c, _FARTHEST_PX**2)
        splats[i, OPACITY] = opacity
        splats[i, RED] = colors[i, 0]
        splats[i, GREEN] = colors[i, 1]
        splats[i, BLUE] = colors[i, 2]
        splats[i, Q_MAX] = q_max
    return splats, depths_m, tiles, first_bad if first_bad < count else np.int64(-1)


@njit(inline="always")
def _jacobian_in_world(slope_x, slope_y, z, viewmat, K):
    """The two rows of J W: how a small world step moves the pixel, at the clamped slopes."""
    fx, fy = K[0, 0] / z, K[1, 1] / z
    return (
        fx * (viewmat[0, 0] - slope_x * viewmat[2, 0]),
        fx * (viewmat[0, 1] - slope_x * viewmat[2, 1]),
        fx * (viewmat[0, 2] - slope_x * viewmat[2, 2]),
        fy * (viewmat[1, 0] - slope_y * viewmat[2, 0]),
        fy * (viewmat[1, 1] - slope_y * viewmat[2, 1]),
        fy * (viewmat[1, 2] - slope_y * viewmat[2, 2]),
    )


@njit(inline="always")
def _unit_quat(quats, i):
    qw, qx = np.float64(quats[i, 0]), np.float64(quats[i, 1])
    qy, qz = np.float64(quats[i, 2]), np.float64(quats[i, 3])
    inverse_length = 1.0 / math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
    return qw * inverse_length, qx * inverse_length, qy * inverse_length, qz * inverse_length, inverse_length


@njit(inline="always")
def _dilated(m00, m01, m02, m10, m11, m12):
    """a, b, c and v = a - b^2 / c of M M^T + 0.3 I; v by Lagrange's identity, so that nothing cancels."""
    a = m00 * m00 + m01 * m01 + m02 * m02
    b = m00 * m10 + m01 * m11 + m02 * m12
    c = m10 * m10 + m11 * m11 + m12 * m12
    cross = (m01 * m12 - m02 * m11) ** 2 + (m02 * m10 - m00 * m12) ** 2 + (m00 * m11 - m01 * m10) ** 2
    determinant = cross + DILATION_PX2 * (a + c + DILATION_PX2)
    return a + DILATION_PX2, b, c + DILATION_PX2, determinant / (c + DILATION_PX2)


@njit(inline="always")
def _covariance_2d(quats, scales, i, slope_x, slope_y, z, viewmat, K, x_low, x_high, y_low, y_high):
    """a, b, c of the dilated 2D covariance in px^2, M M^T + 0.3 I with M = J W R S (EWA splatting); then v."""
    slope_x = min(max(slope_x, x_low), x_high)
    slope_y = min(max(slope_y, y_low), y_high)
    j00, j01, j02, j10, j11, j12 = _jacobian_in_world(slope_x, slope_y, z, viewmat, K)
    qw, qx, qy, qz, _ = _unit_quat(quats, i)
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = _rotation(qw, qx, qy, qz)
    s0, s1, s2 = np.float64(scales[i, 0]), np.float64(scales[i, 1]), np.float64(scales[i, 2])
    m00 = (j00 * r00 + j01 * r10 + j02 * r20) * s0
    m01 = (j00 * r01 + j01 * r11 + j02 * r21) * s1
    m02 = (j00 * r02 + j01 * r12 + j02 * r22) * s2
    m10 = (j10 * r00 + j11 * r10 + j12 * r20) * s0
    m11 = (j10 * r01 + j11 * r11 + j12 * r21) * s1
    m12 = (j10 * r02 + j11 * r12 + j12 * r22) * s2
    return _dilated(m00, m01, m02, m10, m11, m12)


@threaded_loop(cache=True)
def project_backward(means, quats, scales, viewmat, K, width_px, height_px, tiles, rank, first_pair, partials):
    """Gradients of the 3D parameters from the partial gradients of the 2D splats.

    Args:
        means, quats, scales, viewmat, K, width_px, height_px, tiles: as in and from `project`.
        rank: (N,) int32 place in the order of depth, -1 for what is not seen.
        first_pair: (visible + 1,) int32 rows of `partials` that belong to each rank.
        partials: (pairs, GRADIENT_FIELDS) float32, one row per splat and tile.

    Returns:
        float32 gradients of means, quats, scales, opacities, colors, and (N,) |dL/d mean2d| in 1/px.
    """
    count = len(means)
    g_means = np.zeros((count, 3), np.float32)
    g_quats = np.zeros((count, 4), np.float32)
    g_scales = np.zeros((count, 3), np.float32)
    g_opacities = np.zeros(count, np.float32)
    g_colors = np.zeros((count, 3), np.float32)
    g_screen = np.zeros(count, np.float32)
    x_low, x_high, y_low, y_high = _clamp_slopes(K, width_px, height_px)
    for i in prange(count):
        if rank[i] < 0:
            continue
        g_mx = g_my = g_ivx = g_shear = g_ivy = g_op = g_r = g_g = g_b = 0.0
        for pair in range(first_pair[rank[i]], first_pair[rank[i] + 1]):
            g_mx += partials[pair, MEAN_X]
            g_my += partials[pair, MEAN_Y]
            g_ivx += partials[pair, INV_VAR_X]
            g_shear += partials[pair, SHEAR]
            g_ivy += partials[pair, INV_VAR_Y]
            g_op += partials[pair, OPACITY]
            g_r += partials[pair, RED]
            g_g += partials[pair, GREEN]
            g_b += partials[pair, BLUE]
        g_opacities[i] = g_op
        g_colors[i, 0], g_colors[i, 1], g_colors[i, 2] = g_r, g_g, g_b
        g_screen[i] = math.sqrt(g_mx * g_mx + g_my * g_my)

        # Camera point, Jacobian and M = J W R S once more: cheaper than keeping them.
        wx, wy, wz = np.float64(means[i, 0]), np.float64(means[i, 1]), np.float64(means[i, 2])
        x = viewmat[0, 0] * wx + viewmat[0, 1] * wy + viewmat[0, 2] * wz + viewmat[0, 3]
        y = viewmat[1, 0] * wx + viewmat[1, 1] * wy + viewmat[1, 2] * wz + viewmat[1, 3]
        z = viewmat[2, 0] * wx + viewmat[2, 1] * wy + viewmat[2, 2] * wz + viewmat[2, 3]
        slope_x = min(max(x / z, x_low), x_high)
        slope_y = min(max(y / z, y_low), y_high)
        j00, j01, j02, j10, j11, j12 = _jacobian_in_world(slope_x, slope_y, z, viewmat, K)
        qw, qx, qy, qz, inverse_length = _unit_quat(quats, i)
        r00, r01, r02, r10, r11, r12, r20, r21, r22 = _rotation(qw, qx, qy, qz)
        s0, s1, s2 = np.float64(scales[i, 0]), np.float64(scales[i, 1]), np.float64(scales[i, 2])
        n00 = j00 * r00 + j01 * r10 + j02 * r20
        n01 = j00 * r01 + j01 * r11 + j02 * r21
        n02 = j00 * r02 + j01 * r12 + j02 * r22
        n10 = j10 * r00 + j11 * r10 + j12 * r20
        n11 = j10 * r01 + j11 * r11 + j12 * r21
        n12 = j10 * r02 + j11 * r12 + j12 * r22
        _, b, c, v = _dilated(n00 * s0, n01 * s1, n02 * s2, n10 * s0, n11 * s1, n12 * s2)

        # Through v = a - b^2/c, s = -b/c, 1/v and 1/c to the covariance.
        shear = -b / c
        inv_c = 1.0 / c
        inv_v = 1.0 / v
        g_v = -inv_v * inv_v * g_ivx
        g_a = g_v
        g_b2 = 2.0 * shear * g_v - inv_c * g_shear
        g_c = shear * shear * g_v - shear * inv_c * g_shear - inv_c * inv_c * g_ivy

        # Cov = N S^2 N^T, N = J W R: gradients of N's rows and of the scales.
        d00 = (2.0 * g_a * n00 + g_b2 * n10) * s0 * s0
        d01 = (2.0 * g_a * n01 + g_b2 * n11) * s1 * s1
        d02 = (2.0 * g_a * n02 + g_b2 * n12) * s2 * s2
        d10 = (2.0 * g_c * n10 + g_b2 * n00) * s0 * s0
        d11 = (2.0 * g_c * n11 + g_b2 * n01) * s1 * s1
        d12 = (2.0 * g_c * n12 + g_b2 * n02) * s2 * s2
        g_scales[i, 0] = 2.0 * s0 * (g_a * n00 * n00 + g_b2 * n00 * n10 + g_c * n10 * n10)
        g_scales[i, 1] = 2.0 * s1 * (g_a * n01 * n01 + g_b2 * n01 * n11 + g_c * n11 * n11)
        g_scales[i, 2] = 2.0 * s2 * (g_a * n02 * n02 + g_b2 * n02 * n12 + g_c * n12 * n12)

        # R = R(q / |q|): gradient of R is (J W)^T dN, then the quaternion's.
        e00, e01, e02 = j00 * d00 + j10 * d10, j00 * d01 + j10 * d11, j00 * d02 + j10 * d12
        e10, e11, e12 = j01 * d00 + j11 * d10, j01 * d01 + j11 * d11, j01 * d02 + j11 * d12
        e20, e21, e22 = j02 * d00 + j12 * d10, j02 * d01 + j12 * d11, j02 * d02 + j12 * d12
        g_qw = 2.0 * (qx * (e21 - e12) + qy * (e02 - e20) + qz * (e10 - e01))
        g_qx = 2.0 * (qw * (e21 - e12) + qy * (e01 + e10) + qz * (e02 + e20) - 2.0 * qx * (e11 + e22))
        g_qy = 2.0 * (qw * (e02 - e20) + qx * (e01 + e10) + qz * (e12 + e21) - 2.0 * qy * (e00 + e22))
        g_qz = 2.0 * (qw * (e10 - e01) + qx * (e02 + e20) + qy * (e12 + e21) - 2.0 * qz * (e00 + e11))
        along = g_qw * qw + g_qx * qx + g_qy * qy + g_qz * qz
        g_quats[i, 0] = (g_qw - along * qw) * inverse_length
        g_quats[i, 1] = (g_qx - along * qx) * inverse_length
        g_quats[i, 2] = (g_qy - along * qy) * inverse_length
        g_quats[i, 3] = (g_qz - along * qz) * inverse_length

        # J W = (f / z) (row of W - slope * third row of W): gradients of the slopes and of z.
        g_j0 = d00 * r00 + d01 * r01 + d02 * r02
        g_j1 = d00 * r10 + d01 * r11 + d02 * r12
        g_j2 = d00 * r20 + d01 * r21 + d02 * r22
        g_z = -(g_j0 * j00 + g_j1 * j01 + g_j2 * j02) / z
        g_slope_x = -K[0, 0] / z * (g_j0 * viewmat[2, 0] + g_j1 * viewmat[2, 1] + g_j2 * viewmat[2, 2])
        g_j0 = d10 * r00 + d11 * r01 + d12 * r02
        g_j1 = d10 * r10 + d11 * r11 + d12 * r12
        g_j2 = d10 * r20 + d11 * r21 + d12 * r22
        g_z -= (g_j0 * j10 + g_j1 * j11 + g_j2 * j12) / z
        g_slope_y = -K[1, 1] / z * (g_j0 * viewmat[2, 0] + g_j1 * viewmat[2, 1] + g_j2 * viewmat[2, 2])
        if slope_x != x / z:  # clamped: the Jacobian does not feel the position
            g_slope_x = 0.0
        if slope_y != y / z:
            g_slope_y = 0.0
        g_slope_x += K[0, 0] * g_mx
        g_slope_y += K[1, 1] * g_my
        g_x = g_slope_x / z
        g_y = g_slope_y / z
        g_z -= (g_slope_x * x + g_slope_y * y) / (z * z)
        for k in range(3):
            g_means[i, k] = viewmat[0, k] * g_x + viewmat[1, k] * g_y + viewmat[2, k] * g_z
    return g_means, g_quats, g_scales, g_opacities, g_colors, g_screen
