"""The character: its parts in one set of arrays, how a pose deforms them, and where its landmarks are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from gstalker.runtime.demo_character import body, eyelids, features, hair, landmark_map, lips
from gstalker.runtime.demo_character.controls import CharacterPose, FaceControls, MouthControls
from gstalker.runtime.demo_character.face_mesh import LIP_SKIN_RINGS, MIRROR, FaceMesh, build_face
from gstalker.runtime.demo_character.mesh import HAIR, LASH, SKIN, Part, make_part
from gstalker.runtime.demo_character.sculpt import EYE_CENTRE_CM, gradient, head_distance, occlusion

LANDMARKS = 478


@dataclass(frozen=True)
class Character:
    """Everything that does not change from picture to picture.

    Attributes:
        face: the skin; its vertices come first.
        starts: where each named part's vertices begin and end.
        rest_cm, albedo, texture, openness, tangents, torso_weight: per vertex (see `mesh.Part`).
        triangles (T, 3) int32, material (T,) int32, double_sided, cutout (T,) bool.
        landmark_vertices: (478,) vertex of each MediaPipe landmark, -1 where the character has none.
        origin_cm: sculpt-space point that is the origin of head space: the mean of the known landmarks.
    """

    face: FaceMesh
    starts: dict[str, slice]
    rest_cm: np.ndarray
    albedo: np.ndarray
    texture: np.ndarray
    openness: np.ndarray
    tangents: np.ndarray
    torso_weight: np.ndarray
    triangles: np.ndarray
    material: np.ndarray
    double_sided: np.ndarray
    cutout: np.ndarray
    landmark_vertices: np.ndarray
    origin_cm: np.ndarray

    def deformed(self, mouth: MouthControls, face: FaceControls) -> tuple[np.ndarray, np.ndarray]:
        """(V, 3) cm in sculpt space with the face's motion but no pose, and the lip rings (RINGS, 80, 3)."""
        out = self.rest_cm.copy()
        skin, rings = self.face.deformed(mouth, face)
        out[self.starts["face"]] = skin
        inner = rings[LIP_SKIN_RINGS - 1 :]
        out[self.starts["pouch"]] = np.concatenate([inner.reshape(-1, 3), inner[-1].mean(0, keepdims=True)])
        lower = out[self.starts["lower_teeth"]]
        out[self.starts["lower_teeth"]] = lips.jaw_moved(lower, np.ones(len(lower)), mouth.jaw_open)
        tongue = features.tongue_surface(mouth.tongue_up)
        follow = 1.0 - 0.35 * mouth.tongue_up
        out[self.starts["tongue"]] = lips.jaw_moved(tongue, np.full(len(tongue), follow), mouth.jaw_open)
        turn = gaze_rotation(*face.gaze_rad)
        _, side = eyelids.column_positions()
        t = eyelids.column_positions()[0]
        for eye, name in enumerate(("left", "right")):
            mirror = MIRROR if eye == 0 else np.ones(3)
            ball = self.rest_cm[self.starts[f"eye_{name}"]] - EYE_CENTRE_CM * mirror
            out[self.starts[f"eye_{name}"]] = ball @ turn.T + EYE_CENTRE_CM * mirror
            margin = skin[self.face.lid_slice(eye)].reshape(eyelids.RINGS, -1, 3)[eyelids.MARGIN] * mirror
            out[self.starts[f"lash_{name}"]] = features.lash_strip(margin, side, t) * mirror
        return out, rings

    def head_m(self, sculpt_cm: np.ndarray) -> np.ndarray:
        """Sculpt-space centimetres to head-space metres."""
        return (sculpt_cm - self.origin_cm) / 100.0

    def landmarks_head_m(self, mouth: MouthControls, face: FaceControls) -> np.ndarray:
        """(478, 3) head-space metres; NaN where the character has no such landmark."""
        vertices, _ = self.deformed(mouth, face)
        return self._pick(self.head_m(vertices))

    def _pick(self, per_vertex: np.ndarray) -> np.ndarray:
        picked = per_vertex[np.maximum(self.landmark_vertices, 0)].astype(np.float64)
        picked[self.landmark_vertices < 0] = np.nan
        return picked

    def posed(self, sculpt_cm: np.ndarray, pose: CharacterPose, torso_from_rest_head: np.ndarray) -> np.ndarray:
        """(V, 3) camera-space metres: head and torso each rigid, the neck between them."""
        head = self.head_m(sculpt_cm)
        by_head = head @ pose.camera_from_head[:3, :3].T + pose.camera_from_head[:3, 3]
        camera_from_rest = pose.camera_from_torso @ torso_from_rest_head
        by_torso = head @ camera_from_rest[:3, :3].T + camera_from_rest[:3, 3]
        w = self.torso_weight[:, None]
        return by_head * (1 - w) + by_torso * w


def gaze_rotation(right_rad: float, down_rad: float) -> np.ndarray:
    """(3, 3) turn of an eye that looks along -z towards picture right and down."""
    cy, sy, cx, sx = np.cos(right_rad), np.sin(right_rad), np.cos(down_rad), np.sin(down_rad)
    yaw = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    return yaw @ pitch


def _mirrored(part: Part) -> Part:
    return replace(part, rest_cm=part.rest_cm * MIRROR, triangles=part.triangles[:, [0, 2, 1]])


def _moved(part: Part, by: np.ndarray) -> Part:
    return replace(part, rest_cm=part.rest_cm + by)


def _skin_part(face: FaceMesh) -> Part:
    """Colours of the skin: lips, cheeks, nose, lids, and the scalp under the hair."""
    rest = face.rest_cm
    normals = gradient(head_distance, rest)
    open_share = occlusion(eyelids.lid_and_skin, rest, normals, reach_cm=5.0)
    open_share[face.free_count :] = np.maximum(open_share[face.free_count :], 0.55)
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    front = z < -3.0
    albedo = np.broadcast_to(np.array(features.SKIN_ALBEDO), rest.shape).copy()

    def tint(amount: np.ndarray, colour: tuple[float, float, float]) -> None:
        albedo[:] += np.clip(amount, 0, 1)[:, None] * (np.array(colour) - albedo)

    cheek = np.exp(-(((x - 4.3) / 1.8) ** 2 + ((y - 3.4) / 1.5) ** 2)) * front
    nose = np.exp(-((x / 1.6) ** 2 + ((y - 4.3) / 1.0) ** 2)) * front
    tint(0.55 * cheek, (0.66, 0.30, 0.235))
    tint(0.40 * nose, (0.66, 0.31, 0.24))
    tint(0.9 * face.lip_amount, (0.50, 0.165, 0.160))
    nostril = np.exp(-(((x - 0.60) / 0.26) ** 2 + ((y - 5.0) / 0.24) ** 2)) * (z > -9.75) * front
    tint(0.95 * nostril, (0.10, 0.03, 0.025))
    for eye in (0, 1):
        at = face.lid_slice(eye)
        t, side = eyelids.column_positions()
        upper = side < 0
        ring_tint = np.array([0.0, 0.12, 0.35, 0.62, 0.45, 0.42, 0.55, 0.97, 0.55])
        amount = np.zeros((eyelids.RINGS, eyelids.COLUMNS)) + ring_tint[:, None] * np.where(upper, 1.0, 0.35)
        colour = np.where(upper[None, :, None], np.array([0.20, 0.085, 0.060]), np.array([0.42, 0.17, 0.14]))
        block = albedo[at].reshape(eyelids.RINGS, eyelids.COLUMNS, 3)
        block += amount[..., None] * (colour - block)
        block[eyelids.MARGIN, upper] = (0.025, 0.014, 0.012)
        block[eyelids.MARGIN - 1, upper] *= 0.6
        block[-1] = (0.50, 0.22, 0.20)
        albedo[at] = block.reshape(-1, 3)
        inner = t < -0.86
        albedo[at].reshape(eyelids.RINGS, eyelids.COLUMNS, 3)[-2:, inner] = (0.52, 0.20, 0.18)
    scalp = np.clip((hair.height_over_hairline(rest) + 0.45) / 1.0, 0, 1) * (y < 8.5)
    tint(0.85 * scalp, tuple(0.8 * np.array(hair.HAIR_ALBEDO)))
    texture = np.stack([rest[:, 0], rest[:, 1], face.lip_amount], axis=-1)
    return make_part(
        rest, face.triangles, SKIN, albedo, texture, 0.30 + 0.70 * open_share, torso_weight=body.torso_weight(rest)
    )


def _tangents(part: Part) -> np.ndarray:
    """(V, 3) direction along the strands: where texture 1 grows while texture 0 stays."""
    tangents = np.zeros_like(part.rest_cm)
    if part.material not in (HAIR, LASH):
        return tangents
    a, b, c = (part.triangles[:, i] for i in range(3))
    e1, e2 = part.rest_cm[b] - part.rest_cm[a], part.rest_cm[c] - part.rest_cm[a]
    u1, v1 = (part.texture[b] - part.texture[a])[:, :2].T
    u2, v2 = (part.texture[c] - part.texture[a])[:, :2].T
    area = u1 * v2 - u2 * v1
    direction = (e2 * u1[:, None] - e1 * u2[:, None]) * np.sign(area)[:, None]
    seam = np.maximum(np.abs(u1), np.abs(u2)) > 30  # where `across` wraps round
    direction[seam] = 0
    for corner in (a, b, c):
        np.add.at(tangents, corner, direction)
    return tangents / np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-12)


@lru_cache(maxsize=1)
def build_character() -> Character:
    """Sculpt and assemble the character; about three seconds, once a process."""
    face = build_face(landmark_map.anchor_chart())
    rings = face.lips.rest_cm
    margin = face.lids.rest_cm[eyelids.MARGIN]
    ball, ear, lash = features.eyeball(), features.ear(), features.lashes(margin)
    named = {
        "face": _skin_part(face),
        "pouch": features.pouch(rings, LIP_SKIN_RINGS - 1),
        "upper_teeth": features.teeth(upper=True),
        "lower_teeth": features.teeth(upper=False),
        "tongue": features.tongue(),
        "eye_left": _moved(ball, EYE_CENTRE_CM * MIRROR),
        "eye_right": _moved(ball, EYE_CENTRE_CM),
        "lash_left": _mirrored(lash),
        "lash_right": lash,
        "ear_left": _mirrored(ear),
        "ear_right": ear,
        "hair": hair.cap(),
        "bun": hair.bun(),
        **{f"lock_{i}": part for i, part in enumerate(hair.locks())},
        "collar": body.collar(),
        "jumper": body.jumper(),
    }
    starts, count = {}, 0
    for name, part in named.items():
        starts[name] = slice(count, count + len(part.rest_cm))
        count = starts[name].stop
    parts = list(named.values())
    per_triangle = [(p.material, p.double_sided, p.cutout) for p in parts]
    sizes = [len(p.triangles) for p in parts]
    vertices = landmark_map.landmark_vertices(face, starts["eye_left"].start, starts["eye_right"].start)
    rest = np.concatenate([p.rest_cm for p in parts])
    return Character(
        face=face,
        starts=starts,
        rest_cm=rest,
        albedo=np.concatenate([p.albedo for p in parts]).astype(np.float32),
        texture=np.concatenate([p.texture for p in parts]).astype(np.float32),
        openness=np.concatenate([p.openness for p in parts]).astype(np.float32),
        tangents=np.concatenate([_tangents(p) for p in parts]),
        torso_weight=np.concatenate([p.torso_weight for p in parts]),
        triangles=np.concatenate([p.triangles + starts[name].start for name, p in named.items()]).astype(np.int32),
        material=np.repeat(np.array([m for m, _, _ in per_triangle], np.int32), sizes),
        double_sided=np.repeat(np.array([d for _, d, _ in per_triangle]), sizes),
        cutout=np.repeat(np.array([c for _, _, c in per_triangle]), sizes),
        landmark_vertices=vertices,
        origin_cm=rest[vertices[vertices >= 0]].mean(axis=0),
    )
