"""A picture that a browser captured against the reference renderer's of the same frame as sent.

The capture is kept as a session with one frame and one picture, which `gstalker validate` takes as it is.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gstalker.bridge.client.served_avatar import ServedAvatar
from gstalker.bridge.codec import decode_as
from gstalker.bridge.errors import WireError
from gstalker.bridge.record import session_info
from gstalker.bridge.schema import FrameQ16
from gstalker.kernels import reference
from gstalker.kernels.camera import Camera
from gstalker.kernels.rendered_image import RenderedImage
from gstalker.runtime.session import PICTURES, FrameEntry, SessionWriter, pose_from_rows
from gstalker.runtime.session.captures import to_uint8, write_capture

MAX_SIDE_PX = 2048
RULES = {"reference": "gstalker's rules", "engine": "the engine's own rules"}
DRAWN_BY = "gstalker browser client, PlayCanvas 2.23.3, {}"


@dataclass(frozen=True)
class CaptureHeader:
    """What a browser says of a capture before its bytes.

    Attributes:
        camera: of the picture; world is avatar space.
        background_rgb: three numbers in 0..1, or none for the avatar's own backdrop.
        rules: a key of RULES.
        frame_bytes, rgb_bytes: sizes of what follows: the frame/q16 as sent, and the picture, rows from the top.
    """

    camera: Camera
    background_rgb: tuple[float, ...]
    rules: str
    frame_bytes: int
    rgb_bytes: int


@dataclass(frozen=True)
class Compared:
    """What came of it: figures for the page, the reference's picture (H, W, 3) uint8, and where the capture is kept."""

    figures: dict[str, Any]
    reference: np.ndarray
    folder: Path | None


def read_header(text: str) -> CaptureHeader:
    """Read and check the JSON that a browser sends.

    Raises:
        WireError: it is anything else than such a header.
    """
    try:
        fields = json.loads(text)
        given = fields["camera"]
        width, height = int(given["width_px"]), int(given["height_px"])
        viewmat, intrinsics = pose_from_rows(given["viewmat"]), np.array(given["K"], np.float64).reshape(3, 3)
        camera = Camera(viewmat, intrinsics, width, height)
        background = tuple(float(v) for v in fields["background_rgb"])
        header = CaptureHeader(
            camera, background, fields["rules"], int(fields["frame_bytes"]), int(fields["rgb_bytes"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"capture: expected a header with camera, background and sizes, got {error!r}.") from error
    numbers = np.concatenate([viewmat.ravel(), intrinsics.ravel(), np.array(background)])
    sound = np.isfinite(numbers).all() and max(width, height) <= MAX_SIDE_PX and len(background) in (0, 3)
    if not sound or header.rgb_bytes != 3 * width * height or header.rules not in RULES:
        raise WireError(
            f"capture: expected finite numbers, at most {MAX_SIDE_PX} px a side and 3 bytes a pixel, got {width} x "
            f"{height} px with {header.rgb_bytes} bytes."
        )
    return header


def compare(
    avatar: ServedAvatar, header: CaptureHeader, frame_bytes: bytes, rgb: bytes, keep_in: Path | None
) -> Compared:
    """Draw the reference and compare; takes a second for a small picture.

    Args:
        avatar: whose frame it is.
        header: what the browser said.
        frame_bytes: the frame/q16 message as sent.
        rgb: the picture.
        keep_in: folder for the captures; None keeps nothing.

    Raises:
        WireError: the frame is none, or of another avatar.
        ValueError, InputError: the frame cannot be drawn, or the capture not kept.
    """
    message = decode_as(FrameQ16, frame_bytes)
    camera = header.camera
    own = (avatar.camera.width_px, avatar.camera.height_px)
    if not header.background_rgb and (camera.width_px, camera.height_px) != own:
        raise WireError(f"capture: expected {own[0]} x {own[1]} px before the avatar's own backdrop.")
    background = np.array(header.background_rgb) if header.background_rgb else avatar.background
    expected = reference.render(avatar.assemble(avatar.frame(message)), camera, background)
    picture = np.frombuffer(rgb, np.uint8).reshape(camera.height_px, camera.width_px, 3)
    figures = _figures(picture, expected) | {"rules_name": RULES[header.rules]}
    folder = None if keep_in is None else _keep(avatar, header, message, picture, keep_in)
    return Compared(figures, to_uint8(expected.rgb), folder)


def _figures(picture: np.ndarray, expected: RenderedImage) -> dict[str, Any]:
    wanted = np.clip(expected.rgb, 0, 1)
    error = picture / 255 - wanted
    off = np.abs(picture.astype(int) - np.round(255 * wanted)).max(axis=-1)
    inside = expected.alpha > 0.5
    return {
        "whole_db": _psnr_db(error),
        "inside_db": _psnr_db(error[inside]) if inside.any() else 0.0,
        "off_by_2_share": float((off > 2).mean()),
        "worst_off": int(off.max()),
    }


def _psnr_db(error: np.ndarray) -> float:
    return float(-10 * np.log10(max(float((error**2).mean()), 1e-12)))


def _keep(avatar: ServedAvatar, header: CaptureHeader, message: FrameQ16, picture: np.ndarray, keep_in: Path) -> Path:
    folder = next(f for n in itertools.count(1) if not (f := keep_in / f"capture_{n:03d}").exists())
    writer = SessionWriter(folder, session_info(avatar), avatar.canonical, avatar.part_ids, avatar.plate)
    entry = FrameEntry(
        payload="q16",
        index=message.index,
        time_s=message.time_s,
        sent_at_s=message.sent_at_s,
        received_at_s=0.0,
        offset=0,
        avatar_from_head=message.avatar_from_head,
        avatar_from_torso=message.avatar_from_torso,
    )
    writer.add_frame(entry, message.movers.tobytes())
    writer.close("one frame, captured in a browser", complete=True)
    drawn_by = DRAWN_BY.format(RULES[header.rules])
    write_capture(
        *(folder / PICTURES, message.index, header.camera, picture / 255, drawn_by),
        background_rgb=header.background_rgb,
    )
    return folder
