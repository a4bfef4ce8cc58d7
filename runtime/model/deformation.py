"""The audio-driven deformation field: where, at which frame, each Gaussian of the face goes.

GSTalker (arXiv:2404.19040): tri-plane hash features of the canonical position and an audio code give deltas of
position, rotation and scale; opacity follows TalkingGaussian (arXiv:2404.15264). The region attention (a gate
per Gaussian and input) follows ER-NeRF (arXiv:2307.09323, sec. 3.2), with one gate an input so that everything
spatial stays constant after training and can be baked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from gstalker.kernels.triplane import TriPlane, TriPlaneConfig


@dataclass(frozen=True)
class DeformationConfig:
    """Sizes of the field."""

    levels: int = 3  # resolutions of the tri-plane
    features_per_level: int = 4  # channels of one plane at one resolution
    base_resolution: int = 16  # cells of the coarsest level along an axis
    finest_resolution: int = 64  # cells of the finest
    log2_table_size: int = 14  # rows of a level's table; larger levels would be hashed
    hidden: int = 64  # width of the network
    mean_scale: float = 0.1  # of a picture unit (100 px): size of a position delta of output 1
    quat_scale: float = 0.1
    log_scale_scale: float = 0.2
    opacity_scale: float = 1.0  # logit
    region_attention: bool = True  # gates a Gaussian learns for itself; without it all hear and see everything
    expression: bool = True  # hear of eyes and brows; without it speech alone moves the face

    EARLIER: ClassVar[Mapping[str, object]] = {"region_attention": True, "expression": True}


DELTA_COLUMNS = 11  # d_mean 3, d_quat 4, d_log_scale 3, d_opacity_logit 1


class DeformationField(nn.Module):
    """Deltas of the head's movers for one frame."""

    expression_mean: Tensor
    expression_std: Tensor
    output_scale: Tensor

    def __init__(
        self,
        config: DeformationConfig,
        *,
        code_size: int,
        expression_mean: Tensor,
        expression_std: Tensor,
        bounds_m: tuple[Tensor, Tensor],
        picture_unit_m: float,
    ) -> None:
        """Build the field.

        Args:
            config: sizes.
            code_size: A, width of an audio code.
            expression_mean, expression_std: (E,) statistics of the tracked expression weights.
            bounds_m: two (3,) corners of the box, head space, that holds the movers.
            picture_unit_m: metres that 100 px span at the head's distance.
        """
        super().__init__()
        self.config = config
        low, high = (tuple(corner.tolist()) for corner in bounds_m)
        self.grid = TriPlane(
            TriPlaneConfig(
                levels=config.levels,
                features_per_level=config.features_per_level,
                base_resolution=config.base_resolution,
                finest_resolution=config.finest_resolution,
                log2_table_size=config.log2_table_size,
                bounds_min_m=low,
                bounds_max_m=high,
            )
        )
        features = 3 * config.levels * config.features_per_level
        self.from_space = nn.Linear(features, config.hidden)
        self.from_audio = nn.Linear(code_size, config.hidden, bias=False)
        self.from_expression = nn.Linear(len(expression_mean), config.hidden, bias=False)
        self.gate = nn.Sequential(nn.Linear(features, 16), nn.ReLU(), nn.Linear(16, 2), nn.Sigmoid())
        self.hidden = nn.Linear(config.hidden, config.hidden)
        self.out = nn.Linear(config.hidden, DELTA_COLUMNS)
        nn.init.zeros_(self.out.weight)  # an untrained field leaves the canonical face as it is
        nn.init.zeros_(self.out.bias)
        self.register_buffer("expression_mean", expression_mean.float())
        self.register_buffer("expression_std", expression_std.float())
        scale = [config.mean_scale * picture_unit_m] * 3 + [config.quat_scale] * 4
        scale += [config.log_scale_scale] * 3 + [config.opacity_scale]
        self.register_buffer("output_scale", torch.tensor(scale, dtype=torch.float32))

    def spatial(self, means_m: Tensor) -> tuple[Tensor, Tensor]:
        """What depends on the canonical position alone, and is baked at export.

        Args:
            means_m: (M, 3) canonical positions, head space; not differentiated.

        Returns:
            (M, hidden) first layer's share, and (M, 2) gates on audio and on expression, 0..1.
        """
        return self.spatial_of(self.grid(means_m))  # look-ups are kept while the same tensor comes

    def spatial_of(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`spatial` of (M, features) of the grid."""
        gates = self.gate(features) if self.config.region_attention else features.new_ones(len(features), 2)
        if not self.config.expression:
            gates = gates * gates.new_tensor([1.0, 0.0])
        return self.from_space(features), gates

    def forward(self, means_m: Tensor, audio_code: Tensor, expression: Tensor) -> Tensor:
        """Deltas.

        Args:
            means_m: (M, 3) canonical positions, head space.
            audio_code: (code_size,)
            expression: (E,) weights 0..1.

        Returns:
            (M, 11) d_mean (metres), d_quat_wxyz, d_log_scale, d_opacity_logit.
        """
        first_layer, gates = self.spatial(means_m)
        return self.from_baked(first_layer, gates, audio_code, expression)

    def from_baked(self, first_layer: Tensor, gates: Tensor, audio_code: Tensor, expression: Tensor) -> Tensor:
        """`forward` with the spatial part already evaluated."""
        audio = self.from_audio(audio_code)
        normalised = (expression - self.expression_mean) / self.expression_std
        face = self.from_expression(normalised)
        # One product and one pass for gates and ReLU, and the scale on the weights instead of on every row: memory,
        # not arithmetic, is what this network takes its time for.
        hidden = torch.addmm(first_layer, gates, torch.stack([audio, face])).relu_()
        hidden = self.hidden(hidden).relu_()
        scale = self.output_scale
        return functional.linear(hidden, self.out.weight * scale[:, None], self.out.bias * scale)
