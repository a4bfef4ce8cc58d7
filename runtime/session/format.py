"""What a session's files hold: the layout, the fields of each line, and the numbers both ends agree on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from gstalker.kernels.camera import Camera
from gstalker.kernels.quantise import BYTES_PER_MOVER, QuantisationBox

FORMAT_VERSION = 1
PAYLOADS = ("q16", "f32")
PICTURES = "pictures"
POSE_NUMBERS = 12
F32_COLUMNS = {"means": 3, "quats_wxyz": 4, "scales": 3, "opacities": 1}
PAYLOAD_BYTES_PER_MOVER = {"q16": BYTES_PER_MOVER, "f32": 4 * sum(F32_COLUMNS.values())}


@dataclass(frozen=True)
class CameraFields:
    """A camera in JSON: viewmat is camera_from_avatar, (4, 4); K is (3, 3), px."""

    viewmat: tuple[tuple[float, ...], ...]
    K: tuple[tuple[float, ...], ...]
    width_px: int
    height_px: int

    @classmethod
    def of(cls, camera: Camera) -> CameraFields:
        return cls(
            viewmat=tuple(tuple(map(float, row)) for row in camera.viewmat),
            K=tuple(tuple(map(float, row)) for row in camera.K),
            width_px=int(camera.width_px),
            height_px=int(camera.height_px),
        )

    def camera(self) -> Camera:
        """Raises ValueError where the matrices are not (4, 4) and (3, 3)."""
        return Camera(np.array(self.viewmat), np.array(self.K), self.width_px, self.height_px)


@dataclass(frozen=True)
class BoxFields:
    """The ranges that the 16-byte codes divide (kernels.quantise.QuantisationBox)."""

    position_min_m: tuple[float, ...]
    position_max_m: tuple[float, ...]
    log_scale_min: float
    log_scale_max: float

    @classmethod
    def of(cls, box: QuantisationBox) -> BoxFields:
        return cls(**dataclasses.asdict(box))

    def box(self) -> QuantisationBox:
        """Raises ValueError where a minimum is not below its maximum."""
        return QuantisationBox(
            position_min_m=self.position_min_m,  # type: ignore[arg-type]  # its own check counts them
            position_max_m=self.position_max_m,  # type: ignore[arg-type]
            log_scale_min=self.log_scale_min,
            log_scale_max=self.log_scale_max,
        )


@dataclass(frozen=True)
class SessionInfo:
    """`session.json`: the avatar and how it was served, as the server's welcome said it."""

    format_version: int
    avatar_name: str
    bundle_sha256: str
    subject: str
    consent: str
    licence: str
    notice: str
    server_version: str
    wire_version: int
    fps: int
    audio_rate_hz: int
    lead_s: float
    gaussian_count: int
    mover_count: int
    camera: CameraFields
    box: BoxFields


@dataclass(frozen=True)
class FrameEntry:
    """One received frame.

    Attributes:
        payload: "q16" or "f32".
        index, time_s: frame number, and presentation time on the stream clock.
        sent_at_s: the stream clock when the server sent it; received_at_s: the recorder's clock, from 0.
        offset: where its bytes start in the payload's file.
        avatar_from_head, avatar_from_torso: the first three rows of a rigid transform, row by row.
    """

    payload: str
    index: int
    time_s: float
    sent_at_s: float
    received_at_s: float
    offset: int
    avatar_from_head: tuple[float, ...]
    avatar_from_torso: tuple[float, ...]


@dataclass(frozen=True)
class AudioEntry:
    """One received piece of sound; its first sample is number `first_sample` of audio.wav."""

    sequence: int
    speech_id: int
    time_s: float
    sent_at_s: float
    received_at_s: float
    first_sample: int
    sample_count: int


@dataclass(frozen=True)
class SessionEnd:
    """`end.json`: how the recording ended, and what is missing from it."""

    reason: str
    complete: bool  # as long as was asked for, or to the end of the stream
    missing_frames: tuple[int, ...]  # indices of q16 frames that never came
    missing_audio: tuple[int, ...]  # sequence numbers of sound that never came


def rows_from_pose(target_from_source: np.ndarray) -> tuple[float, ...]:
    """The first three rows of a (4, 4) rigid transform as 12 numbers."""
    return tuple(float(v) for v in np.asarray(target_from_source, np.float64)[:3].ravel())


def pose_from_rows(rows: tuple[float, ...]) -> np.ndarray:
    """(4, 4) float64 rigid transform from its first three rows."""
    return np.vstack([np.array(rows, np.float64).reshape(3, 4), [0.0, 0.0, 0.0, 1.0]])
