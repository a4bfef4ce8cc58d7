"""What a bundle says of its avatar, as a welcome, the same in every session."""

from __future__ import annotations

from importlib import metadata

import numpy as np

from gstalker.bridge import schema
from gstalker.runtime.audio import SAMPLE_RATE_HZ
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.session import rows_from_pose


def welcome_of_bundle(bundle: AvatarBundle) -> schema.Welcome:
    """The welcome as far as the bundle alone gives it; what a session gives is empty, or as small as it may be."""
    manifest, canonical, camera, box = bundle.manifest, bundle.canonical, bundle.camera, bundle.quantisation_box
    return schema.Welcome(
        request_id=0,
        server_version=metadata.version("gstalker"),
        server_id="",
        session_id=0,
        publication_port=1,
        avatar_name=manifest.name,
        avatar_names=(manifest.name,),
        bundle_sha256=bundle.manifest_sha256,
        subject=manifest.likeness.subject,
        consent=manifest.likeness.consent,
        licence=manifest.likeness.licence,
        notice=manifest.likeness.notice,
        fps=manifest.frame_rate_hz,
        audio_rate_hz=SAMPLE_RATE_HZ,
        lead_s=0.0,
        client_lease_s=60.0,
        can_play=False,
        speech_capacity_s=0.0,
        control_names=tuple(c.name for c in manifest.controls),
        emotion_names=(),
        has_gaze=False,
        head_pose_low=manifest.head_pose_range.low,
        head_pose_high=manifest.head_pose_range.high,
        control_count=len(manifest.controls),
        gaussian_count=len(canonical),
        mover_count=manifest.counts.movers,
        camera_from_avatar=rows_from_pose(camera.viewmat),
        K=tuple(float(v) for v in camera.K.ravel()),
        width_px=camera.width_px,
        height_px=camera.height_px,
        box_position_min_m=box.position_min_m,
        box_position_max_m=box.position_max_m,
        box_log_scale_min=box.log_scale_min,
        box_log_scale_max=box.log_scale_max,
        control_ranges=np.array([(c.low, c.high) for c in manifest.controls], np.float32).reshape(-1, 2),
        means=canonical.means,
        quats_wxyz=canonical.quats_wxyz,
        scales=canonical.scales,
        opacities=canonical.opacities,
        sh_coeffs=canonical.sh_coeffs,
        part_ids=bundle.part_ids,
        plate=bundle.plate_rgb,
    )
