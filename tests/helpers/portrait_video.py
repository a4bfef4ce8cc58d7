"""Small portrait videos with known content, and a stand-in for the face tracker that reads them.

The backdrop is a blue ramp, the face one ellipse of skin, the clothes a textured grey block: the only skin in
the picture is the face, so the stand-in finds it by colour.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from gstalker.runtime import landmarks as lm
from gstalker.runtime.dataset import LANDMARKS
from gstalker.runtime.prepare.face import BLENDSHAPE_NAMES, FaceTrack

WIDTH_PX, HEIGHT_PX = 160, 128
SKIN = (224, 172, 105)
SOUND_RATE_HZ = 48_000
FACE_HALF_PX = (22.0, 29.0)  # half width and half height of the face


@dataclass(frozen=True)
class Drawing:
    """Where things are in one picture, px."""

    face_px: tuple[float, float] = (80.0, 56.0)
    torso_px: tuple[float, float] = (0.0, 0.0)
    second_face_px: tuple[float, float] | None = None
    face: bool = True
    backdrop: str = "blue"


def draw(drawing: Drawing = Drawing(), width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX) -> np.ndarray:
    """(H, W, 3) uint8 picture."""
    picture = backdrop(drawing.backdrop, width_px, height_px)
    dx, dy = drawing.torso_px
    rows, columns = np.mgrid[0:height_px, 0:width_px]
    texture = 100 + 40 * np.sin((columns - dx) / 4.0) * np.cos((rows - dy) / 3.0)
    block = (np.abs(columns - 80 - dx) < 55) & (rows > 100 + dy)
    picture[block] = np.stack([texture, texture * 0.95, texture * 0.9], axis=-1)[block].astype(np.uint8)
    for centre in (drawing.face_px, drawing.second_face_px):
        if centre is not None and drawing.face:
            at = (round(centre[0] * 16), round(centre[1] * 16))
            axes = (round(FACE_HALF_PX[0] * 16), round(FACE_HALF_PX[1] * 16))
            cv2.ellipse(picture, at, axes, 0.0, 0.0, 360.0, SKIN, -1, cv2.LINE_AA, 4)
    return picture


def backdrop(kind: str, width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX) -> np.ndarray:
    """(H, W, 3) uint8: "blue" a ramp, "red" another, "bricks" far from plain."""
    rows, columns = np.mgrid[0:height_px, 0:width_px]
    ramp = columns / width_px
    if kind == "bricks":
        bricks = ((rows // 8 + columns // 16) % 2 * 150 + 40).astype(np.uint8)
        return np.stack([bricks, np.roll(bricks, 5, axis=1), bricks // 2], axis=-1)
    colour = {"blue": (30, 110, 210), "red": (200, 40, 30)}[kind]
    return np.stack([c * (0.8 + 0.2 * ramp) for c in colour], axis=-1).astype(np.uint8)


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray],
    rate: Fraction | int = 25,
    sound_s: float | None = None,
    with_sound: bool = True,
    options: dict[str, str] | None = None,
) -> Path:
    """H.264 and AAC; the sound is a 220 Hz tone as long as the pictures, or `sound_s` long."""
    pictures = list(pictures)
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream("libx264", rate=rate, options={"crf": "8", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = width, height, "yuv444p"
        audio = container.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono") if with_sound else None
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        if audio is not None:
            seconds = len(pictures) / float(rate) if sound_s is None else sound_s
            tone = 0.2 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * SOUND_RATE_HZ)) / SOUND_RATE_HZ)
            for first in range(0, len(tone), 1024):
                block = tone[None, first : first + 1024].astype(np.float32)
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="mono")
                frame.sample_rate = SOUND_RATE_HZ
                frame.pts = first
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def turn_header(path: Path, degrees_clockwise: int) -> None:
    """Make an MP4 say that it is to be shown turned, as a phone held upright does (ISO 14496-12, tkhd matrix)."""
    data = bytearray(path.read_bytes())
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees_clockwise]
    matrix = struct.pack(">9i", cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    at = data.index(b"tkhd")  # the first track is the video
    # After the type: version and flags 4, times and id 20 (version 0), reserved 8, layer to volume 8.
    data[at + 44 : at + 80] = matrix
    path.write_bytes(bytes(data))


def face_points(centre_px: tuple[float, float], half_px: tuple[float, float] = FACE_HALF_PX) -> np.ndarray:
    """(478, 3) float32: a face-like shell, its groups where a face has them."""
    rng = np.random.default_rng(seed=5)
    angle, radius = rng.uniform(0, 2 * np.pi, LANDMARKS), 0.9 * np.sqrt(rng.uniform(0, 1, LANDMARKS))
    unit = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)

    def ring(indices: tuple[int, ...], x: float, y: float, half_width: float, half_height: float) -> None:
        turn = 2 * np.pi * np.arange(len(indices)) / len(indices)
        unit[list(indices)] = np.stack([x - half_width * np.cos(turn), y + half_height * np.sin(turn)], 1)

    oval = 2 * np.pi * np.arange(len(lm.FACE_OVAL)) / len(lm.FACE_OVAL)
    unit[list(lm.FACE_OVAL)] = np.stack([np.sin(oval), -np.cos(oval)], axis=-1)
    ring(lm.LIPS_OUTER, 0.0, 0.5, 0.35, 0.12)
    ring(lm.LIPS_INNER, 0.0, 0.5, 0.30, 0.06)
    ring(lm.RIGHT_EYE, -0.42, -0.2, 0.18, 0.07)
    ring(lm.LEFT_EYE, 0.42, -0.2, -0.18, 0.07)
    unit[13], unit[14] = (0.0, 0.46), (0.0, 0.54)
    unit[159], unit[145], unit[386], unit[374] = (-0.42, -0.26), (-0.42, -0.14), (0.42, -0.26), (0.42, -0.14)
    depth = -0.8 * np.sqrt(np.maximum(0.0, 1.0 - (unit**2).sum(axis=-1)))
    points = np.concatenate([unit * half_px + centre_px, depth[:, None] * half_px[0]], axis=-1)
    return points.astype(np.float32)


class SkinTracker:
    """Finds the ellipse of skin and lays `face_points` over it."""

    blendshape_names = BLENDSHAPE_NAMES

    def track(self, pictures: Iterable[np.ndarray]) -> FaceTrack:
        found, landmarks, counts = [], [], []
        for picture in pictures:
            skin = (np.abs(picture.astype(int) - SKIN).max(axis=-1) < 40).astype(np.uint8)
            skin = cv2.morphologyEx(skin, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
            count, _, stats, middles = cv2.connectedComponentsWithStats(skin)
            large = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] > 400]
            counts.append(len(large))
            found.append(bool(large))
            if large:
                best = min(large, key=lambda i: stats[i, cv2.CC_STAT_LEFT])  # of several always the same
                half = (stats[best, cv2.CC_STAT_WIDTH] / 2, stats[best, cv2.CC_STAT_HEIGHT] / 2)
                landmarks.append(face_points(tuple(middles[best] + 0.5), half))
            else:
                landmarks.append(np.full((LANDMARKS, 3), np.nan, np.float32))
        blend = np.where(np.array(found)[:, None], np.float32(0.1), np.float32(np.nan))
        return FaceTrack(
            np.array(found), np.stack(landmarks), np.repeat(blend, len(BLENDSHAPE_NAMES), axis=1), np.array(counts)
        )
