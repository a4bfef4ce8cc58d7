"""Gaussians as the PLY that splat programs exchange: binary, logits and logarithms, rot w first.

Source: the vertex layout of Kerbl et al. 2023 (arXiv:2308.04079), as splat viewers read it.
"""

from __future__ import annotations

import numpy as np

from gstalker.kernels.gaussians import Gaussians
from gstalker.runtime.errors import InputError

MAX_HEADER_BYTES = 1 << 16
MAX_LOG_SCALE = 30.0  # e^30 m is no splat; beyond 88 the scale would be infinite
MAX_QUAT_LENGTH = 1e6  # it may be any, but its square must not overflow in float32
MAX_LOGIT = 20.0  # stands for the opacities 0 and 1, whose logits are infinite; off by 2e-9


def property_names(sh_bands: int) -> list[str]:
    """Columns of a cloud with K = sh_bands spherical-harmonics coefficients a channel."""
    rest = [f"f_rest_{i}" for i in range(3 * (sh_bands - 1))]
    ends = ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    return ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *rest, *ends]


def ply_bytes(gaussians: Gaussians) -> bytes:
    """The file's bytes; order is kept, quaternions are normalised."""
    count, bands = gaussians.sh_coeffs.shape[:2]
    quats = gaussians.quats_wxyz / np.linalg.norm(gaussians.quats_wxyz, axis=1, keepdims=True)
    opacities = gaussians.opacities.astype(np.float64)
    with np.errstate(divide="ignore"):
        logits = np.clip(np.log(opacities) - np.log1p(-opacities), -MAX_LOGIT, MAX_LOGIT)
    columns = [
        gaussians.means,
        np.zeros((count, 3)),
        gaussians.sh_coeffs[:, 0],
        gaussians.sh_coeffs[:, 1:].transpose(0, 2, 1).reshape(count, -1),  # channel-major: all red first
        logits[:, None],
        np.log(gaussians.scales.astype(np.float64)),
        quats,
    ]
    names = property_names(bands)
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    header += [f"property float {name}" for name in names] + ["end_header", ""]
    return "\n".join(header).encode("ascii") + np.concatenate(columns, axis=1).astype("<f4").tobytes()


def gaussians_from_ply(data: bytes, where: str, max_count: int) -> Gaussians:
    """Read what `ply_bytes` wrote.

    Raises:
        InputError: another kind of file, a size that disagrees with its header, more than max_count
            Gaussians, or values that are not finite.
    """
    end = data.find(b"end_header\n", 0, MAX_HEADER_BYTES)
    lines = data[:end].decode("ascii", errors="replace").split("\n") if end >= 0 else []
    if len(lines) < 4 or lines[0] != "ply" or lines[1] != "format binary_little_endian 1.0":
        raise InputError(f"{where}: expected a binary little-endian PLY, got something else.")
    names = [line.removeprefix("property float ") for line in lines[3:-1] if not line.startswith("comment ")]
    bands = {len(property_names(k)): k for k in (1, 4, 9, 16)}.get(len(names), 0)
    if not bands or names != property_names(bands):
        raise InputError(f"{where}: expected the columns of a splat cloud, got {' '.join(names)[:120]!r}.")
    words = lines[2].split(" ")
    if words[:2] != ["element", "vertex"] or len(words) != 3 or not words[2].isdecimal() or len(words[2]) > 9:
        raise InputError(f"{where}: expected 'element vertex COUNT', got {lines[2][:80]!r}.")
    count = int(words[2])
    if not 1 <= count <= max_count:
        raise InputError(f"{where}: expected 1 to {max_count} Gaussians, got {count}.")
    body = memoryview(data)[end + len(b"end_header\n") :]
    wanted = 4 * count * len(names)
    if len(body) != wanted:
        raise InputError(f"{where}: expected {wanted} bytes after the header for {count} Gaussians, got {len(body)}.")
    table = np.frombuffer(body, "<f4").reshape(count, len(names)).astype(np.float32)
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
        raise InputError(f"{where}: expected finite values, got NaN or infinity in Gaussian {row}.")
    rest = 9 + 3 * (bands - 1)
    quats = table[:, rest + 4 : rest + 8]
    lengths = np.linalg.norm(quats.astype(np.float64), axis=1)
    if not (lengths > 1e-6).all():
        raise InputError(f"{where}: expected rotations of non-zero length, got one of length 0.")
    if lengths.max() > MAX_QUAT_LENGTH:
        raise InputError(f"{where}: expected rotations of length up to {MAX_QUAT_LENGTH:g}, got {lengths.max():.3g}.")
    log_scales = table[:, rest + 1 : rest + 4].astype(np.float64)
    if np.abs(log_scales).max() > MAX_LOG_SCALE:
        raise InputError(f"{where}: expected log-scales within +/-{MAX_LOG_SCALE}, got {np.abs(log_scales).max():.3g}.")
    higher = table[:, 9:rest].reshape(count, 3, bands - 1).transpose(0, 2, 1)
    with np.errstate(over="ignore"):  # far below zero the opacity is 0, as it should be
        opacities = 1 / (1 + np.exp(-table[:, rest].astype(np.float64)))
    return Gaussians(
        means=table[:, :3].copy(),
        quats_wxyz=quats.copy(),
        scales=np.exp(log_scales).astype(np.float32),
        opacities=opacities.astype(np.float32),
        sh_coeffs=np.concatenate([table[:, None, 6:9], higher], axis=1),
    )
