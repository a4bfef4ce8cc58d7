"""Writes one message of every type, byte for byte, and what it decodes to: what a client in any language must read.

    python tests/golden/make_golden.py

Run it when a wire version is added. The files of a published version never change: clients are tested with them.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gstalker.bridge import schema
from gstalker.bridge.client.served_avatar import ServedAvatar
from gstalker.bridge.codec import encode
from gstalker.kernels.quantise import QuantisationBox, pack_movers

FOLDER = Path(__file__).parent
MOVERS, GAUSSIANS = 3, 5
BOX = QuantisationBox((-0.125, -0.25, -0.0625), (0.125, 0.25, 0.1875), -8.0, -2.0)
# A quarter turn about z and one of 60 degrees about y: every entry's place and sign shows.
HEAD_ROWS = (0.0, -1.0, 0.0, 0.5, 1.0, 0.0, 0.0, -0.25, 0.0, 0.0, 1.0, 0.125)
TORSO_ROWS = (0.5, 0.0, 0.8660254037844386, 0.0, 0.0, 1.0, 0.0, 0.12, -0.8660254037844386, 0.0, 0.5, 0.02)


def clouds() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """means, quats_wxyz, scales, opacities of five Gaussians; none is like another."""
    means = (np.arange(-6, 3 * GAUSSIANS - 6) / 128).reshape(GAUSSIANS, 3).astype(np.float32)
    quats = np.array(
        [[1, 0, 0, 0], [0.5, -0.5, 0.5, 0.5], [0, 0.6, 0, -0.8], [0.1, 0.7, -0.7, 0.1], [0.6, 0, 0.8, 0]], np.float32
    )
    scales = (np.arange(1, 3 * GAUSSIANS + 1) / 256).reshape(GAUSSIANS, 3).astype(np.float32)
    opacities = np.array([1.0, 0.5, 0.0, 0.25, 0.75], np.float32)
    return means, quats, scales, opacities


def messages() -> list[schema.Message]:
    """One of every type."""
    means, quats, scales, opacities = clouds()
    moved = (means[:MOVERS], quats[:MOVERS], scales[:MOVERS], opacities[:MOVERS])
    welcome = schema.Welcome(
        request_id=1,
        server_version="0.1.0",
        server_id="0123456789abcdef",
        session_id=3,
        publication_port=5556,
        avatar_name="golden ü",
        avatar_names=("golden ü", "other"),
        bundle_sha256="ab" * 32,
        subject="nobody",
        consent="not needed",
        licence="Apache-2.0",
        notice="Synthetic.\nTwo lines.",
        fps=25,
        audio_rate_hz=16000,
        lead_s=0.2,
        client_lease_s=5.0,
        can_play=True,
        speech_capacity_s=30.0,
        control_names=("eyeBlinkLeft", "browInnerUp"),
        emotion_names=("joy",),
        has_gaze=False,
        head_pose_low=(-0.5, -0.25, -0.125, -0.0625, -0.03125, -0.015625),
        head_pose_high=(0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625),
        control_count=2,
        gaussian_count=GAUSSIANS,
        mover_count=MOVERS,
        camera_from_avatar=(1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.6),
        K=(8.0, 0.0, 2.0, 0.0, 8.0, 1.5, 0.0, 0.0, 1.0),
        width_px=4,
        height_px=3,
        box_position_min_m=BOX.position_min_m,
        box_position_max_m=BOX.position_max_m,
        box_log_scale_min=BOX.log_scale_min,
        box_log_scale_max=BOX.log_scale_max,
        control_ranges=np.array([[0.0, 1.0], [0.25, 0.75]], np.float32),
        means=means,
        quats_wxyz=quats,
        scales=scales,
        opacities=opacities,
        sh_coeffs=(np.arange(-7, 3 * GAUSSIANS - 7) / 4).reshape(GAUSSIANS, 1, 3).astype(np.float32),
        part_ids=np.array([0, 0, 1, 0, 1], np.uint8),
        plate=np.arange(36, dtype=np.uint8).reshape(3, 4, 3) * 7,
    )
    frame = (3, 9, 7, 0.28, 0.0875, HEAD_ROWS, TORSO_ROWS, MOVERS)
    return [
        schema.Hello(request_id=1, client_name="golden", avatar_name="golden ü", session_id=0, private=True),
        schema.Leave(request_id=2),
        schema.Ping(request_id=3, client_time_s=1234.5),
        schema.Play(request_id=4),
        schema.Stop(request_id=5),
        schema.OpenSpeech(request_id=6, rate_hz=48_000, channel_count=2, interrupt=True),
        schema.PushSpeech(7, 1, 960, 3, 2, np.array([[0, 1], [-1, 32767], [-32768, 256]], "<i2")),
        schema.CloseSpeech(request_id=8, speech_id=1),
        schema.SetExpression(9, 0.25, 2, np.array([0.5, 1.0], np.float32), np.array([1, 0], np.uint8)),
        schema.SetEmotion(request_id=10, emotion_name="joy", strength=0.75, blend_s=0.5),
        schema.SetGaze(request_id=11, held=True, yaw_rad=-0.25, pitch_rad=0.125, blend_s=0.0),
        schema.SetHeadPose(12, True, (0.0, 0.25, -0.125), (0.0, 0.015625, 0.0), 0.25),
        schema.SetIdle(request_id=13, enabled=True, seed=2**32 - 1),
        schema.SetRate(request_id=14, frame_divisor=2),
        schema.GetStats(request_id=schema.MAX_UINT),
        schema.GetSnapshot(request_id=15),
        schema.Resume(16, 5, np.array([0, 1, 2, 254, 255], np.uint8)),
        schema.Shutdown(request_id=17),
        welcome,
        schema.Done(request_id=2),
        schema.Applied(request_id=9, limited=True, detail="browInnerUp: 1 limited to 0.75."),
        schema.Pong(request_id=3, client_time_s=1234.5, stream_time_s=-0.125, running=True),
        schema.SpeechOpened(request_id=6, speech_id=1),
        schema.SpeechState(request_id=7, speech_id=1, received_s=0.02, waiting_s=0.01),
        schema.Stats(
            *(4, 12.5, True, 310, 1, 2, 3, 4, 300, 1.5, 1, 5, 0.5, 4.25, -1.0, 3.5, 7.0),
            *(25.0, "fused", 3, 2, 4, 11, 0.125, "microphone: lost"),
        ),
        schema.Snapshot(15, 5, np.array([0, 1, 2, 254, 255], np.uint8)),
        schema.Refusal(request_id=0, code="busy", reason="expected this, got that.", retry_after_s=2.5),
        schema.FrameQ16(*frame, pack_movers(*moved, BOX)),
        schema.FrameF32(*frame, *moved),
        schema.Audio(99_999, 5, 1, 0.28, 0.08, 6, np.array([0, 1, -1, 32767, -32768, 256], "<i2")),
        schema.SpeechEnd(session_id=3, sequence=0, speech_id=1, time_s=0.52, cut=True),
        schema.StreamEnd(session_id=3, sequence=0, frame_count=13, time_s=0.52),
    ]


def bad_messages() -> dict[str, tuple[bytes, str]]:
    """Name -> bytes that every client must refuse, and words of the reason."""
    frame = next(m for m in messages() if isinstance(m, schema.FrameF32))
    good = bytes(encode(frame))
    nan = np.array([[np.nan, 0, 0]], "<f4").tobytes()[:4]
    stretched = good.replace(struct.pack(">d", HEAD_ROWS[1]), struct.pack(">d", 2 * HEAD_ROWS[1]), 1)
    return {
        "bad_version": (good[:20] + b"\x63\0" + good[22:], f"wire version: expected {schema.WIRE_VERSION}, got 99"),
        "bad_magic": (good[:16] + b"GSTX" + good[20:], "expected the magic"),
        "bad_topic": (b"frame/f33" + good[9:], "expected a topic of"),
        "bad_session": (b"frame/f32@4" + good[11:], "expected the topic of session 3"),
        "bad_reserved": (good[:22] + b"\x01\0" + good[24:], "expected zero at byte 22"),
        "bad_cut_short": (good[:-4], "bytes from a header of"),
        "bad_too_long": (good + b"\0" * 16, "bytes from a header of"),
        "bad_nan": (good[:-4] + nan, "expected finite values"),
        "bad_pose": (stretched, "rows of a rigid transform"),
    }


def as_json(message: schema.Message) -> dict[str, Any]:
    """The message's topic and fields, arrays as nested lists."""
    values = {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in vars(message).items()}
    fields: dict[str, Any] = {"topic": message.TOPIC, "fields": values}
    if isinstance(message, schema.FrameQ16):
        avatar = ServedAvatar.from_welcome(next(m for m in messages() if isinstance(m, schema.Welcome)))
        frame = avatar.frame(message)
        # With the box of welcome_v1; float32 in another order of operations may differ in the last digit.
        fields["decoded"] = {n: getattr(frame, n).tolist() for n in ("means", "quats_wxyz", "scales", "opacities")}
    return fields


def golden_files() -> dict[str, bytes]:
    """Name -> content of every file."""
    files: dict[str, bytes] = {}
    for message in messages():
        name = f"{message.TOPIC.replace('/', '_')}_v{schema.WIRE_VERSION}"
        files[f"{name}.bin"] = bytes(encode(message))
        files[f"{name}.json"] = (json.dumps(as_json(message), indent=1) + "\n").encode()
    for name, (data, _) in bad_messages().items():
        files[f"{name}.bin"] = data
    return files


def main() -> int:
    """Write the files."""
    for name, data in golden_files().items():
        (FOLDER / name).write_bytes(data)
    print(f"wrote {len(golden_files())} files to {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
