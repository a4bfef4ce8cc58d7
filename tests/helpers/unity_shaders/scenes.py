"""What the shaders' tests draw: a made talking head, recorded sessions where there are some, and the cameras."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from helpers.source_tree import REPO

from gstalker.kernels.camera import Camera, intrinsics, rigid_rotation_quat_wxyz, rotation_from_quat_wxyz
from gstalker.kernels.frame import PART_TORSO, Frame, assemble
from gstalker.kernels.gaussians import Gaussians, multiply_quats_wxyz
from gstalker.kernels.quantise import QuantisationBox, box_for, pack_movers, unpack_movers_reference
from gstalker.kernels.sh import SH_DEGREE_0
from gstalker.runtime.session import SessionReader

SIZE_PX = 512
SPEAKER_SESSION = REPO / "out" / "session"
"""Where the README's `gstalker record` leaves one; not there on a fresh checkout."""


@dataclass(frozen=True)
class TimeStep:
    """One frame as it came: (M, 16) uint8 and (4, 4) poses of head and torso."""

    movers: np.ndarray
    avatar_from_part: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Scene:
    """An avatar and two neighbouring time steps of it."""

    canonical: Gaussians
    part_ids: np.ndarray
    box: QuantisationBox
    steps: tuple[TimeStep, TimeStep]
    size_m: float  # about half of the head's height


def mixed_frame(scene: Scene, mix: float) -> Frame:
    """What is to be seen between the two steps, float64: the slow twin of MixFrames and of the mixing of poses."""
    a, b = (unpack_movers_reference(step.movers, scene.box) for step in scene.steps)
    quats = nlerp(a[1].astype(np.float64), b[1].astype(np.float64), mix)
    return Frame(
        index=0,
        time_s=0.0,
        means=(1 - mix) * a[0].astype(np.float64) + mix * b[0],
        quats_wxyz=quats,
        scales=a[2].astype(np.float64) ** (1 - mix) * b[2].astype(np.float64) ** mix,
        opacities=(1 - mix) * a[3].astype(np.float64) + mix * b[3],
        avatar_from_head=mixed_pose(scene, 0, mix),
        avatar_from_torso=mixed_pose(scene, 1, mix),
    )


def mixed_pose(scene: Scene, part: int, mix: float) -> np.ndarray:
    """(4, 4) pose of a part between the two steps."""
    a, b = (step.avatar_from_part[part] for step in scene.steps)
    quat = nlerp(rigid_rotation_quat_wxyz(a[:3, :3]), rigid_rotation_quat_wxyz(b[:3, :3]), mix)
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_quat_wxyz(quat)
    pose[:3, 3] = (1 - mix) * a[:3, 3] + mix * b[:3, 3]
    return pose


def nlerp(a: np.ndarray, b: np.ndarray, mix: float) -> np.ndarray:
    """Unit quaternions (..., 4) on the shorter way from a to b."""
    b = np.where((a * b).sum(axis=-1, keepdims=True) < 0, -b, b)
    mixed = (1 - mix) * a + mix * b
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)


def placed(scene: Scene, mix: float, world_from_avatar: np.ndarray | None = None) -> Gaussians:
    """The mixture in world space with OpenCV's axes; an affine placement changes the covariances themselves."""
    cloud = assemble(scene.canonical, scene.part_ids, mixed_frame(scene, mix))
    return cloud if world_from_avatar is None else affine(cloud, world_from_avatar)


def affine(cloud: Gaussians, target_from_source: np.ndarray) -> Gaussians:
    """Moved by any affine map, float64: A Sigma A^T, split into axes and lengths again."""
    linear = target_from_source[:3, :3]
    axes = linear @ (rotation_from_quat_wxyz(cloud.quats_wxyz.astype(np.float64)) * cloud.scales[:, None, :])
    values, vectors = np.linalg.eigh(axes @ axes.transpose(0, 2, 1))
    vectors[:, :, 0] *= np.linalg.det(vectors)[:, None]  # eigenvectors may be a mirror image of a rotation
    return Gaussians(
        means=cloud.means.astype(np.float64) @ linear.T + target_from_source[:3, 3],
        quats_wxyz=rigid_rotation_quat_wxyz(vectors),
        scales=np.sqrt(np.maximum(values, 0)),
        opacities=cloud.opacities,
        sh_coeffs=cloud.sh_coeffs,
    )


def made_scene(count: int = 4000, seed: int = 0) -> Scene:
    """A head and shoulders of flat, patterned splats, with softer wisps about them; nobody's likeness."""
    rng = np.random.default_rng(seed)
    shoulders, static = count // 5, count // 5
    part_ids = np.zeros(count, np.uint8)
    part_ids[count - static - shoulders : count - static] = PART_TORSO
    torso = part_ids == PART_TORSO
    normal = rng.normal(size=(count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    normal[:, 2] = np.where(rng.random(count) < 0.8, -np.abs(normal[:, 2]), normal[:, 2])  # most face the camera
    radii = np.where(torso[:, None], [0.18, 0.06, 0.05], [0.075, 0.1, 0.09])
    means = normal * radii * rng.uniform(0.97, 1.0, (count, 1))
    pattern = 0.5 + 0.5 * np.sin(means[:, :1] * [90, 60, 40] + means[:, 1:2] * [50, 80, 110])
    skin = np.where(torso[:, None], [0.25, 0.3, 0.55], [0.8, 0.6, 0.5])
    wisp = rng.random(count) < 0.25
    scales = np.exp(rng.uniform(-6.2, -5.0, (count, 3)))
    scales[:, 2] *= 0.15
    scales[wisp, 0] *= 3.0
    # Local z along the surface's normal.
    axis = np.cross([0.0, 0.0, 1.0], normal)
    quats = np.column_stack([1 + normal[:, 2], axis])
    spin = rng.uniform(0, np.pi, count)
    quats = multiply_quats_wxyz(quats, np.column_stack([np.cos(spin), 0 * spin, 0 * spin, np.sin(spin)]))
    canonical = Gaussians(
        means=means.astype(np.float32),
        quats_wxyz=(quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype(np.float32),
        scales=scales.astype(np.float32),
        opacities=np.where(wisp, rng.uniform(0.05, 0.5, count), rng.uniform(0.6, 1.0, count)).astype(np.float32),
        sh_coeffs=((0.65 * skin + 0.35 * pattern - 0.5) / SH_DEGREE_0).astype(np.float32)[:, None],
    )
    movers = count - static
    box = box_for(np.full(3, -0.25), np.full(3, 0.25), -9.0, -3.0)
    return Scene(canonical, part_ids, box, (_step(canonical, box, movers, 0), _step(canonical, box, movers, 1)), 0.1)


def _step(canonical: Gaussians, box: QuantisationBox, movers: int, number: int) -> TimeStep:
    """The mouth opens by 8 mm, splats turn, swell and fade a little, the head nods and the torso sways."""
    rng = np.random.default_rng(100 + number)
    means = canonical.means[:movers].copy()
    means[:, 1] += (0.008 * number * np.exp(-((means[:, 1] - 0.04) ** 2) / 2e-4)).astype(np.float32)
    quats = canonical.quats_wxyz[:movers] + rng.normal(scale=0.05, size=(movers, 4)).astype(np.float32)
    scales = canonical.scales[:movers] * np.exp(rng.normal(scale=0.1, size=(movers, 3))).astype(np.float32)
    opacities = np.clip(canonical.opacities[:movers] + 0.05 * rng.normal(size=movers), 0, 1).astype(np.float32)
    head, torso = np.eye(4), np.eye(4)
    head[:3, :3] = _turn(0.06 + 0.03 * number, 0) @ _turn(0.1 - 0.04 * number, 1)
    head[:3, 3] = [0.002 * number, -0.001, 0.003]
    torso[:3, :3] = _turn(0.02 * number, 2)
    torso[:3, 3] = [0.004 * number, 0.15, 0.03]
    return TimeStep(pack_movers(means, quats, scales, opacities, box), (head, torso))


def session_scene(folder: Path, place: int = 60) -> Scene:
    """Two neighbouring frames of a recorded session, as sent."""
    session = SessionReader(folder)
    entries = session.frames()[place : place + 2]
    count = session.info.mover_count
    payload = np.fromfile(folder / "frames_q16.bin", np.uint8)
    steps = []
    for entry in entries:
        frame = session.read_frame(entry)
        movers = payload[entry.offset : entry.offset + 16 * count].reshape(count, 16)
        steps.append(TimeStep(movers, (frame.avatar_from_head, frame.avatar_from_torso)))
    return Scene(session.canonical, session.part_ids, session.box, (steps[0], steps[1]), 0.1)


@dataclass(frozen=True, eq=False)
class View:
    """A camera, and where the avatar stands: an affine map into the camera's world, both with OpenCV's axes."""

    camera: Camera
    world_from_avatar: np.ndarray | None = None
    flipped: bool = False


@cache
def views(size_px: int = SIZE_PX) -> dict[str, View]:
    """The ten that every comparison goes through, for a head of about 20 cm at the origin that looks along -z."""
    far, wide = 2.2 * size_px, 0.7 * size_px
    stretched = np.diag([1.4, 0.6, 0.9, 1.0])
    stretched[:3, :3] = _turn(0.4, 1) @ stretched[:3, :3] @ _turn(0.5, 2)
    stretched[:3, 3] = [0.02, -0.01, 0.05]
    tall = intrinsics(1.4 * size_px, size_px, size_px)
    tall[1, 1] *= 1.3
    return {
        "portrait": View(look(far, size_px, [0, 0.01, -0.85])),
        "close-up": View(look(wide, size_px, [0.01, 0.02, -0.2])),
        "at the skin": View(look(wide, size_px, [0.0, 0.03, -0.115], pitch_rad=0.3)),
        "grazing": View(look(far, size_px, [-0.8, 0.0, -0.1], yaw_rad=1.45)),
        "from above": View(look(far, size_px, [0.0, -0.6, -0.5], pitch_rad=0.88, roll_rad=0.5)),
        "from behind": View(look(far, size_px, [0.1, 0.0, 0.8], yaw_rad=np.pi + 0.1)),
        "off-axis VR eye": View(look(0.6 * size_px, size_px, [-0.03, 0.0, -0.35], centre=(0.62, 0.44)), flipped=True),
        "centre outside": View(look(far, size_px, [0.31, -0.1, -0.8], centre=(1.35, 0.2))),
        "stretched object": View(look(far, size_px, [0.0, 0.0, -0.8]), stretched),
        "far, tall pixels": View(Camera(_placed_at([0.05, 0.02, -2.4]), tall, size_px, size_px)),
    }


def look(
    focal_px: float,
    size_px: int,
    position_m: list[float],
    *,
    yaw_rad: float = 0.0,
    pitch_rad: float = 0.0,
    roll_rad: float = 0.0,
    centre: tuple[float, float] = (0.5, 0.5),
) -> Camera:
    """A camera at a place, turned about y, then x, then its own axis; `centre` is the principal point's share."""
    K = intrinsics(focal_px, size_px, size_px)
    K[:2, 2] = np.array(centre) * size_px
    turn = _turn(roll_rad, 2) @ _turn(pitch_rad, 0) @ _turn(yaw_rad, 1).T
    viewmat = _placed_at(position_m)
    viewmat[:3, :3] = turn
    viewmat[:3, 3] = -turn @ np.array(position_m)
    return Camera(viewmat, K, size_px, size_px)


def _placed_at(position_m: list[float]) -> np.ndarray:
    viewmat = np.eye(4)
    viewmat[:3, 3] = -np.array(position_m)
    return viewmat


def _turn(angle_rad: float, axis: int) -> np.ndarray:
    """(3, 3) right-handed rotation about an axis."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = np.cos(angle_rad)
    turn[a, b], turn[b, a] = -np.sin(angle_rad), np.sin(angle_rad)
    return turn
