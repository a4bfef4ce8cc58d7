"""A small session written frame by frame, with no server and no network: for tests of what reads one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gstalker.kernels.camera import Camera, intrinsics
from gstalker.kernels.frame import Frame
from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.quantise import QuantisationBox, pack_movers
from gstalker.runtime.session import (
    FORMAT_VERSION,
    AudioEntry,
    BoxFields,
    CameraFields,
    FrameEntry,
    SessionInfo,
    SessionWriter,
    rows_from_pose,
)

GAUSSIANS, MOVERS, SIZE_PX, FPS, RATE_HZ, LEAD_S = 60, 40, 32, 25, 16_000, 0.2
BOX = QuantisationBox((-0.2, -0.2, -0.2), (0.2, 0.2, 0.2), -7.0, -2.0)
CAMERA = Camera(
    viewmat=np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.6], [0, 0, 0, 1]]),
    K=intrinsics(64.0, SIZE_PX, SIZE_PX),
    width_px=SIZE_PX,
    height_px=SIZE_PX,
)


def cloud() -> tuple[Gaussians, np.ndarray, np.ndarray]:
    """Canonical Gaussians, part ids and a plate; depths far enough apart that no rounding changes their order."""
    rng = np.random.default_rng(5)
    means = rng.uniform(-0.1, 0.1, (GAUSSIANS, 3))
    means[:, 2] = np.linspace(-0.1, 0.1, GAUSSIANS)[rng.permutation(GAUSSIANS)]
    quats = rng.normal(size=(GAUSSIANS, 4))
    canonical = Gaussians(
        means=means.astype(np.float32),
        quats_wxyz=(quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype(np.float32),
        scales=np.exp(rng.uniform(-5.5, -4.0, (GAUSSIANS, 3))).astype(np.float32),
        opacities=rng.uniform(0.3, 0.9, GAUSSIANS).astype(np.float32),
        sh_coeffs=rng.normal(size=(GAUSSIANS, 1, 3)).astype(np.float32) * 0.7,
    )
    plate = rng.integers(0, 255, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    return canonical, (np.arange(GAUSSIANS) % 5 == 0).astype(np.uint8), plate


def frame(index: int) -> Frame:
    """The movers swaying a little, the head turning."""
    canonical, _, _ = cloud()
    sway = 0.01 * np.sin(index / 3 + np.arange(MOVERS))
    means = canonical.means[:MOVERS].copy()
    means[:, 0] += sway.astype(np.float32)
    angle = 0.05 * np.sin(index / 4)
    head = np.eye(4)
    head[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Frame(
        index=index,
        time_s=index / FPS,
        means=means,
        quats_wxyz=canonical.quats_wxyz[:MOVERS],
        scales=canonical.scales[:MOVERS],
        opacities=canonical.opacities[:MOVERS],
        avatar_from_head=head,
        avatar_from_torso=np.eye(4),
    )


def info() -> SessionInfo:
    return SessionInfo(
        format_version=FORMAT_VERSION,
        avatar_name="made",
        bundle_sha256="00" * 32,
        subject="nobody",
        consent="not needed",
        licence="Apache-2.0",
        notice="Synthetic.",
        server_version="0.0",
        wire_version=1,
        fps=FPS,
        audio_rate_hz=RATE_HZ,
        lead_s=LEAD_S,
        gaussian_count=GAUSSIANS,
        mover_count=MOVERS,
        camera=CameraFields.of(CAMERA),
        box=BoxFields.of(BOX),
    )


def frame_entry(payload: str, made: Frame, received_at_s: float | None = None) -> FrameEntry:
    """The line of a frame that left and came in time."""
    return FrameEntry(
        payload=payload,
        index=made.index,
        time_s=made.time_s,
        sent_at_s=made.time_s - LEAD_S,
        received_at_s=made.time_s + 0.001 if received_at_s is None else received_at_s,
        offset=0,
        avatar_from_head=rows_from_pose(made.avatar_from_head),
        avatar_from_torso=rows_from_pose(made.avatar_from_torso),
    )


def q16_bytes(made: Frame) -> bytes:
    return pack_movers(made.means, made.quats_wxyz, made.scales, made.opacities, BOX).tobytes()


def f32_bytes(made: Frame) -> bytes:
    return b"".join(a.tobytes() for a in (made.means, made.quats_wxyz, made.scales, made.opacities))


def audio_entry(sequence: int, time_s: float, received_at_s: float | None = None, speech_id: int = 0) -> AudioEntry:
    """The line of 640 samples that left and came in time."""
    received_at_s = time_s + 0.001 if received_at_s is None else received_at_s
    return AudioEntry(sequence, speech_id, time_s, time_s - LEAD_S, received_at_s, 0, 640)


def write_made_session(
    folder: Path, indices: range | list[int] = range(6), *, unquantised: bool = True, sound: bool = True
) -> None:
    """A session of these frames and their sound."""
    writer = SessionWriter(folder, info(), *cloud())
    for number, index in enumerate(indices):
        made = frame(index)
        if sound:
            writer.add_audio(audio_entry(number, made.time_s), np.full(640, index, "<i2"))
        writer.add_frame(frame_entry("q16", made), q16_bytes(made))
        if unquantised:
            writer.add_frame(frame_entry("f32", made), f32_bytes(made))
    writer.close("as long as asked for", complete=True)
