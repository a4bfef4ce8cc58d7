"""Eyeballs, lashes, ears, teeth and tongue, each a `Part` in sculpt space."""

from __future__ import annotations

import numpy as np

from gstalker.runtime.demo_character import eyelids, lips
from gstalker.runtime.demo_character.mesh import (
    EYE,
    LASH,
    MOUTH,
    SKIN,
    TEETH,
    Part,
    facing,
    grid_triangles,
    hexagonal,
    make_part,
    triangulate,
)
from gstalker.runtime.demo_character.sculpt import (
    EYE_CENTRE_CM,
    EYE_RADIUS_CM,
    MOUTH_Y_CM,
    capsule,
    ellipsoid,
    gradient,
    occlusion,
    smooth_cut,
    smooth_min,
)

IRIS_RAD, PUPIL_RAD = 0.43, 0.17  # angular radius on the eyeball
IRIS_RING = 9  # rings of vertices from the pole to the iris' edge
SKIN_ALBEDO = (0.66, 0.40, 0.295)
GUM_ALBEDO = (0.42, 0.13, 0.12)


# ---- eyes ---------------------------------------------------------------------------------------------------

EYE_COLUMNS, EYE_ROWS = 40, 26


def eyeball() -> Part:
    """A sphere about the origin that looks along -z; texture is the unit direction from its centre."""
    to_edge = np.linspace(0, IRIS_RAD, IRIS_RING)
    rows = np.concatenate([to_edge, np.linspace(IRIS_RAD, 2.0, EYE_ROWS - IRIS_RING + 1)[1:]])
    angle, turn = np.meshgrid(rows, np.arange(EYE_COLUMNS) * 2 * np.pi / EYE_COLUMNS, indexing="ij")
    direction = np.stack([np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), -np.cos(angle)], axis=-1).reshape(
        -1, 3
    )
    cornea = 1.0 + 0.035 * np.exp(-((angle.reshape(-1, 1) / 0.40) ** 2))
    rest = direction * EYE_RADIUS_CM * cornea
    triangles = facing(rest, grid_triangles(EYE_ROWS, EYE_COLUMNS, wrap=True), direction)
    return make_part(rest, triangles, EYE, (0.8, 0.8, 0.8), texture=direction)


def iris_vertices() -> tuple[int, int, int, int, int]:
    """Vertices of the eyeball at the pupil's middle and the iris' picture right, top, left and bottom."""
    ring = (IRIS_RING - 1) * EYE_COLUMNS
    quarter = EYE_COLUMNS // 4
    return 0, ring, ring + 3 * quarter, ring + 2 * quarter, ring + quarter


LASH_ROWS = 4


def lash_strip(margin_cm: np.ndarray, side: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(LASH_ROWS * COLUMNS, 3) lashes that stand on the lid's edge `margin_cm` (COLUMNS, 3), picture right eye."""
    radial = margin_cm - EYE_CENTRE_CM
    radial /= np.linalg.norm(radial, axis=1, keepdims=True)
    up = np.stack([0.25 * t, np.where(side > 0, 1.0, -1.0), np.zeros_like(t)], axis=-1)
    length = np.where(side < 0, 0.11 + 0.13 * np.clip(t + 0.3, 0, 1), 0.04 + 0.04 * np.clip(t, 0, 1))
    length = length * np.sqrt(np.maximum(1 - np.abs(t) ** 4, 0.02))
    rows = []
    for s in np.linspace(0.0, 1.0, LASH_ROWS):
        step = radial * (0.85 * s - 0.25 * s * s) + up * (0.15 * s + 0.75 * s * s)
        rows.append(margin_cm + radial * 0.01 + step * length[:, None])
    return np.concatenate(rows)


def lashes(margin_cm: np.ndarray) -> Part:
    t, side = eyelids.column_positions()
    rest = lash_strip(margin_cm, side, t)
    along = np.repeat(np.linspace(0, 1, LASH_ROWS), eyelids.COLUMNS)
    across = np.tile(np.arange(eyelids.COLUMNS) * 0.55, LASH_ROWS)
    cover = np.repeat(np.array([1.0, 1.0, 1.0, 1.0]), eyelids.COLUMNS)
    texture = np.stack([across, along, cover], axis=-1)
    triangles = grid_triangles(LASH_ROWS, eyelids.COLUMNS, wrap=True)
    return make_part(rest, triangles, LASH, (0.02, 0.012, 0.01), texture, double_sided=True, cutout=True)


# ---- ears ---------------------------------------------------------------------------------------------------

EAR_CENTRE_CM = np.array([6.75, 1.5, 1.5])


def _ear_distance(local: np.ndarray) -> np.ndarray:
    """Local axes: forward, down, outward (cm), about the ear's middle."""
    f, d, o = local[..., 0], local[..., 1], local[..., 2]
    width = np.where(d < 0, 1.75, 1.75 - 0.22 * d)
    q = np.hypot(f / width, d / 3.0)
    plate = ellipsoid(local, (0.0, 0.0, 0.0), (1.65, 2.8, 0.42))
    rim = np.hypot((q - 0.90) * 1.9, o - 0.42) - 0.26
    rim = np.maximum(rim, f - 1.35)  # the helix opens towards the face
    ear = smooth_min(plate, rim, 0.35)
    fold = capsule(local, (-0.55, -1.5, 0.25), (-0.65, 1.3, 0.25), 0.28, 0.30)
    ear = smooth_min(ear, fold, 0.35)
    ear = smooth_cut(ear, ellipsoid(local, (0.35, 0.25, 0.55), (0.75, 0.95, 0.65)), 0.35)
    tragus = ellipsoid(local, (1.35, 0.35, 0.30), (0.35, 0.55, 0.40))
    lobe = ellipsoid(local, (0.35, 2.55, 0.10), (0.80, 0.85, 0.32))
    return smooth_min(smooth_min(ear, tragus, 0.35), lobe, 0.5)


def ear() -> Part:
    """The ear on picture right."""
    outward = np.array([0.88, -0.02, -0.46])
    outward /= np.linalg.norm(outward)
    forward = np.array([-0.40, 0.22, -0.88])
    forward -= outward * (forward @ outward)
    forward /= np.linalg.norm(forward)
    basis = np.stack([forward, np.cross(outward, forward), outward])  # rows: forward, down, outward
    if basis[1, 1] < 0:
        basis[1] *= -1

    def distance(points: np.ndarray) -> np.ndarray:
        return _ear_distance((points - EAR_CENTRE_CM) @ basis.T)

    flat = hexagonal((-2.4, -3.4), (2.4, 3.6), 0.19)
    # A relief seen along the outward axis: the ear's back is never looked at.
    height = np.full(len(flat), 2.0)
    for _ in range(120):
        step = _ear_distance(np.stack([flat[:, 0], flat[:, 1], height], axis=-1))
        height = np.maximum(height - np.clip(0.5 * step, -0.1, 0.2), -0.6)
    local = np.stack([flat[:, 0], flat[:, 1], height], axis=-1)
    keep = _ear_distance(local) < 0.35
    uv, rest = flat[keep], local[keep] @ basis + EAR_CENTRE_CM
    normals = gradient(distance, rest)
    triangles = triangulate(uv, [])
    span = np.linalg.norm(uv[triangles] - uv[np.roll(triangles, 1, 1)], axis=-1).max(axis=1)
    triangles = facing(rest, triangles[span < 0.4], np.broadcast_to(outward, rest.shape))
    open_cm = occlusion(distance, rest, normals, reach_cm=1.5)
    albedo = np.array(SKIN_ALBEDO) * np.array([1.02, 0.86, 0.80])
    texture = np.stack([np.full(len(rest), 99.0), rest[:, 1], np.zeros(len(rest))], axis=-1)
    return make_part(rest, triangles, SKIN, albedo, texture, openness=0.35 + 0.65 * open_cm)


# ---- teeth and tongue -------------------------------------------------------------------------------------

TOOTH_WIDTHS_CM = (0.86, 0.68, 0.76, 0.70, 0.68, 0.95, 0.9)  # from the middle outwards
ARCH_CENTRE_Z_CM = -5.9
ARCH_COLUMNS = 85


def _arch(half_width_cm: float, depth_cm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (C, 2) of (x, z) along the dental arch, outward (C, 2), and tooth coordinate (C,)."""
    turn = np.linspace(-1.35, 1.35, 400)
    curve = np.stack([half_width_cm * np.sin(turn), ARCH_CENTRE_Z_CM - depth_cm * np.cos(turn)], axis=-1)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    length -= length[-1] / 2
    at = np.linspace(length[0], length[-1], ARCH_COLUMNS)
    points = np.stack([np.interp(at, length, curve[:, i]) for i in (0, 1)], axis=-1)
    outward = points - [0.0, ARCH_CENTRE_Z_CM + 0.5]
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    edges = np.concatenate([[0], np.cumsum(TOOTH_WIDTHS_CM)])
    tooth = np.sign(at) * np.interp(np.abs(at), edges, np.arange(len(edges)))
    return points, outward, tooth


def teeth(upper: bool) -> Part:
    """One row of teeth with its gum; the lower one is to be carried by the jaw."""
    points, outward, tooth = _arch(2.45 if upper else 2.30, 2.72 if upper else 2.50)
    between = np.abs((np.abs(tooth) % 1.0) - 0.5) * 2  # 0 in the middle of a tooth .. 1 between two
    # (height from the edge of the teeth, outward, part of the tooth 0 gum .. 1 tip)
    profile = [(-1.7, -0.35, -1), (-1.15, -0.02, -1), (-0.92, 0.02, -0.2), (-0.80, 0.02, 0.1), (-0.45, 0.06, 0.5)]
    profile += [(-0.15, 0.03, 0.85), (-0.02, -0.02, 1.0), (0.0, -0.10, 1.0), (-0.35, -0.28, 0.6), (-1.4, -0.5, -1)]
    edge_y = MOUTH_Y_CM + (0.20 if upper else 0.04)
    rows, texture, albedo = [], [], []
    for height, out, part in profile:
        scallop = 0.06 * between**3 if part > 0.8 else (0.12 * (1 - between**2) if -0.5 < part < 0.3 else 0.0)
        y = height * (1.0 if upper else 0.85) - scallop
        push = out - (0.07 * between**4 if part > 0 else 0.0)
        xz = points + outward * np.reshape(push, (-1, 1))
        # Canines and molars stand a little shorter at the side.
        y = y - 0.05 * np.clip(np.abs(tooth) - 2.5, 0, 4)
        rows.append(np.stack([xz[:, 0], edge_y + (y if upper else -y), xz[:, 1]], axis=-1))
        texture.append(np.stack([tooth, np.full(ARCH_COLUMNS, part), np.zeros(ARCH_COLUMNS)], axis=-1))
        colour = np.array(GUM_ALBEDO) if part <= 0 else np.array([0.86, 0.80, 0.69]) * (0.86 + 0.14 * part)
        albedo.append(np.broadcast_to(colour, (ARCH_COLUMNS, 3)))
    rest = np.concatenate(rows)
    side = np.concatenate([np.stack([outward[:, 0], 0 * tooth, outward[:, 1]], axis=-1)] * len(profile))
    half = grid_triangles(len(profile), ARCH_COLUMNS)
    triangles = facing(rest, half, side)
    return make_part(rest, triangles, TEETH, np.concatenate(albedo), np.concatenate(texture), double_sided=True)


TONGUE_ROWS, TONGUE_COLUMNS = 14, 15


def tongue_surface(tongue_up: float) -> np.ndarray:
    """(ROWS * COLUMNS, 3) cm with the jaw closed; the tip comes last."""
    v = np.linspace(0.0, 1.0, TONGUE_ROWS)  # back .. tip
    u = np.linspace(-1.0, 1.0, TONGUE_COLUMNS)
    z = -3.6 - 4.45 * v - 0.30 * tongue_up * v**2
    y = MOUTH_Y_CM + 0.15 + 0.25 * v - tongue_up * (0.75 * v**2 + 0.25 * v)
    width = 2.05 * np.sqrt(np.maximum(1 - np.maximum((v - 0.45) / 0.57, 0) ** 2.4, 0.0))
    dome = np.sqrt(np.maximum(1 - np.abs(u) ** 2.5, 0.0))
    groove = 0.12 * np.exp(-((u / 0.2) ** 2))
    x = width[:, None] * u[None]
    thick = 0.95 * np.sqrt(np.maximum(1 - v**4, 0.0))[:, None]
    height = y[:, None] + 0.75 - thick * (dome - groove)[None]
    return np.stack([x, height, np.broadcast_to(z[:, None], x.shape)], axis=-1).reshape(-1, 3)


def tongue() -> Part:
    rest = tongue_surface(0.0)
    triangles = facing(rest, grid_triangles(TONGUE_ROWS, TONGUE_COLUMNS), np.tile([0.0, -1.0, -0.4], (len(rest), 1)))
    return make_part(rest, triangles, MOUTH, (0.62, 0.24, 0.22), double_sided=True)


def pouch(rest_rings: np.ndarray, first_ring: int) -> Part:
    """The inside of cheeks and throat: lip rings from `first_ring` on, closed at the back by one point."""
    rings = rest_rings[first_ring:]
    back = rings[-1].mean(axis=0, keepdims=True)
    rest = np.concatenate([rings.reshape(-1, 3), back])
    count = len(rings)
    triangles = grid_triangles(count, lips.COLUMNS, wrap=True)
    last = (count - 1) * lips.COLUMNS
    i = np.arange(lips.COLUMNS)
    cap = np.stack([last + i, last + (i + 1) % lips.COLUMNS, np.full_like(i, len(rest) - 1)], axis=-1)
    shade = np.concatenate([np.repeat(np.linspace(1.0, 0.12, count), lips.COLUMNS), [0.05]])
    albedo = shade[:, None] * np.array([0.34, 0.09, 0.085])
    return make_part(rest, np.concatenate([triangles, cap]), MOUTH, albedo, double_sided=True)
