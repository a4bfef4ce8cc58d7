"""Where a point is, as features a small network can learn from: three 2D multi-resolution hash grids.

A point in a box is projected onto the xy, yz and zx planes; on each plane it is looked up in `levels` grids
of growing resolution, blending the four corners of its cell bilinearly, and everything found is joined. The
rules of layout and indexing are those of tiny-cuda-nn's grid encoding, so that `triplane_tinycudann` holds
the same numbers in the same order and gives the same result on a CUDA device:

- level l has the scale s_l = base_resolution * growth^l - 1 and a side of r_l = ceil(s_l) + 1 vertices;
- its table has min(r_l^2 rounded up to a multiple of 8, 2^log2_table_size) entries;
- a coordinate u in 0..1 falls at u * s_l + 0.5; the integer part is the cell, the rest the blending weight;
- vertex (i, j) is entry i + j * r_l of its table, or, when r_l^2 exceeds the table, the spatial hash
  i xor (j * 2654435761) in 32 bits; both modulo the table's size. In the last half cell below the upper
  border, dense levels therefore blend with a vertex of the opposite side: leave a margin in the bounds.

Sources: Müller et al. 2022, arXiv:2201.05989, sec. 3 (grids, hash, initial values); Li et al. 2023,
arXiv:2307.09323 (ER-NeRF), sec. 3.2 (three planes instead of a volume); the grid encoding of
NVlabs/tiny-cuda-nn at 6ee3546 (common_device.h: grid_scale, grid_resolution, grid_index).
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
import torch

from gstalker.kernels.loops import threaded_loop

PLANE_AXES = ((0, 1), (1, 2), (2, 0))
"""Which two axes of the point each plane looks at, in the order of the features: xy, yz, zx."""

_HASH_PRIME = 2654435761
_INITIAL_SPREAD = 1e-4


@dataclass(frozen=True)
class TriPlaneConfig:
    """Sizes of the grids. With three planes, the features number 3 * levels * features_per_level.

    Attributes:
        levels: resolutions on each plane, 1 or more.
        features_per_level: values in a table entry; 1, 2, 4 or 8 (what tiny-cuda-nn has).
        base_resolution, finest_resolution: vertices on a side at the first and at the last level; the levels
            between grow by a constant factor. With one level both must be equal.
        log2_table_size: a level's table holds at most 2^this entries, 3..24; finer levels are hashed.
        bounds_min_m, bounds_max_m: the box that is encoded, metres, in the space of the points.
    """

    levels: int = 3
    features_per_level: int = 4
    base_resolution: int = 16
    finest_resolution: int = 64
    log2_table_size: int = 17
    bounds_min_m: tuple[float, float, float] = (-0.2, -0.2, -0.2)
    bounds_max_m: tuple[float, float, float] = (0.2, 0.2, 0.2)

    def __post_init__(self) -> None:
        if self.levels < 1 or self.features_per_level not in (1, 2, 4, 8):
            raise ValueError(
                f"TriPlaneConfig: expected levels >= 1 and features_per_level in 1, 2, 4, 8, "
                f"got {self.levels} and {self.features_per_level}."
            )
        if not 2 <= self.base_resolution <= self.finest_resolution <= 65535:
            raise ValueError(
                f"TriPlaneConfig: expected 2 <= base_resolution <= finest_resolution <= 65535, "
                f"got {self.base_resolution} and {self.finest_resolution}."
            )
        if self.levels == 1 and self.base_resolution != self.finest_resolution:
            raise ValueError(
                f"TriPlaneConfig: one level has one resolution, "
                f"got {self.base_resolution} and {self.finest_resolution}."
            )
        if not 3 <= self.log2_table_size <= 24:
            raise ValueError(f"TriPlaneConfig: expected log2_table_size in 3..24, got {self.log2_table_size}.")
        low, high = np.asarray(self.bounds_min_m, float), np.asarray(self.bounds_max_m, float)
        shapes_fit = low.shape == high.shape == (3,)
        if not shapes_fit or not (np.isfinite(high - low).all() and (low < high).all()):
            raise ValueError(
                f"TriPlaneConfig: expected bounds_min_m < bounds_max_m on all three axes, "
                f"got {self.bounds_min_m} and {self.bounds_max_m}."
            )

    @property
    def feature_count(self) -> int:
        """Length of the feature vector of a point."""
        return len(PLANE_AXES) * self.levels * self.features_per_level

    @property
    def per_level_scale(self) -> float:
        """Growth of the resolution from level to level, a float32 value.

        Where the growth is no power of two it is taken 2 parts in a million too small: rounding, which
        differs between exp2 implementations, can then never lift the finest level above finest_resolution.
        """
        if self.levels == 1:
            return 1.0
        octaves = np.log2(self.finest_resolution / self.base_resolution) / (self.levels - 1)
        growth = 2.0**octaves
        return float(np.float32(growth if octaves == round(octaves) else growth * (1 - 2e-6)))

    def level_layout(self) -> list[LevelLayout]:
        """Scale, resolution, offset and size of each level's table on one plane."""
        log2_growth = np.log2(np.float32(self.per_level_scale))
        layout, offset = [], 0
        for level in range(self.levels):
            growth = np.exp2(np.float32(level) * log2_growth)
            scale = growth * np.float32(self.base_resolution) - np.float32(1)
            resolution = int(np.ceil(scale)) + 1
            entries = min((resolution**2 + 7) // 8 * 8, 2**self.log2_table_size)
            layout.append(LevelLayout(float(scale), resolution, offset, entries, resolution**2 > entries))
            offset += entries
        return layout

    @property
    def entries_per_plane(self) -> int:
        """Table entries of one plane, all levels."""
        last = self.level_layout()[-1]
        return last.offset + last.entries


class LevelLayout(NamedTuple):
    """One level of one plane: see the rules in the module's head."""

    scale: float
    resolution: int
    offset: int
    entries: int
    hashed: bool


@dataclass(frozen=True)
class Lookup:
    """Which table entries N points blend, and how much of each; valid for every grid of the same config.

    G = 3 * levels groups, in the order of the features.

    Attributes:
        entries: (G, N, 4) int32 rows of the joined table (3 * entries_per_plane, features_per_level).
        weights: (G, N, 4) float32, summing to 1 over the last axis; differentiable by the points on request.
    """

    entries: torch.Tensor
    weights: torch.Tensor


@threaded_loop(cache=True, error_model="numpy")
def _gather(table, entries, weights, out):
    """out (N, G*F) = weighted sums of rows of table (E, F)."""
    groups, count, _ = entries.shape
    features = table.shape[1]
    chunks = 16
    for chunk in numba.prange(chunks):
        for n in range(chunk * count // chunks, (chunk + 1) * count // chunks):
            for g in range(groups):
                e0, e1, e2, e3 = entries[g, n, 0], entries[g, n, 1], entries[g, n, 2], entries[g, n, 3]
                w0, w1, w2, w3 = weights[g, n, 0], weights[g, n, 1], weights[g, n, 2], weights[g, n, 3]
                for f in range(features):
                    out[n, g * features + f] = (
                        w0 * table[e0, f] + w1 * table[e1, f] + w2 * table[e2, f] + w3 * table[e3, f]
                    )


@threaded_loop(cache=True, error_model="numpy")
def _scatter(grad_out, entries, weights, grad_table):
    """Add the gradient by the table. Groups own disjoint rows, so each thread takes whole groups: no atomics,
    and the same sum in the same order whatever the number of threads."""
    groups, count, _ = entries.shape
    features = grad_table.shape[1]
    for g in numba.prange(groups):
        for n in range(count):
            for k in range(4):
                e, w = entries[g, n, k], weights[g, n, k]
                for f in range(features):
                    grad_table[e, f] += w * grad_out[n, g * features + f]


@threaded_loop(cache=True, error_model="numpy")
def _scatter_weights(grad_out, table, entries, grad_weights):
    """grad_weights (G, N, 4): the gradient by the blending weights."""
    groups, count, _ = entries.shape
    features = table.shape[1]
    for g in numba.prange(groups):
        for n in range(count):
            for k in range(4):
                total = np.float32(0)
                for f in range(features):
                    total += table[entries[g, n, k], f] * grad_out[n, g * features + f]
                grad_weights[g, n, k] = total


def _runs_in_numba(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu"


class _Blend(torch.autograd.Function):
    """(E, F) table, (G, N, 4) entries and weights -> (N, G*F); numba on the CPU, torch elsewhere."""

    @staticmethod
    def forward(ctx, table: torch.Tensor, entries: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(table, entries, weights)
        groups, count, _ = entries.shape
        if _runs_in_numba(table):
            out = torch.empty(count, groups * table.shape[1])
            _gather(table.detach().numpy(), entries.numpy(), weights.detach().numpy(), out.numpy())
            return out
        blended = (table[entries.long()] * weights[..., None]).sum(dim=2)
        return blended.permute(1, 0, 2).reshape(count, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx, grad_out: torch.Tensor
    ) -> tuple[torch.Tensor | None, None, torch.Tensor | None]:
        table, entries, weights = ctx.saved_tensors
        groups, count, _ = entries.shape
        want_table, _, want_weights = ctx.needs_input_grad
        grad_table = torch.zeros_like(table) if want_table else None
        grad_weights = None
        if _runs_in_numba(table):
            rows = grad_out.contiguous().numpy()
            if grad_table is not None:
                _scatter(rows, entries.numpy(), weights.detach().numpy(), grad_table.numpy())
            if want_weights:
                grad_weights = torch.empty_like(weights)
                _scatter_weights(rows, table.detach().numpy(), entries.numpy(), grad_weights.numpy())
            return grad_table, None, grad_weights
        per_group = grad_out.reshape(count, groups, -1).permute(1, 0, 2)[:, :, None, :]
        if grad_table is not None:
            updates = (per_group * weights[..., None]).reshape(-1, table.shape[1])
            grad_table.index_add_(0, entries.reshape(-1).long(), updates)
        if want_weights:
            grad_weights = (table[entries.long()] * per_group).sum(dim=-1)
        return grad_table, None, grad_weights


class TriPlane(torch.nn.Module):
    """Features of points: (N, 3) metres -> (N, 3 * levels * features_per_level).

    The features are ordered by plane, then level, then feature. Points outside the bounds get the features of
    the nearest point on the box (each coordinate is clamped); their gradient by a clamped coordinate is zero.

    Attributes:
        tables: parameter (3, entries_per_plane, features_per_level) float32, started uniformly in +-1e-4
            (Müller et al. 2022, sec. 4).
    """

    def __init__(self, config: TriPlaneConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        shape = (len(PLANE_AXES), config.entries_per_plane, config.features_per_level)
        start = (torch.rand(shape, generator=generator) * 2 - 1) * _INITIAL_SPREAD
        self.tables = torch.nn.Parameter(start)
        self._layout = config.level_layout()
        self._remembered: tuple[weakref.ref[torch.Tensor], int, Lookup] | None = None

    @property
    def feature_count(self) -> int:
        """Length of the feature vector of a point."""
        return self.config.feature_count

    def locate(self, points_m: torch.Tensor, *, differentiable: bool = False) -> Lookup:
        """Work out the table entries and weights of points, to be used in many calls of `sample`.

        Args:
            points_m: (N, 3) float32, metres, finite; on the device of the tables.
            differentiable: keep the weights differentiable by points_m; by default they are constants.

        Raises:
            ValueError: another shape, or a coordinate that is not finite.
        """
        if points_m.dim() != 2 or points_m.shape[1] != 3:
            raise ValueError(f"TriPlane: expected points of shape (N, 3), got {tuple(points_m.shape)}.")
        bad = ~torch.isfinite(points_m.detach()).all(dim=1)
        if bad.any():
            first = int(bad.nonzero()[0])
            raise ValueError(
                f"TriPlane: {int(bad.sum())} of {len(points_m)} points are not finite; "
                f"first is index {first}, value {points_m[first].tolist()}."
            )
        with torch.set_grad_enabled(differentiable and torch.is_grad_enabled()):
            low = points_m.new_tensor(self.config.bounds_min_m)
            high = points_m.new_tensor(self.config.bounds_max_m)
            unit = ((points_m.float() - low) / (high - low)).clamp(0, 1)
            entries, weights = [], []
            for plane, axes in enumerate(PLANE_AXES):
                on_plane = unit[:, axes]
                for level in self._layout:
                    position = on_plane * level.scale + 0.5
                    cell = position.detach().floor()
                    fraction = position - cell
                    base = plane * self.config.entries_per_plane + level.offset
                    entries.append(base + _corner_entries(cell.long(), level))
                    a, b = fraction[:, 0], fraction[:, 1]
                    weights.append(torch.stack([(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b], dim=1))
            return Lookup(torch.stack(entries).int(), torch.stack(weights))

    def sample(self, lookup: Lookup) -> torch.Tensor:
        """(N, feature_count) features; gradients go to the tables, and to weights that are differentiable."""
        return _Blend.apply(self.tables.flatten(0, 1), lookup.entries, lookup.weights)

    def forward(self, points_m: torch.Tensor, *, differentiable_points: bool = False) -> torch.Tensor:
        """`locate` and `sample` in one. The last lookup is reused while the same tensor comes back unchanged.

        'Unchanged' is torch's own version counter, which optimizers raise; writing through `.data` or NumPy
        escapes it.
        """
        if differentiable_points or points_m.is_inference():  # inference tensors count no versions
            return self.sample(self.locate(points_m, differentiable=differentiable_points))
        remembered = self._remembered
        if remembered is not None and remembered[0]() is points_m and remembered[1] == points_m._version:
            return self.sample(remembered[2])
        lookup = self.locate(points_m)
        self._remembered = (weakref.ref(points_m), points_m._version, lookup)
        return self.sample(lookup)


def _corner_entries(cell: torch.Tensor, level: LevelLayout) -> torch.Tensor:
    """(N, 4) entries within a level's table of the corners of cells (N, 2): first axis fastest, int64."""
    corners = []
    for j in (0, 1):
        for i in (0, 1):
            x, y = cell[:, 0] + i, cell[:, 1] + j
            entry = x ^ ((y * _HASH_PRIME) & 0xFFFFFFFF) if level.hashed else x + y * level.resolution
            corners.append(entry % level.entries)
    return torch.stack(corners, dim=1)
