"""Do the parts of a bundle fit each other and its manifest? Asked on writing and on reading alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gstalker.kernels.frame import PART_HEAD, PART_TORSO
from gstalker.runtime.errors import InputError
from gstalker.runtime.graph_check import check_graph

if TYPE_CHECKING:
    from gstalker.runtime.bundle import AvatarBundle


def check_contents(bundle: AvatarBundle, where: str) -> None:
    """Refuse parts of a bundle that do not fit each other or the manifest.

    Raises:
        InputError: naming the first such part, with the shape expected and the shape found.
    """
    counts, sizes = bundle.manifest.counts, bundle.manifest.sizes
    window = (bundle.manifest.audio.window_mel_frames, bundle.manifest.audio.log_mel.mel_bands)
    frames, rows = len(bundle.idle), len(bundle.golden.mel_window)
    size_px = bundle.manifest.camera.size_px
    expected: dict[str, tuple[np.ndarray, tuple[int, ...]]] = {
        "canonical": (bundle.canonical.means, (counts.gaussians, 3)),
        "part_ids": (bundle.part_ids, (counts.gaussians,)),
        "first_layer": (bundle.first_layer, (counts.head_movers, sizes.hidden)),
        "gates": (bundle.gates, (counts.head_movers, 2)),
        "torso_first_layer": (bundle.torso_first_layer, (counts.torso_movers, sizes.torso_hidden)),
        "idle_avatar_from_head": (bundle.idle.avatar_from_head, (frames, 4, 4)),
        "idle_expression": (bundle.idle.expression, (frames, sizes.expression)),
        "idle_avatar_from_torso": (bundle.idle.avatar_from_torso, (frames, 4, 4)),
        "golden mel_window": (bundle.golden.mel_window, (rows, *window)),
        "golden expression": (bundle.golden.expression, (rows, sizes.expression)),
        "golden head_pose": (bundle.golden.head_pose, (rows, 6)),
        "golden audio_code": (bundle.golden.audio_code, (rows, sizes.audio_code)),
        "golden deltas": (bundle.golden.deltas, (rows, counts.head_movers, 11)),
        "golden torso_rigid": (bundle.golden.torso_rigid, (rows, 3)),
        "golden torso_deltas": (bundle.golden.torso_deltas, (rows, counts.torso_movers, 3)),
        "plate": (bundle.plate_rgb, (size_px, size_px, 3)),
    }
    for name, (array, shape) in expected.items():
        dtype = np.uint8 if name in ("part_ids", "plate") else np.float32
        if array.shape != shape or array.dtype != dtype:
            raise InputError(
                f"{where}: {name}: expected {np.dtype(dtype)} of shape {shape} as avatar.json says, got "
                f"{array.dtype} of shape {array.shape}. Export the avatar again."
            )
        if not np.isfinite(array).all():
            raise InputError(f"{where}: {name}: expected finite values, got NaN or infinity. Export again.")
    if frames < 1 or rows < 1:
        raise InputError(f"{where}: expected at least one idle frame and one golden row, got {frames} and {rows}.")
    _check_parts(bundle, where)
    for name in ("avatar_from_head", "avatar_from_torso"):
        poses = getattr(bundle.idle, name).astype(np.float64)
        turned = poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1)
        # 1e-3: far beyond the 3e-7 of float32, far below what would show
        if np.abs(turned - np.eye(3)).max() > 1e-3 or np.abs(poses[:, 3] - [0, 0, 0, 1]).max() > 0:
            raise InputError(f"{where}: idle_{name}: expected rigid transforms, got others. Export again.")
    _check_graphs(bundle, where)


def _check_parts(bundle: AvatarBundle, where: str) -> None:
    head, torso = bundle.manifest.counts.head_movers, bundle.manifest.counts.torso_movers
    parts = bundle.part_ids
    known = np.isin(parts, (PART_HEAD, PART_TORSO)).all()
    if not known or (parts[:head] != PART_HEAD).any() or (parts[head : head + torso] != PART_TORSO).any():
        raise InputError(
            f"{where}: part_ids: expected {head} head movers (0), then {torso} torso movers (1), then the rest, "
            "got another order. Export the avatar again."
        )


def _check_graphs(bundle: AvatarBundle, where: str) -> None:
    counts, sizes, front = bundle.manifest.counts, bundle.manifest.sizes, bundle.manifest.audio
    expected = {
        "audio": (
            {"mel_window": (-1, front.window_mel_frames, front.log_mel.mel_bands)},
            {"audio_code": (-1, sizes.audio_code)},
        ),
        "deform": (
            {
                "audio_code": (1, sizes.audio_code),
                "expression": (1, sizes.expression),
                "first_layer": (counts.head_movers, sizes.hidden),
                "gates": (counts.head_movers, 2),
            },
            {"deltas": (counts.head_movers, 11)},
        ),
        "torso": (
            {"head_pose": (1, 6), "torso_first_layer": (counts.torso_movers, sizes.torso_hidden)},
            {"torso_rigid": (1, 3), "torso_deltas": (counts.torso_movers, 3)},
        ),
    }
    for name, (inputs, outputs) in expected.items():
        ends = check_graph(bundle.graphs[name], f"{where}/{name}.onnx")
        if ends.inputs != inputs or ends.outputs != outputs:
            raise InputError(
                f"{where}/{name}.onnx: expected {inputs} -> {outputs}, got {ends.inputs} -> {ends.outputs}. "
                "Export the avatar again."
            )
