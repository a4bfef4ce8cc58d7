"""Neck weights, the knitted jumper and its collar."""

from __future__ import annotations

import numpy as np

from gstalker.runtime.demo_character.mesh import (
    CLOTH,
    Part,
    cast_chart,
    facing,
    grid_triangles,
    hexagonal,
    make_part,
    triangulate,
)
from gstalker.runtime.demo_character.sculpt import (
    body_distance,
    cast,
    gradient,
    head_distance,
    occlusion,
    smooth_min,
)

CHEST_CM = np.array([0.0, 31.0, 3.2])
NECK_AXIS_CM = np.array([0.0, 0.0, 2.3])
COLLAR_COLUMNS = 72
CLOTH_ALBEDO = (0.20, 0.034, 0.060)


def torso_weight(points: np.ndarray) -> np.ndarray:
    """(...) 0 on the head .. 1 at the base of the neck; the chin belongs to the head however low it is."""

    def smooth(x: np.ndarray) -> np.ndarray:
        x = np.clip(x, 0.0, 1.0)
        return x * x * (3 - 2 * x)

    start_y_cm = 9.0 + 4.0 * smooth((-points[..., 2] - 2.6) / 2.5)
    return smooth((points[..., 1] - start_y_cm) / 6.5)


def _whole(points: np.ndarray) -> np.ndarray:
    return smooth_min(body_distance(points), head_distance(points), 0.5)


def jumper() -> Part:
    uv = hexagonal((-2.2, -2.2), (2.2, 2.2), 0.062)
    uv = uv[(np.linalg.norm(uv, axis=1) < 2.2) & (uv[:, 1] < 0.95)]
    rest = cast_chart(body_distance, uv, CHEST_CM)
    normals = gradient(body_distance, rest)
    triangles = facing(rest, triangulate(uv, []), normals)
    texture = np.stack([rest[:, 0], rest[:, 1], np.zeros(len(rest))], axis=-1)
    openness = 0.25 + 0.75 * occlusion(_whole, rest, normals, reach_cm=6.0)
    return make_part(rest, triangles, CLOTH, CLOTH_ALBEDO, texture, openness, torso_weight=1.0)


def _neckline() -> np.ndarray:
    """(72, 3) where the jumper meets the neck, once around from the front over picture right."""
    around = np.arange(COLLAR_COLUMNS) * 2 * np.pi / COLLAR_COLUMNS
    out = np.stack([np.sin(around), 0 * around, -np.cos(around)], axis=-1)
    heights = np.linspace(11.0, 20.0, 60)
    origins = np.broadcast_to(NECK_AXIS_CM, (len(heights), COLLAR_COLUMNS, 3)).copy()
    origins[..., 1] = heights[:, None]
    skin = cast(head_distance, origins, np.broadcast_to(out, origins.shape), far_cm=12.0)
    meets = np.argmax(body_distance(skin) < 0.1, axis=0)
    line = skin[meets, np.arange(COLLAR_COLUMNS)]
    for _ in range(6):  # the search leaves steps
        line = (np.roll(line, 1, axis=0) + 2 * line + np.roll(line, -1, axis=0)) / 4
    return line


def collar() -> Part:
    """A ribbed roll around the neck; texture 2 is 1, which makes the ribs."""
    rows, columns = 12, COLLAR_COLUMNS
    around = np.arange(columns) * 2 * np.pi / columns
    tube = np.linspace(-1.2, np.pi + 0.9, rows)
    out = np.stack([np.sin(around), 0 * around, -np.cos(around)], axis=-1)
    up = np.array([0.0, -1.0, 0.0])
    ring = _neckline() + 0.35 * out - 0.15 * up
    profile = 0.55 * np.cos(tube)[:, None, None] * out[None] + 1.0 * np.sin(tube)[:, None, None] * up
    rest = (ring[None] + profile).reshape(-1, 3)
    normals = (np.cos(tube)[:, None, None] * out[None] + np.sin(tube)[:, None, None] * up).reshape(-1, 3)
    triangles = facing(rest, grid_triangles(rows, columns, wrap=True), normals)
    ribs = np.tile(np.arange(columns) * 1.0, rows)
    texture = np.stack([ribs, np.repeat(tube, columns), np.ones(rows * columns)], axis=-1)
    openness = 0.45 + 0.55 * np.clip(np.repeat(np.sin(tube) * 0.5 + 0.5 * np.cos(tube) + 0.3, columns), 0, 1)
    return make_part(rest, triangles, CLOTH, CLOTH_ALBEDO, texture, openness, torso_weight=1.0, double_sided=True)
