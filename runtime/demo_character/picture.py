"""A picture of the character, its exact matte and landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.kernels.camera import Camera, project_points
from gstalker.runtime.demo_character import eyelids, lips
from gstalker.runtime.demo_character.character import Character, build_character
from gstalker.runtime.demo_character.controls import CharacterPose
from gstalker.runtime.demo_character.face_mesh import MIRROR
from gstalker.runtime.demo_character.rasterise import rasterise, vertex_normals
from gstalker.runtime.demo_character.sculpt import EYE_CENTRE_CM
from gstalker.runtime.demo_character.shade import shade
from gstalker.runtime.demo_character.textures import LID_TABLE_HALF_CM, LIP_TABLE_HALF_CM, TABLE

FOCAL_IN_SIZES = 2.2
HEAD_REST_M = np.array([0.0, -0.008, 0.86])  # of the head's origin in camera space, looking straight ahead
TORSO_DEPTH_M = 0.88
TORSO_PIVOT_IN_SIZES = (0.5, 0.79)  # at the base of the neck

_LIGHTS = (  # direction towards the light (camera axes), colour
    ((-0.50, -0.62, -0.85), (1.75, 1.62, 1.48)),
    ((0.85, -0.12, -0.75), (0.34, 0.37, 0.44)),
    ((0.75, -0.55, 0.80), (0.55, 0.60, 0.72)),
)
SHADOW_SIZE, SHADOW_DISTANCE_M, SHADOW_SPAN_M = 320, 12.0, 0.62


@dataclass(frozen=True)
class Picture:
    """One rendered frame.

    Attributes:
        rgb: (H, W, 3) uint8.
        matte: (H, W) uint8, the covered share of each pixel times 255.
        landmarks_px: (478, 2) float64, NaN where the character has no such landmark.
    """

    rgb: np.ndarray
    matte: np.ndarray
    landmarks_px: np.ndarray


def camera_from_rest_head() -> np.ndarray:
    """(4, 4) pose of the head looking straight ahead."""
    pose = np.eye(4)
    pose[:3, 3] = HEAD_REST_M
    return pose


def torso_from_rest_head() -> np.ndarray:
    """(4, 4): torso space shares the camera's axes, so at rest only the origins differ."""
    focal, pivot = FOCAL_IN_SIZES, TORSO_PIVOT_IN_SIZES
    origin_m = np.array([(pivot[0] - 0.5) / focal, (pivot[1] - 0.5) / focal, 1.0]) * TORSO_DEPTH_M
    pose = np.eye(4)
    pose[:3, 3] = HEAD_REST_M - origin_m
    return pose


def backdrop(width_px: int, height_px: int) -> np.ndarray:
    """(H, W, 3) float32 display-space plate 0..1: a soft sea-green gradient, plain and coloured enough to key on."""
    y, x = np.mgrid[0:height_px, 0:width_px]
    y, x = (y + 0.5) / height_px, (x + 0.5) / width_px
    glow = np.exp(-(((x - 0.42) / 0.55) ** 2 + ((y - 0.38) / 0.60) ** 2))[..., None]
    dark, light = np.array([0.25, 0.42, 0.37]), np.array([0.43, 0.66, 0.58])
    plate = dark + (light - dark) * glow
    return (np.round(plate * 255) / 255).astype(np.float32)


def render_picture(
    pose: CharacterPose,
    camera: Camera,
    plate: np.ndarray | None = None,
    supersample: int = 2,
    character: Character | None = None,
) -> Picture:
    """Draw the character.

    Args:
        pose: where head and torso are, and what the face does; poses are relative to the world of `camera`.
        camera: its viewmat is applied after the pose, so identity for a pose in camera space.
        plate: (H, W, 3) backdrop 0..1; `backdrop` by default.
        supersample: samples per pixel edge.
        character: defaults to the one of this process.
    """
    who = character or build_character()
    plate = backdrop(camera.width_px, camera.height_px) if plate is None else plate
    sculpt_cm, rings = who.deformed(pose.mouth, pose.face)
    world = who.posed(sculpt_cm, pose, torso_from_rest_head())
    view = camera.viewmat
    exact = world @ view[:3, :3].T + view[:3, 3]
    positions = exact.astype(np.float32)
    tangents = (who.tangents @ (view[:3, :3] @ pose.camera_from_head[:3, :3]).T).astype(np.float32)
    normals = vertex_normals(positions, who.triangles)
    k = camera.K.astype(np.float64) * np.array([[supersample], [supersample], [1.0]])
    seen, weights, _ = rasterise(
        positions, who.triangles, who.double_sided, who.cutout, who.texture, k,
        camera.width_px * supersample, camera.height_px * supersample,
    )  # fmt: skip
    lights = np.array(_LIGHTS)
    lights[:, 0] /= np.linalg.norm(lights[:, 0], axis=1, keepdims=True)
    light_from_camera, k_light = _light_camera(lights[0, 0])
    in_light = (exact @ light_from_camera[:3, :3].T + light_from_camera[:3, 3]).astype(np.float32)
    _, _, shadow = rasterise(
        in_light, who.triangles, np.ones_like(who.double_sided), who.cutout, who.texture, k_light,
        SHADOW_SIZE, SHADOW_SIZE,
    )  # fmt: skip
    rgb, matte = shade(
        seen, weights, who.triangles, who.material, positions, normals, sculpt_cm.astype(np.float32),
        who.albedo, who.texture, who.openness, tangents, shadow, light_from_camera, k_light, lights,
        _lip_table(rings), _lid_table(who, sculpt_cm), np.stack([EYE_CENTRE_CM * MIRROR, EYE_CENTRE_CM]),
        plate, supersample,
    )  # fmt: skip
    known = who.landmark_vertices >= 0
    landmarks_px = np.full((len(known), 2), np.nan)
    landmarks_px[known] = project_points(world[who.landmark_vertices[known]], camera)
    return Picture(
        rgb=np.round(rgb * 255).astype(np.uint8),
        matte=np.round(matte * 255).astype(np.uint8),
        landmarks_px=landmarks_px,
    )


def _light_camera(towards_light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(4, 4) light_from_camera and (3, 3) intrinsics of the key light's depth map, aimed at the rest head."""
    forward = -towards_light
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    target = HEAD_REST_M + np.array([0.0, 0.06, 0.0])
    pose[:3, 3] = -pose[:3, :3] @ target + np.array([0.0, 0.0, SHADOW_DISTANCE_M])
    focal = SHADOW_SIZE * SHADOW_DISTANCE_M / SHADOW_SPAN_M
    k = np.array([[focal, 0, SHADOW_SIZE / 2], [0, focal, SHADOW_SIZE / 2], [0, 0, 1.0]])
    return pose, k


def _lip_table(rings: np.ndarray) -> np.ndarray:
    """(3, TABLE): y of the upper and of the lower lip's contact line, and their front z, over x; cm."""
    contact, half = rings[lips.CONTACT], lips.COLUMNS // 2
    at = np.linspace(-LIP_TABLE_HALF_CM, LIP_TABLE_HALF_CM, TABLE)
    lower, upper = contact[: half + 1], np.concatenate([contact[:1], contact[: half - 1 : -1]])
    return np.stack(
        [
            np.interp(at, upper[:, 0], upper[:, 1]),
            np.interp(at, lower[:, 0], lower[:, 1]),
            np.interp(at, upper[:, 0], np.minimum(upper[:, 2], lower[:, 2])),
        ]
    )


def _lid_table(who: Character, sculpt_cm: np.ndarray) -> np.ndarray:
    """(2, 2, TABLE): y of upper and lower lid edge of the picture left and right eye, over x from its centre."""
    at = np.linspace(-LID_TABLE_HALF_CM, LID_TABLE_HALF_CM, TABLE)
    half = eyelids.COLUMNS // 2
    table = np.zeros((2, 2, TABLE))
    for eye, sign in enumerate((-1.0, 1.0)):
        skin = sculpt_cm[who.starts["face"]]
        edge = skin[who.face.lid_slice(eye)].reshape(eyelids.RINGS, eyelids.COLUMNS, 3)[eyelids.MARGIN]
        lower = edge[: half + 1]
        upper = np.concatenate([edge[:1], edge[: half - 1 : -1]])
        for row, line in enumerate((upper, lower)):
            order = np.argsort(line[:, 0])
            table[eye, row] = np.interp(at + sign * EYE_CENTRE_CM[0], line[order, 0], line[order, 1])
    return table
