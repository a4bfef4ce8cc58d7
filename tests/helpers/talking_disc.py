"""A made-up talker whose picture can be read back exactly, and a stand-in for a face detector that does so.

Only the mouth is darker in green than everything else and only the eyes are brighter, both drawn with exact
coverage down the columns: summing green over the mouth's middle column gives the lip opening, and mixing two
pictures mixes their openings.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gstalker.runtime import landmarks as lm
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
from gstalker.runtime.evaluate.detection import Detection

SIZE_PX = 96
BLENDSHAPES = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight")
GREEN, MOUTH_GREEN, EYE_GREEN = 160, 20, 255
MOUTH_HALF_WIDTH, EYE_HALF_WIDTH = 7.0, 5.0
# From the middle of the mouth.
RIGHT_EYE_AT, LEFT_EYE_AT, HEAD_AT = np.array([-13.0, -16.0]), np.array([13.0, -16.0]), np.array([0.0, -14.0])
OPEN_LIDS = 4.0


def landmarks(centre: np.ndarray, opening: float, lids: float) -> np.ndarray:
    """(478, 2) of a face whose mouth is centred there; NaN outside of the named groups."""
    points = np.full((LANDMARKS, 2), np.nan, np.float32)

    def ring(indices: tuple[int, ...], middle: np.ndarray, half_width: float, half_height: float) -> None:
        turn = 2 * np.pi * np.arange(len(indices)) / len(indices)
        points[list(indices)] = middle + np.stack([-half_width * np.cos(turn), half_height * np.sin(turn)], 1)

    head = centre + HEAD_AT
    for indices, at in ((lm.RIGHT_BROW, (-13, -12)), (lm.LEFT_BROW, (13, -12)), (lm.NOSE, (0, 0))):
        points[list(indices)] = head + at
    points[list(lm.RIGID)] = head
    ring(lm.LIPS_OUTER, centre, MOUTH_HALF_WIDTH + 2, opening / 2 + 2)
    ring(lm.LIPS_INNER, centre, MOUTH_HALF_WIDTH, opening / 2)
    ring(lm.RIGHT_EYE, centre + RIGHT_EYE_AT, EYE_HALF_WIDTH, lids / 2)
    ring(lm.LEFT_EYE, centre + LEFT_EYE_AT, -EYE_HALF_WIDTH, lids / 2)
    points[list(lm.RIGHT_IRIS)] = centre + RIGHT_EYE_AT
    points[list(lm.LEFT_IRIS)] = centre + LEFT_EYE_AT
    turn = 2 * np.pi * np.arange(len(lm.FACE_OVAL)) / len(lm.FACE_OVAL)
    points[list(lm.FACE_OVAL)] = head + np.stack([26 * np.sin(turn), -32 * np.cos(turn)], 1)
    return points


def draw(centre: np.ndarray, opening: float, lids: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture (96, 96, 3) uint8 and its matte."""
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] + 0.5
    head = centre + HEAD_AT
    person = ((x - head[0]) / 28) ** 2 + ((y - head[1]) / 34) ** 2 <= 1
    torso = ~person & (y > 78) & (abs(x - SIZE_PX / 2) < 36)
    picture = plate().astype(np.float64)
    picture[person] = (210, GREEN, 140)
    picture[torso] = (120, GREEN, 90)
    for middle, half_width, height, green in (
        (centre, MOUTH_HALF_WIDTH, opening, MOUTH_GREEN),
        (centre + RIGHT_EYE_AT, EYE_HALF_WIDTH, lids, EYE_GREEN),
        (centre + LEFT_EYE_AT, EYE_HALF_WIDTH, lids, EYE_GREEN),
    ):
        share = 1 - ((x - middle[0]) / half_width) ** 2
        half = height / 2 * np.sqrt(np.maximum(share, 0))
        top, bottom = middle[1] - half, middle[1] + half
        covered = np.clip(np.minimum(y + 0.5, bottom) - np.maximum(y - 0.5, top), 0, 1)
        picture[..., 1] += covered * (green - GREEN)
    return np.round(picture).astype(np.uint8), np.where(person | torso, 255, 0).astype(np.uint8)


def plate() -> np.ndarray:
    """(96, 96, 3) uint8 backdrop."""
    backdrop = np.full((SIZE_PX, SIZE_PX, 3), (60, GREEN, 150), np.uint8)
    backdrop[..., 2] += np.arange(SIZE_PX, dtype=np.uint8)[:, None] // 2
    return backdrop


def speech(seed: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples at 16 kHz and their loudness 0..1 at each frame."""
    rng = np.random.default_rng(seed)
    count = frames * AUDIO_RATE_HZ // FPS
    seconds = np.arange(count) / AUDIO_RATE_HZ
    turns = np.array([[1.3], [2.1], [3.4]]) * seconds + rng.uniform(0, 1, (3, 1))
    swell = np.sin(2 * np.pi * turns).sum(axis=0)
    level = np.clip(swell / 3 + 0.35, 0.0, 1.0)
    samples = 0.5 * level * rng.uniform(-1, 1, count)
    return samples.astype(np.float32), level[:: AUDIO_RATE_HZ // FPS]


def make_clip(name: str, split: str, seed: int, frames: int = 40, *, blink: bool = True, sway: float = 0.0) -> Clip:
    """A clip whose lips open with the loudness and whose eyes close once."""
    samples, level = speech(seed, frames)
    opening = 1.0 + 6.0 * level
    lids = np.full(frames, OPEN_LIDS)
    if blink:
        lids[frames // 2 : frames // 2 + 4] = (2.0, 0.5, 0.5, 2.0)[: frames - frames // 2]
    centres = np.array([48.0, 56.0]) + sway * np.sin(np.arange(frames) / 5.0)[:, None] * [1.0, 0.0]
    drawn = [draw(c, o, e) for c, o, e in zip(centres, opening, lids, strict=True)]
    blinks = 1 - lids / OPEN_LIDS
    tracks = Tracks(
        camera_from_head=np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1)),
        pose_confidence=np.ones(frames, np.float32),
        landmarks_px=np.stack([landmarks(c, o, e) for c, o, e in zip(centres, opening, lids, strict=True)]),
        blendshapes=np.stack([opening / 8, blinks, blinks], 1).astype(np.float32),
        torso_motion=np.zeros((frames, 3), np.float32),
        torso_stretch=np.zeros((frames, 3), np.float32),
    )
    return Clip(
        entry=ClipEntry(name, split, frames, f"{name}.mp4"),
        rgb=np.stack([d[0] for d in drawn]),
        matte=np.stack([d[1] for d in drawn]),
        plate=plate(),
        tracks=tracks,
        samples=samples,
    )


def write_dataset(folder: Path, clips: Iterable[Clip]) -> Path:
    """A dataset of such clips."""
    clips = list(clips)
    for clip in clips:
        write_clip(folder, clip)
    manifest = DatasetManifest(
        format_version=FORMAT_VERSION,
        size_px=SIZE_PX,
        focal_px=200.0,
        fps=FPS,
        audio_rate_hz=AUDIO_RATE_HZ,
        blendshape_names=BLENDSHAPES,
        tracker="exact",
        backdrop="matte",
        torso_pivot_px=(48.0, 88.0),
        torso_depth_m=0.6,
        reference_clip=clips[0].entry.name,
        reference_frame=0,
        clips=tuple(c.entry for c in clips),
    )
    write_manifest(folder, manifest, np.zeros((LANDMARKS, 3), np.float32))
    return folder


class DiscDetector:
    """Reads lips and lids back out of such pictures; sees no face where there is no mouth."""

    name = "disc reader"
    blendshape_names = BLENDSHAPES

    def detect(self, pictures: Iterable[np.ndarray]) -> Detection:
        found = [self._read(p) for p in pictures]
        return Detection(np.stack([f[0] for f in found]), np.stack([f[1] for f in found]))

    @staticmethod
    def _read(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        green = picture[..., 1].astype(np.float64)
        mouth = np.maximum(GREEN - green, 0) / (GREEN - MOUTH_GREEN)
        eyes = np.maximum(green - GREEN, 0) / (EYE_GREEN - GREEN)
        if mouth.sum() < 1:
            return np.full((LANDMARKS, 2), np.nan, np.float32), np.full(len(BLENDSHAPES), np.nan, np.float32)
        y, x = np.mgrid[:SIZE_PX, :SIZE_PX] + 0.5
        centre = np.array([(mouth * x).sum(), (mouth * y).sum()]) / mouth.sum()
        # Area of an ellipse = pi / 4 * width * height; a mixture of pictures has the mean area.
        opening = mouth.sum() / (np.pi / 2 * MOUTH_HALF_WIDTH)
        lids = eyes.sum() / 2 / (np.pi / 2 * EYE_HALF_WIDTH)
        blink = 1 - lids / OPEN_LIDS
        return landmarks(centre, opening, lids), np.array([opening / 8, blink, blink], np.float32)
