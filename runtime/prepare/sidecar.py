"""Exact tracks beside a video: what a maker of synthetic video knows and `prepare` need not measure.

    NAME.mp4                      the video: square, size_px x size_px, 25 fps, with sound
    NAME.tracks.safetensors       the arrays of `Sidecar`, float32; JSON under metadata "gstalker_sidecar"
    NAME.matte.mkv (optional)     FFV1 grey, as many frames as the video: 255 person, 0 backdrop
    NAME.plate.png (optional)     the backdrop without the person, size_px x size_px; used only beside a matte

All arrays speak of the video's own pixels and frames: `prepare` neither crops nor resamples such a video.
Needs no torch, OpenCV or MediaPipe.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from gstalker.runtime.dataset import LANDMARKS, Tracks, write_lossless_video
from gstalker.runtime.errors import InputError
from gstalker.runtime.landmarks import GROUPS

SIDECAR_VERSION = 1
METADATA_KEY = "gstalker_sidecar"


@dataclass(frozen=True)
class Sidecar:
    """The known truth of one video of T frames.

    Attributes:
        tracks: as in a dataset: camera_from_head (T, 4, 4) in metres, pose_confidence (T,) (1 where nothing
            is in doubt), landmarks_px (T, 478, 2) with the groups of `runtime.landmarks` finite and NaN
            elsewhere, blendshapes (T, 52) in 0..1, torso_motion (T, 3) = dx_px, dy_px, angle_rad taking the
            torso from its rest place, the same in every video of one character, torso_stretch (T, 3), may be left
            out where it is not stretched.
        landmarks_head_m: (478, 3) the resting face's landmarks in head space, metres; NaN where unknown, the
            groups of `runtime.landmarks` finite.
        size_px: width and height of the video.
        focal_px: focal length; the principal point is the middle of the picture.
        torso_pivot_px: the point that torso_motion turns about, at the torso's rest place.
        torso_depth_m: distance of the torso plane from the camera.
        blendshape_names: the names of the 52 columns, MediaPipe's order ("_neutral" first).
    """

    tracks: Tracks
    landmarks_head_m: np.ndarray
    size_px: int
    focal_px: float
    torso_pivot_px: tuple[float, float]
    torso_depth_m: float
    blendshape_names: tuple[str, ...]


def tracks_path(video: Path) -> Path:
    """NAME.tracks.safetensors beside NAME.mp4."""
    return video.with_name(f"{video.stem}.tracks.safetensors")


def matte_path(video: Path) -> Path:
    """NAME.matte.mkv beside NAME.mp4."""
    return video.with_name(f"{video.stem}.matte.mkv")


def plate_path(video: Path) -> Path:
    """NAME.plate.png beside NAME.mp4."""
    return video.with_name(f"{video.stem}.plate.png")


def read_plate(path: Path, size_px: int) -> np.ndarray:
    """(size_px, size_px, 3) uint8.

    Raises:
        InputError: not a picture, or of another size.
    """
    try:
        with Image.open(path) as picture:
            plate = np.asarray(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: expected a picture of the backdrop, could not read it ({error}).") from error
    if plate.shape != (size_px, size_px, 3):
        raise InputError(
            f"{path}: expected a backdrop of {size_px} x {size_px} pixels, got {plate.shape[1]} x {plate.shape[0]}. "
            "Make it again with the video, or remove it."
        )
    return plate


def write_sidecar(video: Path, sidecar: Sidecar, matte: np.ndarray | None = None) -> None:
    """Write the truth beside `video` (which need not exist yet).

    Args:
        video: path of the video, NAME.mp4.
        sidecar: what is known of it.
        matte: (T, size_px, size_px) uint8, 255 where the person is, or None: `prepare` then finds it.

    Raises:
        ValueError: an array has another shape, or a value that must be known is not finite.
    """
    _check(sidecar)
    arrays = {f.name: getattr(sidecar.tracks, f.name) for f in dataclasses.fields(Tracks)}
    arrays["landmarks_head_m"] = sidecar.landmarks_head_m
    described = {
        "version": SIDECAR_VERSION,
        "size_px": sidecar.size_px,
        "focal_px": sidecar.focal_px,
        "torso_pivot_px": list(sidecar.torso_pivot_px),
        "torso_depth_m": sidecar.torso_depth_m,
        "blendshape_names": list(sidecar.blendshape_names),
    }
    frames = len(sidecar.tracks.camera_from_head)
    if matte is not None:
        expected = (frames, sidecar.size_px, sidecar.size_px)
        if matte.shape != expected or matte.dtype != np.uint8:
            raise ValueError(f"matte: expected {expected} uint8, got {matte.shape} {matte.dtype}")
        write_lossless_video(matte_path(video), matte, "gray")
    save_file(
        {name: np.ascontiguousarray(a, np.float32) for name, a in arrays.items()},
        tracks_path(video),
        metadata={METADATA_KEY: json.dumps(described)},
    )


def read_sidecar(video: Path) -> Sidecar:
    """Read what `write_sidecar` wrote beside `video`.

    Raises:
        InputError: missing, unreadable, of another version or with arrays that do not fit one another.
    """
    path = tracks_path(video)
    if not path.is_file():
        raise InputError(
            f"{video}: expected {path.name} beside it, found none. "
            "Use --tracker mediapipe for a video without known tracks."
        )
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            described = json.loads(metadata[METADATA_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterator)
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: expected the tracks of a video, could not read them ({error}).") from error
    if described.get("version") != SIDECAR_VERSION:
        raise InputError(
            f"{path}: expected tracks of version {SIDECAR_VERSION}, got {described.get('version')}. "
            "Make the video again with this version of gstalker."
        )
    try:
        landmarks_head_m = arrays.pop("landmarks_head_m")
        sidecar = Sidecar(
            tracks=Tracks.from_arrays(arrays),
            landmarks_head_m=landmarks_head_m,
            size_px=int(described["size_px"]),
            focal_px=float(described["focal_px"]),
            torso_pivot_px=(float(described["torso_pivot_px"][0]), float(described["torso_pivot_px"][1])),
            torso_depth_m=float(described["torso_depth_m"]),
            blendshape_names=tuple(described["blendshape_names"]),
        )
        _check(sidecar)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{path}: expected the tracks of a video, got something else ({error}).") from error
    return sidecar


def _check(sidecar: Sidecar) -> None:
    tracks = sidecar.tracks
    frames = len(tracks.camera_from_head)
    columns = len(sidecar.blendshape_names)
    expected = {
        "camera_from_head": (frames, 4, 4),
        "pose_confidence": (frames,),
        "landmarks_px": (frames, LANDMARKS, 2),
        "blendshapes": (frames, columns),
        "torso_motion": (frames, 3),
        "torso_stretch": (frames, 3),
    }
    for name, shape in expected.items():
        array = getattr(tracks, name)
        if array.shape != shape:
            raise ValueError(f"{name}: expected {shape}, got {array.shape}")
        if name != "landmarks_px" and not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite values, got some that are not")
    if sidecar.landmarks_head_m.shape != (LANDMARKS, 3):
        raise ValueError(f"landmarks_head_m: expected {(LANDMARKS, 3)}, got {sidecar.landmarks_head_m.shape}")
    for name, indices in GROUPS.items():
        if not np.isfinite(tracks.landmarks_px[:, indices]).all():
            raise ValueError(f"landmarks_px: the group '{name}' must be finite in every frame")
        if not np.isfinite(sidecar.landmarks_head_m[list(indices)]).all():
            raise ValueError(f"landmarks_head_m: the group '{name}' must be finite")
