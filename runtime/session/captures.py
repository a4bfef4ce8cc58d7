"""Pictures of single frames as some client or engine drew them, to be compared with the reference.

A capture is two files in one folder: NAME.png, 8-bit RGB in display space with the background drawn in, and NAME.json:

    {"format_version": 1, "frame_index": 123, "drawn_by": "who", "background_rgb": [],
     "camera": {"viewmat": [[4 numbers] * 4], "K": [[3 numbers] * 3], "width_px": 256, "height_px": 256}}

with viewmat = camera_from_avatar in the axes of docs/conventions.md, whatever axes the engine has. background_rgb is
the one colour (0..1) behind the avatar, or empty for the session's plate, which fits only the session's own camera.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gstalker.kernels.camera import Camera
from gstalker.runtime.errors import InputError
from gstalker.runtime.session.format import CameraFields
from gstalker.runtime.strict_json import parse_json, read_as

FORMAT_VERSION = 1


@dataclass(frozen=True)
class CaptureFields:
    """The JSON beside a picture."""

    format_version: int
    frame_index: int
    drawn_by: str
    background_rgb: tuple[float, ...]
    camera: CameraFields


@dataclass(frozen=True)
class Capture:
    """One captured picture.

    Attributes:
        rgb: (H, W, 3) float64 in 0..1.
        background_rgb: three numbers, or none for the session's plate.
    """

    name: str
    frame_index: int
    drawn_by: str
    background_rgb: tuple[float, ...]
    camera: Camera
    rgb: np.ndarray


def to_uint8(rgb: np.ndarray) -> np.ndarray:
    """A picture in 0..1 as 8 bits, clipped and rounded."""
    return np.round(np.clip(rgb, 0.0, 1.0) * 255).astype(np.uint8)


def write_capture(
    folder: Path,
    frame_index: int,
    camera: Camera,
    rgb: np.ndarray,
    drawn_by: str,
    background_rgb: tuple[float, ...] = (),
) -> Path:
    """Write one picture (H, W, 3) in 0..1, before one colour or the session's plate, and its JSON; the PNG's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"frame_{frame_index:06d}.png"
    Image.fromarray(to_uint8(rgb)).save(path)
    fields = CaptureFields(FORMAT_VERSION, frame_index, drawn_by, background_rgb, CameraFields.of(camera))
    path.with_suffix(".json").write_text(json.dumps(dataclasses.asdict(fields), indent=1) + "\n", encoding="utf-8")
    return path


def read_captures(folder: Path) -> list[Capture]:
    """All captures of a folder, by frame and name.

    Raises:
        InputError: no picture there, one without its JSON, or one that does not fit it.
    """
    paths = sorted(Path(folder).glob("*.png")) if Path(folder).is_dir() else []
    if not paths:
        raise InputError(f"{folder}: expected a folder of captured pictures NAME.png, found none.")
    return sorted((_read_capture(p) for p in paths), key=lambda c: (c.frame_index, c.name))


def _read_capture(path: Path) -> Capture:
    json_path = path.with_suffix(".json")
    if not json_path.is_file():
        raise InputError(f"{path}: expected {json_path.name} beside it with the frame and camera, found none.")
    value = parse_json(json_path.read_bytes(), str(json_path), "a captured picture")
    fields = read_as(CaptureFields, value, str(json_path))
    if fields.format_version != FORMAT_VERSION:
        raise InputError(
            f"{json_path}: expected capture format {FORMAT_VERSION}, got {fields.format_version}. Capture it again."
        )
    try:
        camera = fields.camera.camera()
    except ValueError as error:
        raise InputError(f"{json_path}: {error} Capture it again.") from error
    try:
        with Image.open(path) as picture:
            rgb = np.asarray(picture.convert("RGB")) / 255.0
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: expected a PNG picture, could not read it ({error}).") from error
    if rgb.shape != (camera.height_px, camera.width_px, 3):
        raise InputError(
            f"{path}: expected {camera.width_px} x {camera.height_px} px as {json_path.name} says, got "
            f"{rgb.shape[1]} x {rgb.shape[0]}. Capture it again."
        )
    if len(fields.background_rgb) not in (0, 3):
        raise InputError(
            f"{json_path}: expected background_rgb of three numbers or none, got {len(fields.background_rgb)}."
        )
    return Capture(path.stem, fields.frame_index, fields.drawn_by, fields.background_rgb, camera, rgb)
