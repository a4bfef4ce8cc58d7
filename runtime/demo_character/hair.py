"""Hair combed back into a bun, with loose locks about the face. All of it is rigid with the head.

Texture: across (strand widths), along (cm), cover (1 hair .. 0 none; `noise.hair_cutout` makes the ragged edge).
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from gstalker.runtime.demo_character.mesh import (
    HAIR,
    Part,
    chart_direction,
    facing,
    grid_triangles,
    hexagonal,
    make_part,
    triangulate,
)
from gstalker.runtime.demo_character.sculpt import cast, gradient, head_distance, occlusion

SKULL_CM = np.array([0.0, -1.5, 0.8])
BUN_CM = np.array([0.0, -12.2, 4.6])
BUN_RADII_CM = np.array([3.1, 2.7, 2.9])
HAIR_ALBEDO = (0.20, 0.085, 0.040)

# Height of the hairline (cm, y down) by the angle about the vertical axis, from the forehead (0) to the nape.
_LINE_ANGLE_RAD = (0.0, 0.30, 0.60, 0.82, 0.98, 1.10, 1.22, 1.36, 1.48, 1.60, 1.85, 2.20, 3.15)
_LINE_Y_CM = (-6.5, -6.6, -6.2, -5.0, -3.2, -1.2, 0.8, 1.6, 0.2, -1.2, 2.2, 6.0, 7.6)
_HAIRLINE = PchipInterpolator(_LINE_ANGLE_RAD, _LINE_Y_CM)


def height_over_hairline(points: np.ndarray) -> np.ndarray:
    """(...) cm by which a point of the scalp lies above the hairline; negative on bare skin."""
    angle = np.arctan2(np.abs(points[..., 0]), -(points[..., 2] - 0.6))
    return _HAIRLINE(angle) - points[..., 1]


def _combed(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """across and along of strands that run from the hairline to the bun."""
    axis = BUN_CM - SKULL_CM
    axis = axis / np.linalg.norm(axis)
    front = np.array([0.0, 0.0, -1.0])
    front -= axis * (front @ axis)
    front /= np.linalg.norm(front)
    side = np.array([1.0, 0.0, 0.0])
    d = points - SKULL_CM
    d /= np.linalg.norm(d, axis=-1, keepdims=True)
    around = np.arctan2(d @ side, d @ front)
    return around * 20.0, 9.0 * np.arccos(np.clip(d @ axis, -1, 1))


def cap() -> Part:
    """The hair on the skull."""
    uv = hexagonal((-2.5, -2.5), (2.5, 2.5), 0.058)
    uv = uv[np.linalg.norm(uv, axis=1) < 2.45]
    local = chart_direction(uv)
    directions = np.stack([local[:, 0], local[:, 2], local[:, 1]], axis=-1)  # the chart's middle is the crown
    scalp = cast(head_distance, np.broadcast_to(SKULL_CM, directions.shape), directions)
    over = height_over_hairline(scalp)
    keep = over > -1.2
    uv, scalp, directions, over = uv[keep], scalp[keep], directions[keep], over[keep]
    across, along = _combed(scalp)
    body = 1.0 / (1.0 + np.exp(-(over - 1.4) / 0.6))
    tress = 0.10 * np.sin(across * 0.9) * np.sin(across * 0.37 + 1.0)
    thick = 0.10 + body * (0.75 + tress) + 0.35 * np.exp(-(((scalp[:, 2] + 1.0) / 5.0) ** 2)) * body
    part_dip = 0.25 * np.exp(-(((scalp[:, 0] + 1.9) / 0.35) ** 2)) * (scalp[:, 2] < -1.0) * body
    rest = scalp + directions * (thick - part_dip)[:, None]
    triangles = triangulate(uv, [])
    triangles = triangles[np.linalg.norm(rest[triangles] - rest[np.roll(triangles, 1, 1)], axis=-1).max(1) < 2.5]
    triangles = facing(rest, triangles, directions)
    normals = gradient(head_distance, scalp)
    texture = np.stack([across, along, np.clip(over / 0.7 + 0.30, 0.0, 1.0)], axis=-1)
    open_share = occlusion(head_distance, rest, normals)
    return make_part(rest, triangles, HAIR, HAIR_ALBEDO, texture, 0.5 + 0.5 * open_share, cutout=True)


def bun() -> Part:
    """A coil of hair on the crown, wound around its axis."""
    rows, columns = 20, 36
    angle, turn = np.meshgrid(np.linspace(0.02, 2.6, rows), np.arange(columns) * 2 * np.pi / columns, indexing="ij")
    axis = BUN_CM - SKULL_CM
    axis = axis / np.linalg.norm(axis)
    side = np.array([1.0, 0.0, 0.0])
    third = np.cross(axis, side)
    swirl = 1.0 + 0.05 * np.sin(5 * turn + 4.5 * angle)
    radius = 2.85 * swirl * (1 + 0.10 * np.sin(angle))
    sphere = np.cos(angle)[..., None] * axis * 0.85 + np.sin(angle)[..., None] * (
        np.cos(turn)[..., None] * side + np.sin(turn)[..., None] * third
    )
    rest = (BUN_CM + sphere * radius[..., None]).reshape(-1, 3)
    triangles = facing(rest, grid_triangles(rows, columns, wrap=True), sphere.reshape(-1, 3))
    # Strands spiral: across runs down the coil, along runs around it. The seam is at the back.
    spiral = (angle * 7.0 + turn * 0.8).reshape(-1)
    texture = np.stack([spiral, (turn * 3.0).reshape(-1), np.ones(rest.shape[0])], axis=-1)
    openness = 0.45 + 0.55 * np.clip((2.4 - angle.reshape(-1)) / 1.2, 0, 1)
    return make_part(rest, triangles, HAIR, HAIR_ALBEDO, texture, openness)


def lock(controls_cm: list[tuple[float, float, float]], width_cm: float, seed: int, lift_cm: float = 0.3) -> Part:
    """A loose lock along a guide through a few control points, kept clear of the skin."""
    rows, columns = 22, 7
    controls = np.array(controls_cm)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(controls, axis=0), axis=1))])
    at = np.linspace(0, length[-1], rows)
    guide = CubicSpline(length, controls)(at)
    for _ in range(4):
        short = np.maximum(lift_cm - head_distance(guide), 0.0)
        guide = guide + gradient(head_distance, guide) * short[:, None]
    tangent = np.gradient(guide, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    outward = guide - np.array([0.0, -1.0, 1.0])
    outward -= tangent * np.einsum("ij,ij->i", outward, tangent)[:, None]
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    side = np.cross(tangent, outward)
    s, u = np.linspace(0, 1, rows), np.linspace(-1, 1, columns)
    width = width_cm * np.minimum(1.0, 0.55 + 1.8 * s) * np.minimum(1.0, (1.02 - s) / 0.45) ** 0.7
    across = u[None] * width[:, None]
    rest = guide[:, None] + side[:, None] * across[..., None]
    rest = rest + outward[:, None] * (0.45 * width[:, None] * (1 - u**2)[None])[..., None]
    rest = rest.reshape(-1, 3)
    cover = np.minimum(np.minimum(1.0, (1.0 - np.abs(u)) * 2.2 + 0.12)[None], (1.0 - s)[:, None] * 2.5 + 0.15)
    cover = np.minimum(cover, (s * 6 + 0.35)[:, None])
    texture = np.stack([across * 3.2 + 17.0 * seed, np.repeat(at[:, None], columns, 1), cover], axis=-1)
    triangles = facing(rest, grid_triangles(rows, columns), np.repeat(outward, columns, axis=0))
    openness = np.repeat(0.6 + 0.4 * s, columns)
    return make_part(
        rest, triangles, HAIR, HAIR_ALBEDO, texture.reshape(-1, 3), openness, double_sided=True, cutout=True
    )


def locks() -> list[Part]:
    """A side-swept fringe from the parting on picture left, and wisps before the ears."""
    right = [
        ([(-1.6, -9.4, -5.6), (0.8, -8.2, -7.6), (4.2, -6.0, -7.2), (6.6, -2.6, -4.4), (7.5, 1.0, -2.6)], 1.05),
        ([(-1.7, -9.0, -6.2), (0.6, -7.5, -8.1), (4.0, -5.0, -7.8), (6.4, -1.4, -5.0), (7.1, 3.0, -3.6)], 0.95),
        ([(-1.5, -9.9, -4.6), (1.5, -9.2, -6.2), (5.4, -6.6, -5.0), (7.4, -2.8, -2.0), (7.9, 0.6, -0.4)], 1.1),
        ([(2.6, -7.6, -7.4), (5.2, -4.8, -6.6), (6.9, -0.6, -4.2), (7.0, 4.0, -3.4), (6.4, 7.6, -3.6)], 0.55),
        ([(4.6, -6.2, -6.4), (6.5, -3.0, -4.8), (7.3, 1.6, -2.8), (7.0, 5.8, -2.4), (6.7, 9.2, -2.2)], 0.50),
    ]
    left = [
        ([(-1.9, -9.4, -5.6), (-3.4, -8.0, -6.6), (-5.8, -5.2, -5.4), (-7.2, -1.6, -3.0), (-7.7, 0.8, -1.6)], 1.0),
        ([(-1.9, -9.0, -6.2), (-3.4, -7.3, -7.4), (-5.6, -4.2, -6.2), (-6.9, -0.4, -4.0), (-7.0, 3.2, -3.2)], 0.75),
        ([(-4.4, -6.4, -6.4), (-6.3, -3.2, -5.0), (-7.2, 1.2, -3.0), (-7.0, 5.2, -2.4), (-6.6, 8.2, -2.6)], 0.50),
    ]
    return [lock(points, width, seed=i + 1) for i, (points, width) in enumerate(right + left)]
