"""The clay: head, neck and upper body as signed distance fields that the meshes are cast from.

Sculpt space: centimetres, x to picture right, y down, z away from the viewer; the origin lies between the eyes.
A smooth union of a few ellipsoids and tapered capsules gives cheeks, brow and jaw without a modelled file.

Source: the polynomial smooth minimum and the ellipsoid bound are common knowledge of distance-field modelling
(Quilez, 'Smooth minimum' and 'Distance functions').
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

EYE_CENTRE_CM = np.array([3.2, 0.0, -7.05])  # of the eye on picture right; the other mirrors x
EYE_RADIUS_CM = 1.50
MOUTH_Y_CM = 7.15  # where closed lips meet, in the middle
JAW_HINGE_CM = np.array([0.0, 2.2, 0.6])  # the jaw turns about the x axis through here

Distance = Callable[[np.ndarray], np.ndarray]


def smooth_min(a: np.ndarray, b: np.ndarray, blend_cm: float) -> np.ndarray:
    """Union of two fields with a fillet of about `blend_cm`."""
    h = np.maximum(blend_cm - np.abs(a - b), 0.0) / blend_cm
    return np.minimum(a, b) - h * h * blend_cm * 0.25


def smooth_cut(a: np.ndarray, tool: np.ndarray, blend_cm: float) -> np.ndarray:
    """`a` with `tool` carved out of it."""
    return -smooth_min(-a, tool, blend_cm)


def ellipsoid(p: np.ndarray, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    """Signed bound of an ellipsoid; exact on the surface."""
    q = (p - np.asarray(centre)) / np.asarray(radii)
    k0 = np.linalg.norm(q, axis=-1)
    k1 = np.linalg.norm(q / np.asarray(radii), axis=-1)
    return k0 * (k0 - 1.0) / np.maximum(k1, 1e-9)


def capsule(
    p: np.ndarray, a: tuple[float, float, float], b: tuple[float, float, float], radius_a: float, radius_b: float
) -> np.ndarray:
    """A rod whose radius runs from `radius_a` at `a` to `radius_b` at `b`."""
    start, axis = np.asarray(a), np.asarray(b) - np.asarray(a)
    h = np.clip((p - start) @ axis / (axis @ axis), 0.0, 1.0)
    return np.linalg.norm(p - start - h[..., None] * axis, axis=-1) - (radius_a + (radius_b - radius_a) * h)


def head_distance(points: np.ndarray) -> np.ndarray:
    """Skin of head and neck without lips, lids, ears and hair: (..., 3) -> (...), cm, negative inside."""
    p = np.array(points, dtype=np.float64)
    p[..., 0] = np.abs(p[..., 0])
    d = ellipsoid(p, (0, -3.6, 0.9), (7.3, 7.8, 8.6))  # cranium
    d = smooth_min(d, ellipsoid(p, (0, 0.6, 3.6), (5.9, 6.6, 5.0)), 2.5)  # back of the head
    d = smooth_min(d, ellipsoid(p, (0, -3.2, -3.3), (5.7, 5.8, 5.3)), 2.0)  # forehead
    d = smooth_min(d, ellipsoid(p, (3.4, -1.6, -3.2), (3.1, 4.6, 3.6)), 2.0)  # temple
    d = smooth_min(d, ellipsoid(p, (0, 3.2, -2.0), (6.1, 7.2, 6.7)), 2.5)  # face
    d = smooth_min(d, capsule(p, (4.5, 5.6, 0.2), (1.5, 9.4, -6.0), 1.5, 1.45), 2.8)  # jaw bone
    d = smooth_min(d, ellipsoid(p, (0, 9.75, -6.9), (1.7, 1.45, 1.45)), 1.8)  # chin
    d = smooth_min(d, ellipsoid(p, (3.9, 2.5, -5.0), (2.4, 1.9, 2.3)), 2.4)  # cheek bone
    d = smooth_min(d, ellipsoid(p, (2.6, 4.9, -5.6), (2.4, 2.6, 2.2)), 2.4)  # cheek
    d = smooth_min(d, ellipsoid(p, (0, 6.9, -5.9), (3.2, 2.9, 3.15)), 2.0)  # round of the teeth
    d = smooth_cut(d, ellipsoid(p, (3.1, 0.2, -9.6), (2.3, 1.35, 2.0)), 1.6)  # eye socket
    d = smooth_min(d, capsule(p, (1.3, -2.0, -7.75), (4.3, -2.1, -6.4), 0.62, 0.5), 1.6)  # brow ridge
    d = smooth_min(d, _nose(p), 0.8)
    d = smooth_cut(d, ellipsoid(p, (0.60, 5.10, -9.70), (0.36, 0.42, 0.52)), 0.22)  # nostril
    d = smooth_cut(d, ellipsoid(p, (0, 5.95, -9.6), (0.28, 0.75, 0.42)), 0.5)  # philtrum
    d = smooth_cut(d, ellipsoid(p, (0, 8.85, -9.5), (1.8, 0.30, 0.75)), 0.9)  # fold above the chin
    neck = capsule(p, (0, 4.0, 1.9), (0, 18.0, 2.7), 4.3, 4.6)
    neck = smooth_min(neck, ellipsoid(p, (0, 11.8, -1.6), (0.8, 2.2, 0.9)), 2.5)  # larynx
    neck = smooth_min(neck, capsule(p, (1.0, 16.5, -1.3), (4.3, 5.0, 2.0), 0.5, 0.7), 2.0)  # cords
    return smooth_min(d, neck, 1.7)


def _nose(p: np.ndarray) -> np.ndarray:
    bridge = capsule(p, (0, -0.8, -7.9), (0, 3.7, -9.9), 0.5, 0.60)
    wall = capsule(p, (0.35, 0.0, -7.4), (0.62, 4.0, -9.0), 0.55, 0.8)
    tip = ellipsoid(p, (0, 4.05, -10.2), (0.92, 0.80, 0.80))
    wing = ellipsoid(p, (0.98, 4.6, -9.2), (0.62, 0.60, 0.85))
    nose = smooth_min(smooth_min(bridge, wall, 1.2), tip, 0.9)
    return smooth_min(nose, wing, 0.5)


def body_distance(points: np.ndarray) -> np.ndarray:
    """Clothed shoulders and chest: (..., 3) -> (...), cm."""
    p = np.array(points, dtype=np.float64)
    p[..., 0] = np.abs(p[..., 0])
    d = ellipsoid(p, (0, 32.0, 3.4), (13.5, 16.0, 8.4))  # chest
    d = smooth_min(d, capsule(p, (2.5, 15.5, 3.4), (14.0, 20.0, 3.6), 3.4, 4.3), 5.0)  # shoulder slope
    return smooth_min(d, capsule(p, (15.2, 21.6, 3.4), (17.6, 44.0, 3.6), 4.7, 4.6), 4.0)  # upper arm


def cast(
    distance: Distance, origins: np.ndarray, directions: np.ndarray, far_cm: float = 40.0, steps: int = 500
) -> np.ndarray:
    """First surface point met from outside, coming in along each ray from `far_cm` towards its origin.

    Args:
        origins, directions: (..., 3); directions are unit and point outward.

    Returns:
        (..., 3) points; those whose ray never meets the surface stay at the origin.
    """
    t = np.full(origins.shape[:-1], far_cm)
    for _ in range(steps):
        d = distance(origins + t[..., None] * directions)
        t = np.maximum(t - np.clip(0.7 * d, -0.3, 1e9), 0.0)
        if np.abs(d[t > 0]).max(initial=0.0) < 1e-4:
            break
    return origins + t[..., None] * directions


def front_surface(distance: Distance, xy_cm: np.ndarray) -> np.ndarray:
    """(..., 3) points of the surface seen from the front at frontal coordinates (..., 2)."""
    origins = np.concatenate([xy_cm, np.zeros((*xy_cm.shape[:-1], 1))], axis=-1)
    return cast(distance, origins, np.broadcast_to([0.0, 0.0, -1.0], origins.shape), far_cm=16.0)


def gradient(distance: Distance, points: np.ndarray, step_cm: float = 0.02) -> np.ndarray:
    """(..., 3) unit outward normals."""
    steps = np.eye(3) * step_cm
    g = np.stack([distance(points + s) - distance(points - s) for s in steps], axis=-1)
    return g / np.maximum(np.linalg.norm(g, axis=-1, keepdims=True), 1e-12)


def occlusion(distance: Distance, points: np.ndarray, normals: np.ndarray, reach_cm: float = 4.0) -> np.ndarray:
    """(...) openness of a surface point, 1 free .. 0 buried, from the field along its normal."""
    shade = np.zeros(points.shape[:-1])
    weight = 0.0
    for i in range(1, 7):
        out_cm = reach_cm * (i / 6.0) ** 1.5
        w = 0.75**i
        shade += w * np.clip(1.0 - distance(points + normals * out_cm) / out_cm, 0.0, 1.0)
        weight += w
    return 1.0 - shade / weight
