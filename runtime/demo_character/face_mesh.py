"""The skin: one mesh from scalp to neck that joins the rings of lips and lids, and how it answers the controls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree

from gstalker.runtime.demo_character import eyelids, lips
from gstalker.runtime.demo_character.controls import FaceControls, MouthControls
from gstalker.runtime.demo_character.mesh import (
    cast_chart,
    chart_of,
    facing,
    grid_triangles,
    hexagonal,
    inside_polygon,
    triangulate,
)
from gstalker.runtime.demo_character.sculpt import gradient

CHART_CENTRE_CM = np.array([0.0, 3.0, -1.0])
MOUTH_REACH_CM = 4.6  # skin farther than this from the mouth's outer ring follows only the jaw
LIP_SKIN_RINGS = lips.CONTACT + 2  # rings drawn as skin; those behind are the pouch
MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class FaceMesh:
    """The skin at rest and its answer to the controls.

    Attributes:
        rest_cm: (V, 3): free vertices, then lip rings, lids of picture left, lids of picture right.
        triangles: (T, 3).
        free_count: how many free vertices come first.
        jaw_weight: (free,) for them.
        mouth_pull: (free, 80) share of each outer mouth column's motion.
        brow_moves: (5, V, 3) cm at full strength: inner up, outer up L, outer up R, down L, down R.
        smile_move: (V, 3) cheek lift.
        lip_amount: (V,) 1 on the red of the lips.
    """

    rest_cm: np.ndarray
    triangles: np.ndarray
    free_count: int
    jaw_weight: np.ndarray
    mouth_pull: csc_matrix
    brow_moves: np.ndarray
    smile_move: np.ndarray
    lip_amount: np.ndarray
    lips: lips.Lips
    lids: eyelids.Eyelids
    anchors: dict[int, int]  # MediaPipe landmark -> vertex

    def deformed(self, mouth: MouthControls, face: FaceControls) -> tuple[np.ndarray, np.ndarray]:
        """(V, 3) skin and (lips.RINGS, 80, 3) lip rings, cm in sculpt space."""
        out = np.empty_like(self.rest_cm)
        rings = self.lips.deformed(mouth)
        free = lips.jaw_moved(self.rest_cm[: self.free_count], self.jaw_weight, mouth.jaw_open)
        carried = lips.jaw_moved(self.lips.rest_cm[0], lips.skin_jaw_weight(self.lips.rest_cm[0]), mouth.jaw_open)
        out[: self.free_count] = free + self.mouth_pull @ (rings[0] - carried)
        out[self.lip_slice()] = rings[:LIP_SKIN_RINGS].reshape(-1, 3)
        for eye in (0, 1):
            lids = self.lids.deformed(face.blink[eye], face.squint[eye], face.gaze_rad[1]).reshape(-1, 3)
            out[self.lid_slice(eye)] = lids * MIRROR if eye == 0 else lids
        strengths = (face.brow_inner_up, *face.brow_outer_up, *face.brow_down)
        for strength, move in zip(strengths, self.brow_moves, strict=True):
            if strength:
                out += strength * move
        if mouth.smile:
            out += mouth.smile * self.smile_move
        return out, rings

    def lip_slice(self) -> slice:
        return slice(self.free_count, self.free_count + LIP_SKIN_RINGS * lips.COLUMNS)

    def lid_slice(self, eye: int) -> slice:
        start = self.lip_slice().stop + eye * eyelids.RINGS * eyelids.COLUMNS
        return slice(start, start + eyelids.RINGS * eyelids.COLUMNS)

    def lip_vertex(self, ring: int, column: int) -> int:
        return self.free_count + ring * lips.COLUMNS + column

    def lid_vertex(self, eye: int, ring: int, column: int) -> int:
        return self.lid_slice(eye).start + ring * eyelids.COLUMNS + column


def build_face(anchor_uv: dict[int, tuple[float, float]]) -> FaceMesh:
    """Make the skin mesh.

    Args:
        anchor_uv: chart points that must be vertices, by MediaPipe landmark index.
    """
    mouth, lids = lips.build_lips(), eyelids.build_eyelids()
    lip_rest = mouth.rest_cm[:LIP_SKIN_RINGS].reshape(-1, 3)
    lid_right = lids.rest_cm.reshape(-1, 3)
    rings = [mouth.rest_cm[0], lids.rest_cm[0] * MIRROR, lids.rest_cm[0]]
    holes = [chart_of(r, CHART_CENTRE_CM) for r in rings]
    uv = _chart_points(holes, np.array(list(anchor_uv.values())))
    free_count = len(uv)
    fixed = np.concatenate(holes)
    free = cast_chart(eyelids.lid_and_skin, uv, CHART_CENTRE_CM)
    rest = np.concatenate([free, lip_rest, lid_right * MIRROR, lid_right])

    outer = triangulate(np.concatenate([uv, fixed]), holes)
    lip_start, lid_count = free_count, eyelids.RINGS * eyelids.COLUMNS
    lid_starts = (lip_start + len(lip_rest), lip_start + len(lip_rest) + lid_count)
    ring_ids = np.concatenate(
        [lip_start + np.arange(lips.COLUMNS)] + [start + np.arange(eyelids.COLUMNS) for start in lid_starts]
    )
    outer = np.concatenate([np.arange(free_count), ring_ids])[outer]
    strips = [grid_triangles(LIP_SKIN_RINGS, lips.COLUMNS, wrap=True) + lip_start]
    strips += [grid_triangles(eyelids.RINGS, eyelids.COLUMNS, wrap=True) + start for start in lid_starts]
    outward = np.concatenate([gradient(eyelids.lid_and_skin, free), _ring_outward(mouth, lids)])
    # Rolled edges have no use for the field's normal: strips are turned as a whole.
    triangles = np.concatenate([facing(rest, outer, outward)] + [_turned_forward(rest, s) for s in strips])
    return FaceMesh(
        rest_cm=rest,
        triangles=triangles.astype(np.int32),
        free_count=free_count,
        jaw_weight=lips.skin_jaw_weight(free),
        mouth_pull=_mouth_pull(rest, outer, free_count),
        brow_moves=_brow_moves(rest, _looseness(free_count)),
        smile_move=_smile_move(rest, _looseness(free_count)),
        lip_amount=_lip_amount(len(rest), lip_start),
        lips=mouth,
        lids=lids,
        anchors={index: len(uv) - len(anchor_uv) + i for i, index in enumerate(anchor_uv)},
    )


def _chart_points(holes: list[np.ndarray], anchors: np.ndarray) -> np.ndarray:
    """(N, 2) free chart points, dense at the face and densest at the nose, the anchors last."""
    radius = np.linalg.norm
    coarse = hexagonal((-2.55, -2.55), (2.55, 2.55), 0.075)
    coarse = coarse[(radius(coarse, axis=1) < 2.55) & (radius(coarse, axis=1) > 1.20) & ~_is_neck(coarse)]
    neck = hexagonal((-1.2, 0.8), (1.2, 2.4), 0.038)
    neck = neck[_is_neck(neck) & (radius(neck, axis=1) > 1.20)]
    face = hexagonal((-1.2, -1.2), (1.2, 1.2), 0.034)
    face = face[(radius(face, axis=1) < 1.18) & ~_is_nose(face)]
    nose = hexagonal((-0.4, -0.4), (0.4, 0.6), 0.017)
    points = np.concatenate([coarse, neck, face, nose[_is_nose(nose)]])
    keep = np.ones(len(points), bool)
    for hole in holes:
        middle = hole.mean(axis=0)
        keep &= ~inside_polygon(points, middle + (hole - middle) * 1.06)
    points = points[keep]
    if len(anchors):
        gap = np.where(_is_nose(points), 0.007, 0.014)
        points = points[KDTree(anchors).query(points)[0] > gap]
        points = np.concatenate([points, anchors])
    return points


def _is_nose(uv: np.ndarray) -> np.ndarray:
    return (np.abs(uv[:, 0]) < 0.26) & (uv[:, 1] > -0.12) & (uv[:, 1] < 0.34)


def _is_neck(uv: np.ndarray) -> np.ndarray:
    return (np.abs(uv[:, 0]) < 1.1) & (uv[:, 1] > 0.85) & (uv[:, 1] < 2.3)


def _ring_outward(mouth: lips.Lips, lids: eyelids.Eyelids) -> np.ndarray:
    """Outward directions for the ring vertices, good enough where they join the free skin."""
    count = LIP_SKIN_RINGS * lips.COLUMNS + 2 * eyelids.RINGS * eyelids.COLUMNS
    return np.tile([0.0, 0.0, -1.0], (count, 1))


def _turned_forward(rest: np.ndarray, strip: np.ndarray) -> np.ndarray:
    """A strip whose first faces (the outermost, flattest ring) look forward."""
    a, b, c = (rest[strip[: len(strip) // 8, i]] for i in range(3))
    return strip if np.cross(b - a, c - a)[:, 2].sum() < 0 else strip[:, [0, 2, 1]]


def _mouth_pull(rest: np.ndarray, triangles: np.ndarray, free_count: int) -> csc_matrix:
    """Harmonic weights: how the motion of the mouth's outer ring dies away in the skin around it."""
    ring = free_count + np.arange(lips.COLUMNS)
    distance = KDTree(rest[ring]).query(rest[:free_count])[0]
    near = np.flatnonzero(distance < MOUTH_REACH_CM)
    rows, cols = [], []
    for i, j in ((0, 1), (1, 2), (2, 0)):
        rows += [triangles[:, i], triangles[:, j]]
        cols += [triangles[:, j], triangles[:, i]]
    r, c = np.concatenate(rows), np.concatenate(cols)
    n = len(rest)
    length = np.linalg.norm(rest[r] - rest[c], axis=1)
    graph = coo_matrix((1.0 / length, (r, c)), shape=(n, n)).tocsr()
    degree = np.asarray(graph.sum(axis=1)).ravel()
    laplacian = csr_matrix(diags(degree) - graph)
    # A screening term makes the pull fade before the rim of the region, so the rim shows no kink.
    screen = diags(0.02 * degree[near])
    pull = splu(csc_matrix(laplacian[near][:, near] + screen)).solve(-laplacian[near][:, ring].toarray())
    full = np.zeros((free_count, lips.COLUMNS))
    full[near] = np.where(np.abs(pull) > 1e-4, pull, 0.0)
    return csc_matrix(full)


def _bump(points: np.ndarray, x: float, y: float, radius_x: float, radius_y: float) -> np.ndarray:
    front = points[:, 2] < -2.0
    d = ((points[:, 0] - x) / radius_x) ** 2 + ((points[:, 1] - y) / radius_y) ** 2
    return np.exp(-d) * front


def _brow_moves(rest: np.ndarray, loose: np.ndarray) -> np.ndarray:
    """`loose` (V,): 1 for free skin, less for the lid rings towards the crease, 0 beyond and for the lips."""
    moves = np.zeros((5, len(rest), 3))
    inner = loose * np.minimum(_bump(rest, -1.6, -2.3, 1.5, 1.5) + _bump(rest, 1.6, -2.3, 1.5, 1.5), 1.0)
    moves[0, :, 1], moves[0, :, 2] = -0.60 * inner, -0.05 * inner
    for eye, side in enumerate((-1.0, 1.0)):
        outer = loose * _bump(rest, side * 4.2, -2.5, 1.7, 1.5)
        whole = loose * _bump(rest, side * 2.3, -2.2, 2.0, 1.3)
        moves[1 + eye, :, 1] = -0.55 * outer
        moves[3 + eye, :, 1] = 0.42 * whole
        moves[3 + eye, :, 0] = -side * 0.15 * whole
    return moves


def _smile_move(rest: np.ndarray, loose: np.ndarray) -> np.ndarray:
    cheek = loose * (_bump(rest, -4.2, 3.4, 1.7, 1.5) + _bump(rest, 4.2, 3.4, 1.7, 1.5))
    return np.stack([0 * cheek, -0.22 * cheek, -0.22 * cheek], axis=-1)


def _looseness(free_count: int) -> np.ndarray:
    lid = np.repeat([1.0, 0.66, 0.30] + [0.0] * (eyelids.RINGS - 3), eyelids.COLUMNS)
    return np.concatenate([np.ones(free_count), np.zeros(LIP_SKIN_RINGS * lips.COLUMNS), lid, lid])


def _lip_amount(count: int, lip_start: int) -> np.ndarray:
    amount = np.zeros(count)
    by_ring = [0, 0, 0, 0.0, 0.75, 1, 1, 1, 1, 1]
    amount[lip_start : lip_start + LIP_SKIN_RINGS * lips.COLUMNS] = np.repeat(by_ring, lips.COLUMNS)
    return amount
