"""A trained avatar into a bundle: build the graphs, check them against training's own results, write."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gstalker.export.baked_avatar import BakedAvatar
from gstalker.export.onnx_graphs import audio_graph, deform_graph, torso_graph
from gstalker.export.parity import ParityReport, check_parity
from gstalker.kernels.quantise import box_for
from gstalker.runtime.audio import DEFAULT_LOG_MEL
from gstalker.runtime.bundle import GENERATOR, AvatarBundle, write_bundle
from gstalker.runtime.bundle_manifest import (
    CONVENTIONS,
    FORMAT_VERSION,
    AudioFrontEnd,
    BundleCamera,
    BundleManifest,
    Control,
    Counts,
    Likeness,
    PoseRange,
    QuantisationRanges,
    Sizes,
)
from gstalker.runtime.dataset import FPS


def export_avatar(
    avatar: BakedAvatar, likeness: Likeness, path: Path, *, overwrite: bool = False, zipped: bool = False
) -> tuple[AvatarBundle, ParityReport]:
    """Write a bundle if, and only if, its graphs reproduce the trained networks.

    Returns:
        The bundle as it reads back, and how far the graphs are from training's own results.

    Raises:
        ParityError: the graphs differ from the golden rows; nothing was written.
        InputError: parts that do not fit together, or a target that exists or cannot be written.
    """
    bundle = bundle_of(avatar, likeness)
    report = check_parity(bundle)
    return write_bundle(path, bundle, overwrite=overwrite, zipped=zipped), report


def bundle_of(avatar: BakedAvatar, likeness: Likeness) -> AvatarBundle:
    """The bundle in memory, unchecked: writing checks that its parts fit together."""
    box = box_for(avatar.mover_low_m, avatar.mover_high_m, avatar.mover_log_scale_low, avatar.mover_log_scale_high)
    manifest = BundleManifest(
        format_version=FORMAT_VERSION,
        generator=GENERATOR,
        name=avatar.name,
        frame_rate_hz=FPS,
        counts=Counts(
            gaussians=len(avatar.canonical),
            head_movers=avatar.head_mover_count,
            torso_movers=avatar.torso_mover_count,
        ),
        sizes=Sizes(
            audio_code=avatar.deformation.w_audio.shape[0],
            expression=len(avatar.expression_names),
            hidden=avatar.first_layer.shape[1],
            torso_hidden=avatar.torso_first_layer.shape[1],
            sh_degree=avatar.canonical.sh_degree,
        ),
        controls=tuple(
            Control(name=name, low=float(low), high=float(high))
            for name, low, high in zip(
                avatar.expression_names, avatar.expression_low, avatar.expression_high, strict=True
            )
        ),
        audio=AudioFrontEnd(
            log_mel=DEFAULT_LOG_MEL,
            left_mel_frames=avatar.audio.left_mel_frames,
            right_mel_frames=avatar.audio.right_mel_frames,
        ),
        head_pose_range=PoseRange(low=_floats(avatar.head_pose_low), high=_floats(avatar.head_pose_high)),
        camera=BundleCamera(
            focal_px=float(avatar.focal_px),
            size_px=avatar.size_px,
            camera_from_avatar=tuple(_floats(row) for row in avatar.camera_from_avatar),
        ),
        torso_origin_avatar_m=_floats(avatar.torso_origin_avatar_m),
        quantisation=QuantisationRanges(
            position_min_m=box.position_min_m,
            position_max_m=box.position_max_m,
            log_scale_min=box.log_scale_min,
            log_scale_max=box.log_scale_max,
        ),
        likeness=likeness,
        conventions=dict(CONVENTIONS),
        files={},
        seen=avatar.seen,
    )
    return AvatarBundle(
        manifest=manifest,
        canonical=avatar.canonical,
        part_ids=avatar.part_ids,
        first_layer=avatar.first_layer,
        gates=avatar.gates,
        torso_first_layer=avatar.torso_first_layer,
        idle=avatar.idle,
        graphs={
            "audio": audio_graph(avatar.audio, DEFAULT_LOG_MEL.mel_bands),
            "deform": deform_graph(avatar.deformation, avatar.head_mover_count),
            "torso": torso_graph(avatar.torso, avatar.torso_mover_count),
        },
        golden=avatar.golden,
        thumbnail_rgb=avatar.thumbnail_rgb,
        plate_rgb=avatar.plate_rgb,
    )


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
