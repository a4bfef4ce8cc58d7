"""A tiny dataset drawn by hand: an oval face whose mouth follows the loudness of a made voice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gstalker.kernels.camera import Camera, intrinsics, project_points
from gstalker.runtime import landmarks as lm
from gstalker.runtime import regions
from gstalker.runtime.dataset import (
    AUDIO_RATE_HZ,
    FORMAT_VERSION,
    FPS,
    LANDMARKS,
    Clip,
    ClipEntry,
    DatasetManifest,
    Tracks,
    write_clip,
    write_manifest,
)

DEPTH_M = 1.0
FACE_M = (0.075, 0.10)  # half axes of the face oval
BLENDSHAPES = ("_neutral", *lm.EXPRESSION_BLENDSHAPES, *lm.MOUTH_BLENDSHAPES)
BLENDSHAPE_NAMES = BLENDSHAPES + tuple(f"unused{i}" for i in range(52 - len(BLENDSHAPES)))


@dataclass(frozen=True)
class MadeSpeaker:
    """What to draw."""

    size_px: int = 64
    seconds: float = 1.0
    train_clips: int = 2
    test_clips: int = 1
    torso: bool = True
    centre_m: tuple[float, float] = (0.0, -0.02)  # of the face, in the picture plane
    seed: int = 0


def face_points_m(opening: float, blink: float) -> np.ndarray:
    """(478, 3) head space; NaN for points that are not drawn. `opening` 0..1, `blink` 0..1."""
    points = np.full((LANDMARKS, 3), np.nan)

    def put(indices: tuple[int, ...], x: np.ndarray, y: np.ndarray) -> None:
        bulge = 0.05 * np.sqrt(np.clip(1 - (x / 0.09) ** 2 - (y / 0.12) ** 2, 0, 1))
        points[list(indices)] = np.stack([x, y, -bulge], axis=1)

    def ring(indices: tuple[int, ...], cx: float, cy: float, rx: float, ry: float, start: float) -> None:
        angle = start + 2 * np.pi * np.arange(len(indices)) / len(indices)
        put(indices, cx + rx * np.cos(angle), cy + ry * np.sin(angle))

    ring(lm.FACE_OVAL, 0, 0, *FACE_M, -np.pi / 2)
    for side, eye, brow, iris in (
        (-1, lm.RIGHT_EYE, lm.RIGHT_BROW, lm.RIGHT_IRIS),
        (1, lm.LEFT_EYE, lm.LEFT_BROW, lm.LEFT_IRIS),
    ):
        # Both eye lists run from the outer corner along the lower lid to the inner corner and back above.
        angle = 2 * np.pi * np.arange(len(eye)) / len(eye)
        put(eye, side * (0.032 + 0.014 * np.cos(angle)), -0.025 + 0.007 * (1 - blink) * np.sin(angle))
        put(brow, side * np.linspace(0.05, 0.015, len(brow)), np.full(len(brow), -0.045))
        put(iris, np.full(len(iris), side * 0.032), np.full(len(iris), -0.025))
    put(lm.NOSE, np.linspace(-0.008, 0.008, len(lm.NOSE)), np.linspace(-0.02, 0.02, len(lm.NOSE)))
    gap = 0.002 + 0.014 * opening
    # Both lip lists run from the right corner along the lower lip to the left corner and back above.
    for indices, rx, ry in ((lm.LIPS_OUTER, 0.026, gap + 0.007), (lm.LIPS_INNER, 0.022, gap)):
        ring(indices, 0, 0.045, rx, -ry, np.pi)
    for indices in (lm.RIGID, regions.JAW):
        missing = [i for i in indices if np.isnan(points[i, 0])]
        put(tuple(missing), np.linspace(-0.03, 0.03, len(missing)), np.full(len(missing), -0.05))
    return points


def made_clip(speaker: MadeSpeaker, name: str, split: str, seed: int) -> Clip:
    """One drawn take with sound."""
    rng = np.random.default_rng(seed)
    count = round(speaker.seconds * FPS)
    size = speaker.size_px
    K = intrinsics(2.2 * size, size, size)
    time_s = np.arange(count) / FPS
    opening = 0.5 - 0.5 * np.cos(2 * np.pi * (2.0 + rng.uniform(0, 1)) * time_s + rng.uniform(0, 6))
    blink = (np.arange(count) % 20 == 10).astype(float)
    samples_s = np.arange(count * 640) / AUDIO_RATE_HZ
    loudness = np.interp(samples_s, time_s, opening)
    voice = sum(np.sin(2 * np.pi * 140 * k * samples_s) / k for k in range(1, 12))
    samples = (0.1 * loudness * voice + 0.001 * rng.normal(size=len(samples_s))).astype(np.float32)
    poses = np.tile(np.eye(4), (count, 1, 1))
    yaw = 0.1 * np.sin(2 * np.pi * 0.5 * time_s)
    poses[:, 0, 0] = poses[:, 2, 2] = np.cos(yaw)
    poses[:, 0, 2], poses[:, 2, 0] = np.sin(yaw), -np.sin(yaw)
    poses[:, :3, 3] = [*speaker.centre_m, DEPTH_M]
    plate = np.full((size, size, 3), (40, 90, 200), np.uint8)
    rgb, matte, points = [], [], []
    for pose, gape, lid in zip(poses, opening, blink, strict=True):
        pixels = project_points(face_points_m(gape, lid), Camera(pose, K, size, size))
        picture, person = _draw(pixels, plate, speaker.torso)
        rgb.append(picture)
        matte.append(person)
        points.append(pixels)
    blendshapes = np.zeros((count, 52), np.float32)
    blendshapes[:, BLENDSHAPE_NAMES.index("jawOpen")] = opening
    for eye in ("eyeBlinkLeft", "eyeBlinkRight"):
        blendshapes[:, BLENDSHAPE_NAMES.index(eye)] = blink
    tracks = Tracks(
        camera_from_head=poses.astype(np.float32),
        pose_confidence=np.ones(count, np.float32),
        landmarks_px=np.array(points, np.float32),
        blendshapes=blendshapes,
        torso_motion=np.zeros((count, 3), np.float32),
        torso_stretch=np.zeros((count, 3), np.float32),
    )
    entry = ClipEntry(name, split, count, f"{name}.mp4")
    return Clip(entry, np.array(rgb), np.array(matte), plate, tracks, samples)


def _draw(pixels: np.ndarray, plate: np.ndarray, torso: bool) -> tuple[np.ndarray, np.ndarray]:
    height, width = plate.shape[:2]
    picture, person = plate.copy(), np.zeros((height, width), np.uint8)

    def fill(mask: np.ndarray, color: tuple[int, int, int]) -> None:
        picture[mask] = color
        person[mask] = 255

    oval = pixels[list(lm.FACE_OVAL)]
    if torso:
        rows, columns = np.mgrid[:height, :width] + 0.5
        shoulders = (rows > oval[:, 1].max() - 3) & (np.abs(columns - oval[:, 0].mean()) < width * 0.35)
        fill(shoulders, (60, 60, 70))
    hair = oval.mean(axis=0) + (oval - oval.mean(axis=0)) * 1.15 - [0, height * 0.03]
    fill(regions.polygon_mask(hair, height, width), (50, 35, 25))
    fill(regions.polygon_mask(oval, height, width), (205, 160, 135))
    for eye in (lm.RIGHT_EYE, lm.LEFT_EYE):
        fill(regions.polygon_mask(pixels[list(eye)], height, width), (245, 245, 245))
    fill(regions.polygon_mask(pixels[list(lm.LIPS_OUTER)], height, width), (170, 70, 70))
    fill(regions.polygon_mask(pixels[list(lm.LIPS_INNER)], height, width), (30, 10, 10))
    return picture, person


def write_made_dataset(folder: Path, speaker: MadeSpeaker | None = None) -> Path:
    """Draw every clip and write the dataset."""
    speaker = speaker or MadeSpeaker()
    folder.mkdir(parents=True)
    splits = ["train"] * speaker.train_clips + ["test"] * speaker.test_clips
    entries = []
    for index, split in enumerate(splits):
        clip = made_clip(speaker, f"clip{index}", split, speaker.seed + index)
        write_clip(folder, clip)
        entries.append(clip.entry)
    size = speaker.size_px
    manifest = DatasetManifest(
        format_version=FORMAT_VERSION,
        size_px=size,
        focal_px=2.2 * size,
        fps=FPS,
        audio_rate_hz=AUDIO_RATE_HZ,
        blendshape_names=BLENDSHAPE_NAMES,
        tracker="exact",
        backdrop="chroma",
        torso_pivot_px=(size / 2, size * 0.9),
        torso_depth_m=DEPTH_M + 0.02,
        reference_clip="clip0",
        reference_frame=0,
        clips=tuple(entries),
    )
    write_manifest(folder, manifest, face_points_m(0.1, 0.0))
    return folder
