"""What a client is told about an avatar when it enters a session."""

from __future__ import annotations

from importlib import metadata

import numpy as np

from gstalker.bridge import schema
from gstalker.bridge.server.loaded_avatar import LoadedAvatar
from gstalker.bridge.server.options import ServeOptions
from gstalker.bridge.server.session import Session
from gstalker.runtime.audio import SAMPLE_RATE_HZ
from gstalker.runtime.session import rows_from_pose


def welcome_of(
    avatar: LoadedAvatar,
    session: Session,
    *,
    request_id: int,
    server_id: str,
    publication_port: int,
    avatar_names: tuple[str, ...],
    options: ServeOptions,
) -> schema.Welcome:
    """The welcome to a session; encoding it raises WireError where the avatar is too large for one message."""
    manifest, canonical, camera = avatar.bundle.manifest, avatar.bundle.canonical, avatar.bundle.camera
    return schema.Welcome(
        request_id=request_id,
        server_version=metadata.version("gstalker"),
        server_id=server_id,
        session_id=session.session_id,
        publication_port=publication_port,
        avatar_name=avatar.name,
        avatar_names=avatar_names,
        bundle_sha256=avatar.bundle.manifest_sha256,
        subject=manifest.likeness.subject,
        consent=manifest.likeness.consent,
        licence=manifest.likeness.licence,
        notice=manifest.likeness.notice,
        fps=avatar.fps,
        audio_rate_hz=SAMPLE_RATE_HZ,
        lead_s=options.session.lead_s,
        client_lease_s=options.limits.client_lease_s,
        can_play=session.recording is not None,
        speech_capacity_s=options.limits.speech_capacity_s,
        control_names=tuple(c.name for c in manifest.controls),
        emotion_names=session.face.emotion_names,
        has_gaze=session.face.has_gaze,
        head_pose_low=manifest.head_pose_range.low,
        head_pose_high=manifest.head_pose_range.high,
        control_count=len(manifest.controls),
        gaussian_count=len(canonical),
        mover_count=avatar.mover_count,
        camera_from_avatar=rows_from_pose(camera.viewmat),
        K=tuple(float(v) for v in camera.K.ravel()),
        width_px=camera.width_px,
        height_px=camera.height_px,
        box_position_min_m=avatar.box.position_min_m,
        box_position_max_m=avatar.box.position_max_m,
        box_log_scale_min=avatar.box.log_scale_min,
        box_log_scale_max=avatar.box.log_scale_max,
        control_ranges=np.array([(c.low, c.high) for c in manifest.controls], np.float32).reshape(-1, 2),
        means=canonical.means,
        quats_wxyz=canonical.quats_wxyz,
        scales=canonical.scales,
        opacities=canonical.opacities,
        sh_coeffs=canonical.sh_coeffs,
        part_ids=avatar.bundle.part_ids,
        plate=avatar.bundle.plate_rgb,
    )
