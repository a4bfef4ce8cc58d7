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
        looks: (N, K, 3) what each number of a sitting's appearance code adds to `sh_coeffs`.
        kinds: (N,) int64, ascending: KIND_HEAD_MOVER, KIND_TORSO, KIND_HEAD_STATIC.
    """

    PARAMETERS = ("means", "quats_wxyz", "log_scales", "opacity_logits", "sh_coeffs", "looks")
    means: nn.Parameter
    quats_wxyz: nn.Parameter
    log_scales: nn.Parameter
    opacity_logits: nn.Parameter
    sh_coeffs: nn.Parameter
    looks: nn.Parameter
    kinds: Tensor
    log_scale_bounds: Tensor

    def __init__(self, values: dict[str, Tensor], kinds: Tensor, log_scale_bounds: tuple[float, float]) -> None:
        """Take starting values by parameter name; rows must already be in `kinds` order; `looks` may be left out.

        Raises:
            ValueError: rows not sorted by kind, or parameters of different lengths.
        """
        super().__init__()
        if not bool((kinds[1:] >= kinds[:-1]).all()):
            raise ValueError("CanonicalGaussians: rows must be sorted by kind (head movers, torso, head static).")
        values = {"looks": torch.zeros(len(kinds), 0, 3), **values}
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
    def code_size(self) -> int:
        """K, numbers of an appearance code; 0 for an avatar that has none."""
        return self.looks.shape[1]

    def with_looks(self, code_size: int) -> CanonicalGaussians:
        """The same Gaussians with appearance codes of K numbers that change nothing yet."""
        values = {name: getattr(self, name).detach() for name in self.PARAMETERS}
        low, high = self.log_scale_bounds.tolist()
        return CanonicalGaussians(values | {"looks": torch.zeros(len(self), code_size, 3)}, self.kinds, (low, high))

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
        low, high = self.log_scale_bounds.unbind()  # as tensors: to read them would wait for the device
        self.log_scales.clamp_(low, high)
        self.sh_coeffs.clamp_(-0.5 / SH_BAND_0, 0.5 / SH_BAND_0)

    def colors(self, code: Tensor | None = None) -> Tensor:
        """(N, 3) display-space colours, of the mean sitting or as an appearance code (K,) shifts them."""
        coefficients = self.sh_coeffs[:, 0]
        if code is not None and len(code):
            coefficients = coefficients + torch.einsum("k,nkc->nc", code, self.looks)
        return 0.5 + SH_BAND_0 * coefficients
