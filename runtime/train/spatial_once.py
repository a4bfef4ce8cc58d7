"""The part of the deformation field that no frame changes, once for all frames of a step, its rows dealt among cores.

Look-ups in the grid, the first layer's share of the position, and the gates are a third of the field's work. They
depend on where Gaussians are, not on what is said; several frames of a step share them, and their gradients are added
up before they go back through the grid once.
"""

from __future__ import annotations

from torch import Tensor, autograd, cat

from gstalker.kernels.triplane import Lookup
from gstalker.runtime.model.deformation import DeformationField
from gstalker.runtime.train.pace import OneFrameACore

PARTS = 2  # blocks of rows; fixed, so that the sum of their gradients does not depend on the number of cores


class SpatialOnce:
    """One step's spatial part of the field."""

    def __init__(self, field: DeformationField, lookups: list[Lookup], cores: OneFrameACore) -> None:
        """Evaluate it.

        Args:
            field: the field.
            lookups: of `lookups_of`, for the present anchors.
            cores: who works.
        """
        self._cores = cores
        self._parameters = [
            p for module in (field.grid, field.from_space, field.gate) for p in module.parameters() if p.requires_grad
        ]
        self._parts = cores.map(lambda lookup: field.spatial_of(field.grid.sample(lookup)), lookups)
        first, gates = (cat(blocks).detach().requires_grad_() for blocks in zip(*self._parts, strict=True))
        self.values: tuple[Tensor, Tensor] = (first, gates)  # what `AvatarModel.motion` takes; leaves of a frame

    def add_gradients(self, first: Tensor, gates: Tensor) -> None:
        """Add what gradients (M, hidden) and (M, 2) by `values` mean for the parameters to their `grad`."""
        rows, start = [], 0
        for part, _ in self._parts:
            rows.append(slice(start, start + len(part)))
            start += len(part)

        def backward(part: tuple[tuple[Tensor, Tensor], slice]) -> tuple[Tensor | None, ...]:
            outputs, here = part
            wanted = [(o, g[here]) for o, g in zip(outputs, (first, gates), strict=True) if o.requires_grad]
            outs, grads = zip(*wanted, strict=True)
            return autograd.grad(outs, self._parameters, grads, allow_unused=True)

        for gradients in self._cores.map(backward, list(zip(self._parts, rows, strict=True))):
            for parameter, gradient in zip(self._parameters, gradients, strict=True):
                if gradient is not None:
                    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def lookups_of(field: DeformationField, anchors_head: Tensor) -> list[Lookup]:
    """Where the rows of each part lie in the grid, (M, 3) positions; kept while the anchors stay."""
    return [field.grid.locate(block) for block in anchors_head.chunk(PARTS)]
