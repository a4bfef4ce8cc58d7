"""The splat cloud that every renderer, file and message here is about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.kernels.camera import rigid_rotation_quat_wxyz


@dataclass(frozen=True)
class Gaussians:
    """N 3D Gaussians in natural values: linear scales, opacities in 0..1 (docs/conventions.md).

    Index i means the same Gaussian everywhere; nothing here drops, clamps or reorders.

    Attributes:
        means: (N, 3) float32 centres, metres.
        quats_wxyz: (N, 4) float32 rotations from local axes, w first, any non-zero length.
        scales: (N, 3) float32 standard deviations along the local axes, metres.
        opacities: (N,) float32 in 0..1.
        sh_coeffs: (N, K, 3) float32 spherical-harmonics colour, K = (degree + 1)^2 in {1, 4, 9, 16};
            colour = 0.5 + sum of coefficient times basis, in display (sRGB-encoded) space.

    Source: Kerbl et al. 2023, arXiv:2308.04079, sec. 4.
    """

    means: np.ndarray
    quats_wxyz: np.ndarray
    scales: np.ndarray
    opacities: np.ndarray
    sh_coeffs: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.means)
        expected = {
            "means": (count, 3),
            "quats_wxyz": (count, 4),
            "scales": (count, 3),
            "opacities": (count,),
        }
        for name, shape in expected.items():
            got = getattr(self, name).shape
            if got != shape:
                raise ValueError(f"Gaussians.{name}: expected shape {shape} for {count} Gaussians, got {got}.")
        got = self.sh_coeffs.shape
        if len(got) != 3 or got[0] != count or got[1] not in (1, 4, 9, 16) or got[2] != 3:
            raise ValueError(f"Gaussians.sh_coeffs: expected shape ({count}, K, 3) with K in 1, 4, 9, 16, got {got}.")

    def __len__(self) -> int:
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics, 0 to 3."""
        return {1: 0, 4: 1, 9: 2, 16: 3}[self.sh_coeffs.shape[1]]

    def transformed(self, target_from_source: np.ndarray) -> Gaussians:
        """Move by a rigid transform, (4, 4). Colour of degree 0 only: higher bands would need rotating too.

        Raises:
            ValueError: the spherical harmonics are of degree 1 or more.
        """
        if self.sh_degree:
            raise ValueError(
                f"Gaussians.transformed: colour of degree {self.sh_degree} cannot be moved rigidly here; "
                "evaluate the colour in the source space first."
            )
        rotation, translation = target_from_source[:3, :3], target_from_source[:3, 3]
        turn_wxyz = rigid_rotation_quat_wxyz(rotation)
        return Gaussians(
            means=(self.means @ rotation.T + translation).astype(self.means.dtype),
            quats_wxyz=multiply_quats_wxyz(turn_wxyz, self.quats_wxyz).astype(self.quats_wxyz.dtype),
            scales=self.scales,
            opacities=self.opacities,
            sh_coeffs=self.sh_coeffs,
        )


def concatenate(clouds: list[Gaussians]) -> Gaussians:
    """Join clouds in the order given; all must have the same colour degree."""
    fields = ("means", "quats_wxyz", "scales", "opacities", "sh_coeffs")
    return Gaussians(**{name: np.concatenate([getattr(c, name) for c in clouds]) for name in fields})


def multiply_quats_wxyz(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Hamilton product, broadcasting over leading axes: the rotation `right`, then the rotation `left`."""
    lw, lx, ly, lz = np.moveaxis(np.asarray(left), -1, 0)
    rw, rx, ry, rz = np.moveaxis(np.asarray(right), -1, 0)
    return np.stack(
        [
            lw * rw - lx * rx - ly * ry - lz * rz,
            lw * rx + lx * rw + ly * rz - lz * ry,
            lw * ry - lx * rz + ly * rw + lz * rx,
            lw * rz + lx * ry - ly * rx + lz * rw,
        ],
        axis=-1,
    )
