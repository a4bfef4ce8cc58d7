"""Triangle meshes as plain arrays, and the ways to make them: strips of rings, and a chart of a closed surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import Delaunay

from gstalker.runtime.demo_character.sculpt import Distance, cast

SKIN, EYE, MOUTH, TEETH, HAIR, CLOTH, LASH = range(7)  # materials


@dataclass(frozen=True)
class Part:
    """A piece of the character at rest.

    Attributes:
        rest_cm: (V, 3) in sculpt space.
        triangles: (T, 3) int32 into rest_cm, ordered as `rasterise` expects.
        material: one of the constants above.
        albedo: (V, 3) linear colour.
        texture: (V, 3) material's own coordinates.
        openness: (V,) ambient light that reaches the vertex, 0..1.
        torso_weight: (V,) 0 moves with the head .. 1 moves with the torso.
        double_sided: drawn from behind as well.
        cutout: has holes by `noise.hair_cutout`.
    """

    rest_cm: np.ndarray
    triangles: np.ndarray
    material: int
    albedo: np.ndarray
    texture: np.ndarray
    openness: np.ndarray
    torso_weight: np.ndarray
    double_sided: bool = False
    cutout: bool = False


def make_part(
    rest_cm: np.ndarray,
    triangles: np.ndarray,
    material: int,
    albedo: np.ndarray | tuple[float, float, float],
    texture: np.ndarray | None = None,
    openness: np.ndarray | float = 1.0,
    torso_weight: np.ndarray | float = 0.0,
    double_sided: bool = False,
    cutout: bool = False,
) -> Part:
    """A `Part` with single values spread over its vertices."""
    n = len(rest_cm)
    return Part(
        rest_cm=np.asarray(rest_cm, np.float64),
        triangles=np.asarray(triangles, np.int32),
        material=material,
        albedo=np.broadcast_to(np.asarray(albedo, np.float64), (n, 3)).copy(),
        texture=np.array(rest_cm if texture is None else texture, np.float64),
        openness=np.broadcast_to(np.asarray(openness, np.float64), (n,)).copy(),
        torso_weight=np.broadcast_to(np.asarray(torso_weight, np.float64), (n,)).copy(),
        double_sided=double_sided,
        cutout=cutout,
    )


def grid_triangles(rows: int, columns: int, wrap: bool = False) -> np.ndarray:
    """(T, 3) of a rows x columns grid of vertices in row-major order; `wrap` joins the last column to the first."""
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns if wrap else columns - 1), indexing="ij")
    next_c = (c + 1) % columns
    a, b = r * columns + c, r * columns + next_c
    d, e = (r + 1) * columns + c, (r + 1) * columns + next_c
    first = np.stack([a, b, d], axis=-1).reshape(-1, 3)
    second = np.stack([b, e, d], axis=-1).reshape(-1, 3)
    return np.concatenate([first, second]).astype(np.int32)


def facing(rest_cm: np.ndarray, triangles: np.ndarray, outward: np.ndarray) -> np.ndarray:
    """The same triangles, each turned so that its front looks along `outward` ((V, 3), any length)."""
    a, b, c = (rest_cm[triangles[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    wrong = np.einsum("ij,ij->i", normal, outward[triangles].sum(axis=1)) < 0
    turned = triangles.copy()
    turned[wrong] = turned[wrong][:, [0, 2, 1]]
    return turned


# ---- charts: the whole surface of a star-shaped body as one disc around the forward direction -------------


def chart_direction(uv: np.ndarray) -> np.ndarray:
    """Unit directions (..., 3) of chart points (..., 2): |uv| is the angle from straight ahead, radians."""
    angle = np.linalg.norm(uv, axis=-1)
    sinc = np.sinc(angle / np.pi)
    return np.stack([uv[..., 0] * sinc, uv[..., 1] * sinc, -np.cos(angle)], axis=-1)


def chart_of(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Chart points (..., 2) of points seen from `centre`."""
    d = points - centre
    across = np.linalg.norm(d[..., :2], axis=-1)
    angle = np.arctan2(across, -d[..., 2])
    return d[..., :2] * (angle / np.maximum(across, 1e-12))[..., None]


def cast_chart(distance: Distance, uv: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(..., 3) surface points of a star-shaped body around `centre`."""
    directions = chart_direction(uv)
    return cast(distance, np.broadcast_to(centre, directions.shape), directions)


def hexagonal(lo: tuple[float, float], hi: tuple[float, float], spacing: float) -> np.ndarray:
    """(N, 2) points of a triangular lattice in a box, mirrored about x = 0 when the box is."""
    ys = np.arange(lo[1], hi[1] + 1e-9, spacing * np.sqrt(3) / 2)
    rows = []
    for i, y in enumerate(ys):
        half = np.arange(0 if i % 2 else spacing / 2, max(abs(lo[0]), abs(hi[0])) + 1e-9, spacing)
        xs = np.unique(np.concatenate([-half, half]))
        xs = xs[(xs >= lo[0]) & (xs <= hi[0])]
        rows.append(np.stack([xs, np.full_like(xs, y)], axis=-1))
    return np.concatenate(rows)


def inside_polygon(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(N,) bool: points (N, 2) inside a closed polygon (M, 2), by the even-odd rule."""
    x, y = points[:, 0:1], points[:, 1:2]
    x0, y0 = polygon[:, 0], polygon[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    straddles = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return (np.count_nonzero(straddles & (x < crossing), axis=1) % 2).astype(bool)


def triangulate(uv: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """Delaunay triangles (T, 3) of chart points, less those whose middle lies in a hole (polygons (M, 2))."""
    triangles = Delaunay(uv).simplices
    middle = uv[triangles].mean(axis=1)
    keep = np.ones(len(triangles), bool)
    for hole in holes:
        keep &= ~inside_polygon(middle, hole)
    return triangles[keep].astype(np.int32)
