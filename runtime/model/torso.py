"""The torso field: from head pose to the torso's rigid motion and its small deformations.

GSTalker (arXiv:2404.19040) conditions a torso deformation field on the head pose for a stable torso. The rigid
part is regressed on the tracked motion; the rest is learnt from the pictures. It hears of the rigid motion as well:
how shoulders and collar lie depends on where somebody sits and leans far more than on how the head is held, and of
how the torso is stretched in the picture, which is what leaning and turning look like there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

SIGMAS_PER_MEDIAN = 1.4826  # standard deviations of a normal distribution in its median absolute deviation
LEAST_SPREAD = 1e-3  # of a stretch: what tracking cannot tell from none
FURTHEST_SPREADS = 3.0


@dataclass(frozen=True)
class TorsoConfig:
    """Sizes of the field."""

    frequencies: int = 4  # octaves of the position encoding
    hidden: int = 32  # width of the per-Gaussian network
    rigid_hidden: int = 16  # width of the rigid-motion network
    mean_scale: float = 0.05  # of a picture unit (100 px): size of a position delta of output 1
    hears_rigid: bool = True  # the deltas depend on the torso's rigid motion too, not on the head's pose alone

    hears_stretch: bool = True  # and on how it is stretched in the picture besides

    EARLIER: ClassVar[Mapping[str, object]] = {"hears_rigid": False, "hears_stretch": False}


class TorsoField(nn.Module):
    """Torso motion from head pose.

    Attributes:
        own_stretch: (3,) the stretch that is heard where none is tracked; the middle of those seen in training until
            somebody chooses another.
    """

    pose_mean: Tensor
    pose_std: Tensor
    rigid_std: Tensor
    stretch_middle: Tensor
    stretch_spread: Tensor
    own_stretch: Tensor

    def __init__(
        self, config: TorsoConfig, *, pose_mean: Tensor, pose_std: Tensor, rigid_std: Tensor, picture_unit_m: float
    ) -> None:
        """Build the field.

        Args:
            config: sizes.
            pose_mean, pose_std: (6,) statistics of the head pose (rotation vector rad, translation m).
            rigid_std: (3,) spread of the tracked torso motion (m, m, rad), the unit of the rigid output.
            picture_unit_m: metres that 100 px span at the torso's distance.
        """
        super().__init__()
        self.config = config
        self.picture_unit_m = picture_unit_m
        self.from_position = nn.Linear(3 + 6 * config.frequencies, config.hidden)
        self.from_pose = nn.Linear(6, config.hidden, bias=False)
        self.from_rigid = nn.Linear(3, config.hidden, bias=False) if config.hears_rigid else None
        self.from_stretch = nn.Linear(3, config.hidden, bias=False) if config.hears_stretch else None
        self.hidden = nn.Linear(config.hidden, config.hidden)
        self.out = nn.Linear(config.hidden, 3)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.rigid = nn.Sequential(nn.Linear(6, config.rigid_hidden), nn.Tanh(), nn.Linear(config.rigid_hidden, 3))
        self.register_buffer("pose_mean", pose_mean.float())
        self.register_buffer("pose_std", pose_std.float())
        self.register_buffer("rigid_std", rigid_std.float())
        heard = config.hears_stretch  # the buffers of a field that does not hear of it are not saved
        self.register_buffer("stretch_middle", torch.zeros(3), persistent=heard)
        self.register_buffer("stretch_spread", torch.ones(3), persistent=heard)
        self.register_buffer("own_stretch", torch.zeros(3), persistent=heard)

    def normalised_pose(self, head_pose: Tensor) -> Tensor:
        """(..., 6) pose in units of its own spread."""
        return (head_pose - self.pose_mean) / self.pose_std

    def spatial(self, means_m: Tensor) -> Tensor:
        """(M, hidden) share of the canonical position, torso space; baked at export."""
        position = means_m / self.picture_unit_m
        octaves = 2.0 ** torch.arange(self.config.frequencies, device=means_m.device)
        angles = (position[:, None, :] * octaves[:, None]).flatten(1)
        return self.from_position(torch.cat([position, torch.sin(angles), torch.cos(angles)], dim=1))

    def first_layer(self, means_m: Tensor) -> Tensor:
        """(M, hidden) what a bundle keeps of the first layer: `spatial`, and the avatar's own stretch."""
        return self.spatial(means_m) + self.stretch_drive(self.own_stretch)

    def stretch_drive(self, stretch: Tensor) -> Tensor:
        """(hidden,) share of a stretch (3,). One further out than anything ordinary counts as the furthest."""
        if self.from_stretch is None:
            return stretch.new_zeros(self.config.hidden)
        apart = (stretch - self.stretch_middle) / self.stretch_spread
        return self.from_stretch(apart.clamp(-FURTHEST_SPREADS, FURTHEST_SPREADS))

    @torch.no_grad()
    def expect_stretch(self, stretch: Tensor) -> None:
        """Count stretches in the spread of those that training sees (F, 3), in place.

        Middle and spread are medians: a fit that went wrong in one sitting would widen a standard deviation manyfold.
        """
        middle = stretch.median(dim=0).values
        spread = SIGMAS_PER_MEDIAN * (stretch - middle).abs().median(dim=0).values
        self.stretch_middle.copy_(middle)
        self.stretch_spread.copy_(spread.clamp(min=LEAST_SPREAD))
        self.own_stretch.copy_(middle)

    def forward(
        self, means_m: Tensor, head_pose: Tensor, rigid: Tensor | None = None, stretch: Tensor | None = None
    ) -> Tensor:
        """(M, 3) position deltas, metres, torso space.

        Args:
            means_m: (M, 3) canonical positions, torso space; not differentiated.
            head_pose: (6,) rotation vector (rad) and translation (m) of avatar_from_head.
            rigid: (3,) dx_m, dy_m, angle_rad where the torso is; None where `rigid_motion` tells.
            stretch: (3,) along x, along y, shear; None for `own_stretch`.
        """
        drive = self.from_pose(self.normalised_pose(head_pose))
        if self.from_rigid is not None:
            rigid = self.rigid_motion(head_pose).detach() if rigid is None else rigid
            drive = drive + self.from_rigid(rigid / self.rigid_std)
        if self.from_stretch is not None:
            drive = drive + self.stretch_drive(self.own_stretch if stretch is None else stretch)
        hidden = (self.spatial(means_m.detach()) + drive).relu_()
        delta = self.out(self.hidden(hidden).relu_())
        return delta * (self.config.mean_scale * self.picture_unit_m)

    def rigid_motion(self, head_pose: Tensor) -> Tensor:
        """(..., 3) dx_m, dy_m, angle_rad in the torso plane, for head poses (..., 6)."""
        return self.rigid(self.normalised_pose(head_pose)) * self.rigid_std

    @torch.no_grad()
    def shift_rigid(self, by: Tensor) -> None:
        """Add (3,) dx_m, dy_m, angle_rad to `rigid_motion` at every pose, in place."""
        last = self.rigid[-1]
        assert isinstance(last, nn.Linear)
        last.bias.add_(by / self.rigid_std)
