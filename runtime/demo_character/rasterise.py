"""A z-buffer triangle rasteriser in numba: which triangle each sample sees, and where on it.

Deliberately no splats: the character is the truth that avatars are trained on, so nothing of our own renderers
may draw it.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from gstalker.runtime.demo_character.noise import hair_cutout

NO_TRIANGLE = -1
NEAR_M = 0.05


@nb.njit(cache=True)
def rasterise(
    positions: np.ndarray,
    triangles: np.ndarray,
    double_sided: np.ndarray,
    cutout: np.ndarray,
    texture: np.ndarray,
    k: np.ndarray,
    width: int,
    height: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest triangle at every sample.

    Args:
        positions: (V, 3) float32 in camera space, metres.
        triangles: (T, 3) int32; counter-clockwise as seen from outside in a right-handed view (clockwise in
            the picture, whose y points down, counts as the back).
        double_sided: (T,) bool; other triangles are skipped when seen from behind.
        cutout: (T,) bool; samples where `hair_cutout` of the interpolated texture is below zero are holes.
        texture: (V, 3) float32 texture coordinates.
        k: (3, 3) float64 intrinsics in sample units.
        width, height: of the sample grid; the sample centres are at half integers.

    Returns:
        triangle (H, W) int32 or -1, barycentric (H, W, 3) float32 perspective-correct, depth (H, W) float32 m.
    """
    depth = np.full((height, width), np.inf, np.float32)
    seen = np.full((height, width), NO_TRIANGLE, np.int32)
    weights = np.zeros((height, width, 3), np.float32)
    count = positions.shape[0]
    screen = np.empty((count, 3))
    for i in range(count):
        z = positions[i, 2]
        inverse = 1.0 / z if z > NEAR_M else 0.0
        screen[i, 0] = k[0, 0] * positions[i, 0] * inverse + k[0, 2]
        screen[i, 1] = k[1, 1] * positions[i, 1] * inverse + k[1, 2]
        screen[i, 2] = inverse
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ia, ib, ic = screen[a, 2], screen[b, 2], screen[c, 2]
        if ia == 0.0 or ib == 0.0 or ic == 0.0:
            continue
        ax, ay, bx, by, cx, cy = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1], screen[c, 0], screen[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0.0 or (area > 0.0 and not double_sided[t]):
            continue
        x0 = max(0, int(np.floor(min(ax, bx, cx) - 0.5)))
        x1 = min(width - 1, int(np.ceil(max(ax, bx, cx) - 0.5)))
        y0 = max(0, int(np.floor(min(ay, by, cy) - 0.5)))
        y1 = min(height - 1, int(np.ceil(max(ay, by, cy) - 0.5)))
        scale = 1.0 / area
        for row in range(y0, y1 + 1):
            py = row + 0.5
            for col in range(x0, x1 + 1):
                px = col + 0.5
                wa = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * scale
                wb = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * scale
                wc = 1.0 - wa - wb
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                inverse = wa * ia + wb * ib + wc * ic
                z = 1.0 / inverse
                if z >= depth[row, col]:
                    continue
                wa, wb, wc = wa * ia * z, wb * ib * z, wc * ic * z
                if cutout[t]:
                    u = wa * texture[a, 0] + wb * texture[b, 0] + wc * texture[c, 0]
                    v = wa * texture[a, 1] + wb * texture[b, 1] + wc * texture[c, 1]
                    w = wa * texture[a, 2] + wb * texture[b, 2] + wc * texture[c, 2]
                    if hair_cutout(u, v, w) < 0.0:
                        continue
                depth[row, col] = z
                seen[row, col] = t
                weights[row, col, 0], weights[row, col, 1], weights[row, col, 2] = wa, wb, wc
    return seen, weights, depth


@nb.njit(cache=True)
def vertex_normals(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(V, 3) float32 unit normals, the mean of the neighbouring faces weighted by area, pointing outward."""
    normals = np.zeros(positions.shape, np.float32)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = (
            positions[b, 0] - positions[a, 0],
            positions[b, 1] - positions[a, 1],
            positions[b, 2] - positions[a, 2],
        )
        vx, vy, vz = (
            positions[c, 0] - positions[a, 0],
            positions[c, 1] - positions[a, 1],
            positions[c, 2] - positions[a, 2],
        )
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            normals[i, 0] += nx
            normals[i, 1] += ny
            normals[i, 2] += nz
    for i in range(len(normals)):
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        length = np.sqrt(x * x + y * y + z * z) + 1e-20
        normals[i, 0], normals[i, 1], normals[i, 2] = x / length, y / length, z / length
    return normals
