"""The canonical Gaussians as trainable parameters, in the order that the bundle keeps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gstalker.kernels.frame import PART_HEAD, PART_TORSO

# Row order of the parameters. Movers come first because engines receive only those every frame.
KIND_HEAD_MOVER = 0
KIND_TORSO = 1
KIND_HEAD_STATIC = 2

SH_BAND_0 = 0.28209479177387814  # value of the constant spherical harmonic


class CanonicalGaussians(nn.Module):
    """N Gaussians in the space of their part, in training parametrisation.

    Attributes:
        means: (N, 3) metres.
        quats_wxyz: (N, 4) any non-zero length.
        log_scales: (N, 3) natural log of metres, kept inside `log_scale_bounds`.
        opacity_logits: (N,)
        sh_coeffs: (N, 1, 3) degree 0.
        kinds: (N,) int64, ascending: KIND_HEAD_MOVER, KIND_TORSO, KIND_HEAD_STATIC.
    """

    PARAMETERS = ("means", "quats_wxyz", "log_scales", "opacity_logits", "sh_coeffs")
    means: nn.Parameter
    quats_wxyz: nn.Parameter
    log_scales: nn.Parameter
    opacity_logits: nn.Parameter
    sh_coeffs: nn.Parameter
    kinds: Tensor
    log_scale_bounds: Tensor

    def __init__(self, values: dict[str, Tensor], kinds: Tensor, log_scale_bounds: tuple[float, float]) -> None:
        """Take starting values by parameter name; rows must already be in `kinds` order.

        Raises:
            ValueError: rows not sorted by kind, or parameters of different lengths.
        """
        super().__init__()
        if not bool((kinds[1:] >= kinds[:-1]).all()):
            raise ValueError("CanonicalGaussians: rows must be sorted by kind (head movers, torso, head static).")
        for name in self.PARAMETERS:
            if len(values[name]) != len(kinds):
                raise ValueError(f"CanonicalGaussians.{name}: expected {len(kinds)} rows, got {len(values[name])}.")
            self.register_parameter(name, nn.Parameter(values[name].clone().float()))
        self.register_buffer("kinds", kinds.clone())
        self.register_buffer("log_scale_bounds", torch.tensor(log_scale_bounds, dtype=torch.float32))
        self._recount()

    def _recount(self) -> None:
        self.head_mover_count = int((self.kinds == KIND_HEAD_MOVER).sum())
        self.torso_count = int((self.kinds == KIND_TORSO).sum())

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def head_movers(self) -> slice:
        return slice(0, self.head_mover_count)

    @property
    def torso(self) -> slice:
        return slice(self.head_mover_count, self.head_mover_count + self.torso_count)

    @property
    def head_static(self) -> slice:
        return slice(self.head_mover_count + self.torso_count, len(self))

    @property
    def part_ids(self) -> Tensor:
        """(N,) uint8 part of every Gaussian, as bundles store it."""
        return torch.where(self.kinds == KIND_TORSO, PART_TORSO, PART_HEAD).to(torch.uint8)

    def replace_rows(self, values: dict[str, Tensor], kinds: Tensor) -> None:
        """Swap in another set of rows (density control); parameters become new objects."""
        for name in self.PARAMETERS:
            setattr(self, name, nn.Parameter(values[name]))
        self.kinds = kinds
        self._recount()

    @torch.no_grad()
    def enforce_bounds(self) -> None:
        """Keep every splat drawable: scales inside their bounds, colours displayable.

        Without the bound, splats grow over parts of the picture that nothing else explains.
        """
        low, high = self.log_scale_bounds.tolist()
        self.log_scales.clamp_(low, high)
        self.sh_coeffs.clamp_(-0.5 / SH_BAND_0, 0.5 / SH_BAND_0)

    def colors(self) -> Tensor:
        """(N, 3) display-space colours."""
        return 0.5 + SH_BAND_0 * self.sh_coeffs[:, 0]
