"""The tri-plane on tiny-cuda-nn's CUDA grids: same parameters, same result as `triplane.TriPlane`, optional.

Importing this file needs neither tiny-cuda-nn nor a GPU; making a grid does. Values agree with the portable
tri-plane to float32 rounding; gradients too, but tiny-cuda-nn adds them up in no fixed order.

Source: Müller 2021, NVlabs/tiny-cuda-nn; the layout rules are in the head of `triplane`.
"""

from __future__ import annotations

import weakref
from types import ModuleType

import torch

from gstalker.kernels.triplane import PLANE_AXES, TriPlane, TriPlaneConfig

HOW_TO_INSTALL = (
    "pip install --no-build-isolation "
    "'git+https://github.com/NVlabs/tiny-cuda-nn#subdirectory=bindings/torch' "
    "(needs an NVIDIA GPU, the CUDA toolkit with nvcc, and a CUDA build of torch)"
)


def encoding_config(config: TriPlaneConfig) -> dict[str, str | int | float]:
    """What tiny-cuda-nn is told about one plane."""
    return {
        "otype": "Grid",
        "type": "Hash",
        "hash": "CoherentPrime",
        "interpolation": "Linear",
        "n_levels": config.levels,
        "n_features_per_level": config.features_per_level,
        "log2_hashmap_size": config.log2_table_size,
        "base_resolution": config.base_resolution,
        "per_level_scale": config.per_level_scale,
    }


def load_tinycudann() -> ModuleType:
    """The module tinycudann.

    Raises:
        ImportError: it is not installed, or finds no GPU it was built for; says how to get it.
    """
    try:
        import tinycudann  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]
    except (ImportError, OSError) as error:  # without a GPU its own import raises EnvironmentError
        raise ImportError(
            f"tinycudann: cannot be used here ({error}). Use the portable tri-plane, which needs neither it "
            f"nor a GPU, or install it: {HOW_TO_INSTALL}."
        ) from error
    return tinycudann


class TinyCudaNNTriPlane(TriPlane):
    """A tri-plane computed by tiny-cuda-nn: (N, 3) points in metres -> (N, feature_count) on the GPU.

    It has the one parameter `tables` of the portable grid, which tiny-cuda-nn is lent at each call as the three flat
    lists that it wants: so optimizers, checkpoints and export see no difference between the two.
    """

    def __init__(self, grid: TriPlane) -> None:
        """Take over the grid's configuration and its very parameter.

        Raises:
            ImportError: tinycudann cannot be used here.
            ValueError: this version of it lays out its grids differently.
        """
        super().__init__(grid.config)
        self.tables = grid.tables
        config = grid.config
        tinycudann = load_tinycudann()
        per_plane = config.entries_per_plane * config.features_per_level
        encodings = [tinycudann.Encoding(2, encoding_config(config), dtype=torch.float32) for _ in PLANE_AXES]
        for encoding in encodings:
            got = encoding.params.numel()
            if got != per_plane:
                raise ValueError(
                    f"tinycudann: expected {per_plane} parameters a plane for {config}, got {got}; this "
                    f"version lays out its grids differently. Use the portable tri-plane."
                )
        self._encodings = tuple(encodings)  # in a tuple: their own parameters are never used, so none of this module's
        self._unit: tuple[weakref.ref[torch.Tensor], int, list[torch.Tensor]] | None = None

    def forward(self, points_m: torch.Tensor, *, differentiable_points: bool = False) -> torch.Tensor:
        """(N, feature_count) float32. Points outside the bounds are clamped, as in the portable grid."""
        features = [
            torch.func.functional_call(encoding, {"params": table.reshape(-1)}, (unit,))
            for encoding, table, unit in zip(
                self._encodings, self.tables, self._on_planes(points_m, differentiable_points), strict=True
            )
        ]
        return torch.cat(features, dim=1).float()

    def _on_planes(self, points_m: torch.Tensor, differentiable: bool) -> list[torch.Tensor]:
        """(N, 2) coordinates 0..1 on each plane; kept while the same points come, which spares uploads."""
        kept = self._unit
        fixed = not (differentiable or points_m.is_inference())  # inference tensors count no versions
        if fixed and kept and kept[0]() is points_m and kept[1] == points_m._version:
            return kept[2]
        with torch.set_grad_enabled(differentiable and torch.is_grad_enabled()):
            low = points_m.new_tensor(self.config.bounds_min_m)
            high = points_m.new_tensor(self.config.bounds_max_m)
            unit = ((points_m.float() - low) / (high - low)).clamp(0, 1)
            planes = [torch.stack([unit[:, a], unit[:, b]], dim=1) for a, b in PLANE_AXES]
        if fixed:
            self._unit = (weakref.ref(points_m), points_m._version, planes)
        return planes
