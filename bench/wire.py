"""What the 16-byte records cost and lose: time to pack, errors of the values and of the picture drawn from them."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gstalker.bench.contenders.made_field import BOX, made_field
from gstalker.kernels import cpu
from gstalker.kernels.camera import Camera, intrinsics
from gstalker.kernels.frame import Frame, assemble
from gstalker.kernels.fused_field import FusedField
from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.quantise import (
    BYTES_PER_MOVER,
    QuantisationBox,
    pack_movers,
    pack_movers_reference,
    unpack_movers,
)
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.errors import InputError
from gstalker.runtime.infer import AvatarRuntime
from gstalker.runtime.metrics import psnr

TARGETS = {
    "bytes_per_mover": "at most 16",
    "pack_ms": "at most 3",
    "times_faster_than_numpy": "at least 4",
    "position_error_m": "at most 1e-5",
    "rotation_error_degrees": "at most 0.3",
    "psnr_db": "at least 55",
}
SIZE_PX = 512
CAMERA_DISTANCE_M = 0.6
BUNDLE_FRAMES = 8  # of the idle stretch, evenly spread
Values = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def run(gaussians: int = 40_000, cycles: int = 15, optional_bundle: Path | None = None) -> dict[str, Any]:
    """Pack, unpack, compare and draw a made head of `gaussians` movers, and a bundle's frames if one is given.

    Args:
        gaussians: movers of the made head.
        cycles: rounds in which the numba kernel and its NumPy twin are timed by turns; medians are given.
        optional_bundle: an avatar whose idle frames are quantised and drawn, too.

    Raises:
        InputError: fewer than one Gaussian or cycle; a bundle that cannot be read.
        RuntimeError: the two ways of packing disagree.
    """
    if gaussians < 1 or cycles < 1:
        raise InputError(f"bench wire: expected gaussians and cycles >= 1, got {gaussians} and {cycles}.")
    values, background = made_head(gaussians), np.full(3, 0.5)
    figures = timing(values, BOX, cycles) | errors(values, BOX)
    clouds = [gaussians_of(v) for v in (values, unpack_movers(pack_movers(*values, BOX), BOX))]
    pictures = [cpu.render(cloud, head_camera(), background).rgb for cloud in clouds]
    figures["psnr_db"] = psnr(*pictures)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "gaussians": gaussians,
        "size_px": SIZE_PX,
        "cycles": cycles,
        "load_average_after": load,
        **figures,
        "targets": TARGETS,
        "reached": reached(figures),
        "bundle": None if optional_bundle is None else of_bundle(optional_bundle),
    }


def reached(figures: dict[str, Any]) -> dict[str, bool]:
    """Which targets are met."""
    return {
        "bytes_per_mover": figures["bytes_per_mover"] <= BYTES_PER_MOVER,
        "pack_ms": figures["pack_ms"] <= 3,
        "times_faster_than_numpy": figures["times_faster_than_numpy"] >= 4,
        "position_error_m": figures["position_error_m"] <= 1e-5,
        "rotation_error_degrees": figures["rotation_error_degrees"] <= 0.3,
        "psnr_db": figures["psnr_db"] >= 55,
    }


def timing(values: Values, box: QuantisationBox, cycles: int) -> dict[str, float]:
    """Median milliseconds of packing in numba and in NumPy, by turns, and of unpacking; one thread.

    Raises:
        RuntimeError: numba and NumPy give different bytes.
    """
    out = np.empty((len(values[0]), BYTES_PER_MOVER), np.uint8)
    packed = pack_movers(*values, box, out).copy()
    if not np.array_equal(packed, pack_movers_reference(*values, box)):
        raise RuntimeError("the two ways of packing disagree: numba and NumPy give different bytes.")
    unpack_movers(packed, box)
    steps: dict[str, Callable[[], object]] = {
        "pack": lambda: pack_movers(*values, box, out),
        "pack_numpy": lambda: pack_movers_reference(*values, box),
        "unpack": lambda: unpack_movers(packed, box),
    }
    times_ms: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(cycles):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            times_ms[name].append(1e3 * (time.perf_counter() - began))
    medians = {name: statistics.median(row) for name, row in times_ms.items()}
    return {
        "bytes_per_mover": packed.nbytes / len(packed),
        "pack_ms": medians["pack"],
        "pack_numpy_ms": medians["pack_numpy"],
        "times_faster_than_numpy": medians["pack_numpy"] / medians["pack"],
        "unpack_ms": medians["unpack"],
    }


def errors(values: Values, box: QuantisationBox) -> dict[str, float]:
    """Worst differences after packing and unpacking: metres between centres, degrees between rotations, and so on."""
    means, quats, scales, opacities = values
    back_means, back_quats, back_scales, back_opacities = unpack_movers(pack_movers(*values, box), box)
    return {
        "position_error_m": float(np.linalg.norm(back_means.astype(np.float64) - means, axis=1).max()),
        "rotation_error_degrees": float(np.degrees(angles_rad(quats, back_quats).max())),
        "scale_error_percent": 100 * float(np.abs(back_scales.astype(np.float64) / scales - 1).max()),
        "opacity_error": float(np.abs(back_opacities.astype(np.float64) - opacities).max()),
    }


def angles_rad(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles (M,) between rotations given as quaternions (M, 4) of any length."""
    a, b = (q / np.linalg.norm(q.astype(np.float64), axis=1, keepdims=True) for q in (a, b))
    b = b * np.where((a * b).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    return 4 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=1) / 2, 0, 1))


def made_head(gaussians: int) -> Values:
    """One frame of the made field: means (M, 3), quaternions, scales, opacities."""
    made = made_field(gaussians)
    movers = made.movers
    means, quats, scales, opacities = (
        np.empty_like(array) for array in (movers.means, movers.quats_wxyz, movers.scales, movers.opacities)
    )
    field = FusedField(movers, made.network, None, BOX)
    field.values(means, quats, scales, opacities, head_drive=made.drive)
    return means, quats, scales, opacities


def gaussians_of(values: Values) -> Gaussians:
    """The values as a cloud of clashing colours: neighbours differ, so that every displaced edge shows."""
    means, quats, scales, opacities = values
    phase = np.arange(len(means))[:, None] * np.array([0.37, 0.73, 1.13])
    colours = 0.5 + 0.4 * np.sin(phase)  # by index, so that both pictures colour alike
    return Gaussians(
        means=means,
        quats_wxyz=quats,
        scales=scales,
        opacities=opacities,
        sh_coeffs=((colours - 0.5) / 0.28209479).astype(np.float32)[:, None],
    )


def head_camera() -> Camera:
    """A portrait of the made head."""
    viewmat = np.eye(4)
    viewmat[2, 3] = CAMERA_DISTANCE_M
    return Camera(viewmat, intrinsics(2.0 * SIZE_PX, SIZE_PX, SIZE_PX), SIZE_PX, SIZE_PX)


def of_bundle(path: Path) -> dict[str, float]:
    """Worst errors and picture over some frames of a bundle, silent, in its own camera before its own backdrop."""
    bundle = AvatarBundle.open(path)
    runtime, box, plate = AvatarRuntime(bundle), bundle.quantisation_box, bundle.plate_rgb.astype(np.float32) / 255
    code, rows = bundle.golden.audio_code[0], []
    for index in np.linspace(0, len(bundle.idle) - 1, BUNDLE_FRAMES).astype(int).tolist():
        controls = runtime.idle_controls(index)
        frame = runtime.frame(
            code, controls.expression, controls.avatar_from_head, index, 0.0, controls.avatar_from_torso
        )
        values = (frame.means, frame.quats_wxyz, frame.scales, frame.opacities)
        sent = Frame(
            index,
            0.0,
            *unpack_movers(pack_movers(*values, box), box),
            avatar_from_head=frame.avatar_from_head,
            avatar_from_torso=frame.avatar_from_torso,
        )
        pictures = [
            cpu.render(assemble(bundle.canonical, bundle.part_ids, f), bundle.camera, plate).rgb for f in (frame, sent)
        ]
        rows.append(errors(values, box) | {"psnr_db": psnr(*pictures)})
    worst = {name: max(row[name] for row in rows) for name in rows[0]}
    return worst | {"movers": bundle.manifest.counts.movers, "psnr_db": min(row["psnr_db"] for row in rows)}
