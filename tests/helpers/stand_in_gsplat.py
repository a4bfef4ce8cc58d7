"""`gsplat.rasterization` as far as this project calls it, in plain PyTorch: same arguments, same checks, any device.

Names, defaults and shapes are those of gsplat 1.5.3; a test compares them with the package where it is installed.
The arithmetic is `kernels.dense_torch`'s.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from gstalker.kernels import cuda
from gstalker.kernels.dense_torch import _blend_tile, project_to_screen
from gstalker.kernels.reference import ALPHA_CUT


@dataclass
class StandInGsplat:
    """What was called with what."""

    calls: list[dict[str, Any]] = field(default_factory=list)

    def rasterization(
        self,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colors: Tensor,
        viewmats: Tensor,
        Ks: Tensor,
        width: int,
        height: int,
        near_plane: float = 0.01,
        far_plane: float = 1e10,
        radius_clip: float = 0.0,
        eps2d: float = 0.3,
        sh_degree: int | None = None,
        packed: bool = True,
        tile_size: int = 16,
        backgrounds: Tensor | None = None,
        render_mode: str = "RGB",
        sparse_grad: bool = False,
        absgrad: bool = False,
        rasterize_mode: str = "classic",
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:
        self.calls.append({name: value for name, value in locals().items() if name != "self"})
        batch, count, cameras = means.shape[:-2], means.shape[-2], viewmats.shape[-3]
        assert means.shape == (*batch, count, 3)
        assert quats.shape == (*batch, count, 4)
        assert scales.shape == (*batch, count, 3)
        assert opacities.shape == (*batch, count)
        assert colors.shape == (*batch, count, 3)
        assert viewmats.shape == (*batch, cameras, 4, 4)
        assert Ks.shape == (*batch, cameras, 3, 3)
        assert {t.dtype for t in (means, quats, scales, opacities, colors, viewmats, Ks)} == {torch.float32}
        assert sh_degree is None
        assert not packed  # packed results have other shapes

        flat = [t.reshape(-1, *t.shape[len(batch) :]) for t in (means, quats, scales, opacities, colors, viewmats, Ks)]
        screens = [
            project_to_screen(m, q, s, view, K, width, height)
            for m, q, s, views, intrinsics in zip(*(flat[i] for i in (0, 1, 2, 5, 6)), strict=True)
            for view, K in zip(views, intrinsics, strict=True)
        ]
        means2d = torch.stack([centres for centres, _ in screens]).reshape(*batch, cameras, count, 2)
        drawn = []
        for image, centres in enumerate(means2d.reshape(-1, count, 2)):
            scene = image // cameras
            depths = (flat[0][scene] @ flat[5][scene, image % cameras, 2, :3]) + flat[5][scene, image % cameras, 2, 3]
            order = torch.argsort(depths.detach(), stable=True)
            order = order[(depths[order] >= near_plane) & (flat[3][scene][order] >= ALPHA_CUT)]
            conics = torch.linalg.inv(screens[image][1][order])
            black = torch.zeros(height, width, 3)
            drawn.append(_blend_tile(centres[order], conics, flat[3][scene][order], flat[4][scene][order], black, 0, 0))
        rgb = torch.stack([rgb for rgb, _ in drawn]).reshape(*batch, cameras, height, width, 3)
        alpha = torch.stack([alpha for _, alpha in drawn]).reshape(*batch, cameras, height, width, 1)
        return rgb, alpha, {"means2d": means2d}


def put_in_place(monkeypatch: pytest.MonkeyPatch) -> StandInGsplat:
    """From here on `kernels.cuda` finds a device and this gsplat, whatever the tensors' device."""
    stand_in = StandInGsplat()
    module = ModuleType("gsplat")
    module.rasterization = stand_in.rasterization  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gsplat", module)
    monkeypatch.setattr(cuda, "why_unavailable", lambda: None)
    return stand_in
