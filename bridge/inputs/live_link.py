"""Live Link Face, the phone app that sends ARKit's face weights and head turns over UDP.

One datagram, all numbers big-endian, nothing before, between or behind:

    uint8     version, 6
    int32     D, 1 to 255;   D bytes    device id, UTF-8 (a UUID: 36 characters)
    int32     S, 1 to 255;   S bytes    subject name, UTF-8
    int32     frame number;  float32    part of a frame
    int32     frame rate, numerator;    int32  denominator
    uint8     61, or 0 (and nothing behind) while no face is seen
    61 x float32: 52 weights 0..1, then yaw, pitch, roll of head, left eye, right eye, each a half turn for 1

Source: the senders of Unreal's plugin AppleARKitFaceSupport (packet version 6), as programs that receive them have it.
"""

from __future__ import annotations

import math
import struct

import numpy as np
from scipy.spatial.transform import Rotation

from gstalker.bridge.inputs.live_face import FaceState, turned_about_the_neck
from gstalker.bridge.inputs.udp_face import UdpFace

PORT = 11111
VERSION = 6
VALUE_COUNT = 61
MAX_TEXT_BYTES = 255
_LARGEST_WEIGHT = 4.0  # ARKit's stay within 0..1, give or take what calibration in the app adds
# Positive yaw turns the face to the person's right, positive pitch up, positive roll towards its right shoulder, all
# for a picture that is not mirrored; in avatar axes (y down, z into the head) those are turns of these signs.
_SIGNS_YXZ = np.array([1.0, -1.0, -1.0])

# In the order of the datagram.
WEIGHT_NAMES = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel",
    "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft",
    "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip


def parse_live_link(data: bytes) -> FaceState | None:
    """A datagram's face; None where the phone sees none.

    Raises:
        ValueError: not exactly a datagram of this version.
    """
    if not data or data[0] != VERSION:
        raise ValueError(f"expected version {VERSION} of Live Link Face, got {data[0] if data else 'nothing'}")
    at = _behind_text(data, 1, "device id")
    at = _behind_text(data, at, "subject name")
    if len(data) < at + 17:
        raise ValueError(f"expected a frame time and a count, got {len(data) - at} bytes")
    _, part, numerator, denominator, count = struct.unpack_from(">ifiiB", data, at)
    if not math.isfinite(part) or numerator <= 0 or denominator <= 0:
        raise ValueError("expected a frame time and a frame rate above 0, got others")
    if count == 0 and len(data) == at + 17:
        return None
    if count != VALUE_COUNT or len(data) != at + 17 + 4 * VALUE_COUNT:
        raise ValueError(f"expected {VALUE_COUNT} values and no more, got {count} in {len(data) - at - 17} bytes")
    values = struct.unpack_from(f">{VALUE_COUNT}f", data, at + 17)
    weights, turns = values[: len(WEIGHT_NAMES)], values[len(WEIGHT_NAMES) :]
    if not all(0.0 - 1e-3 <= w <= _LARGEST_WEIGHT for w in weights):
        raise ValueError("expected weights of 0 to 1, got others")
    if not all(-1.0 <= t <= 1.0 for t in turns):
        raise ValueError("expected turns of -1 to 1, got others")
    rotation = Rotation.from_euler("YXZ", math.pi * np.array(turns[:3]) * _SIGNS_YXZ).as_matrix()
    clipped = {name: min(max(w, 0.0), 1.0) for name, w in zip(WEIGHT_NAMES, weights, strict=True)}
    return FaceState(clipped, turned_about_the_neck(rotation))


def listen_for_live_link(host: str = "127.0.0.1", port: int = PORT, sender: str | None = None) -> UdpFace:
    """Listen for a phone; its address is needed where `host` is not this machine alone.

    Raises:
        InputError: see `UdpFace`.
    """
    return UdpFace("Live Link Face", host, port, parse_live_link, sender=sender)


def _behind_text(data: bytes, at: int, what: str) -> int:
    """Where a text with its length in front of it ends."""
    if len(data) < at + 4:
        raise ValueError(f"{what}: expected its length, the datagram ends")
    (length,) = struct.unpack_from(">i", data, at)
    if not 1 <= length <= MAX_TEXT_BYTES or len(data) < at + 4 + length:
        raise ValueError(f"{what}: expected 1 to {MAX_TEXT_BYTES} bytes, got {length}")
    data[at + 4 : at + 4 + length].decode("utf-8")  # UnicodeDecodeError is a ValueError
    return at + 4 + length
