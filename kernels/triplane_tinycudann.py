"""The tri-plane on tiny-cuda-nn's CUDA grids: same parameters, same result as `triplane.TriPlane`, optional.

Importing this file needs neither tiny-cuda-nn nor a GPU; making a grid does. Values agree with the portable
tri-plane to float32 rounding; gradients too, but tiny-cuda-nn adds them up in no fixed order.

Source: Müller 2021, NVlabs/tiny-cuda-nn; the layout rules are in the head of `triplane`.
"""

from __future__ import annotations

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


class TinyCudaNNTriPlane(torch.nn.Module):
    """`triplane.TriPlane` computed by tiny-cuda-nn: (N, 3) points in metres -> (N, feature_count) on the GPU.

    Attributes:
        planes: three tinycudann encodings in float32, in the order of `triplane.PLANE_AXES`; the parameters
            of each are the rows of one plane's table one after the other.
    """

    def __init__(self, config: TriPlaneConfig) -> None:
        super().__init__()
        self.config = config
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
        self.planes = torch.nn.ModuleList(encodings)

    @property
    def feature_count(self) -> int:
        """Length of the feature vector of a point."""
        return self.config.feature_count

    @classmethod
    def from_portable(cls, grid: TriPlane) -> TinyCudaNNTriPlane:
        """The same grid with the same numbers, on the current CUDA device."""
        made = cls(grid.config)
        with torch.no_grad():
            for encoding, table in zip(made.planes, grid.tables, strict=True):
                encoding.get_parameter("params").copy_(table.reshape(-1))
        return made

    def to_portable(self) -> TriPlane:
        """The same grid with the same numbers, portable, on the CPU."""
        grid = TriPlane(self.config)
        with torch.no_grad():
            for encoding, table in zip(self.planes, grid.tables, strict=True):
                table.copy_(encoding.get_parameter("params").reshape(table.shape))
        return grid

    def forward(self, points_m: torch.Tensor) -> torch.Tensor:
        """(N, feature_count) float32. Points outside the bounds are clamped, as in the portable grid."""
        low = points_m.new_tensor(self.config.bounds_min_m)
        high = points_m.new_tensor(self.config.bounds_max_m)
        unit = ((points_m.float() - low) / (high - low)).clamp(0, 1)
        features = [encoding(unit[:, axes]) for encoding, axes in zip(self.planes, PLANE_AXES, strict=True)]
        return torch.cat(features, dim=1)
