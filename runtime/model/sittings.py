"""What differs from one training clip (a sitting) to the next, though it is the same avatar.

The tracker places a head a little too high in one clip and too low in another; the person sits elsewhere, the lamp
and the hair have changed. Were none of this modelled, the Gaussians would have to be the blurred average of it.
So each training clip has a few numbers of its own, learnt with the Gaussians: an offset of the head, one of the
torso, and a code that shifts colours. Over all clips each of them has mean zero, so "no sitting" is the mean one:
that is what evaluation draws and what is exported, with nothing to bake and nothing for engines to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gstalker.runtime.errors import InputError
from gstalker.runtime.model.settings import config_from_json

TURN_UNIT_RAD = 0.01
DEPTH_UNIT_PX = 10  # a step in depth that moves the head's outline about as much as a step of 1 px sideways


@dataclass(frozen=True)
class SittingConfig:
    """Which differences between clips are modelled; each can be turned off by itself."""

    torso_offset: bool = True  # the torso's motion is regressed on head pose within clips, its place per clip is free
    pose_refinement: bool = False  # an offset of the head (6) and of the torso (3) per clip
    code_size: int = 0  # K, numbers of a clip's appearance code; 0 is none
    pose_rate: float = 0.02  # learning rate of the offsets, in units of about 1 px
    pose_prior: float = 1e-4  # weight of the offsets' squares
    code_rate: float = 0.02  # learning rate of the codes, whose spread is about 1
    code_prior: float = 1e-4
    looks_rate: float = 2e-3  # learning rate of the colour shifts that a code of 1 gives
    settle_share: float = 0.1  # of stage 2, at its end: offsets and codes stand still, all else fits to them


# What runs from before clips had numbers of their own were trained with.
WITHOUT_SITTINGS = SittingConfig(torso_offset=False, pose_refinement=False, code_size=0)


def sittings_of(settings: dict[str, object], where: str) -> SittingConfig:
    """What a run's saved training settings say of sittings.

    Raises:
        InputError: fields are missing or unknown.
    """
    fields = settings.get("sittings")
    if not isinstance(fields, dict):
        return WITHOUT_SITTINGS
    return config_from_json(SittingConfig, fields, f"{where}: sittings")


class Sitting(NamedTuple):
    """The numbers of one clip, in natural units; None leaves that part as in the mean sitting."""

    head: Tensor | None = None  # (6,) small turn about its origin (rotation vector, rad) and shift (m), camera axes
    torso: Tensor | None = None  # (6,) likewise
    code: Tensor | None = None  # (K,)


MEAN_SITTING = Sitting()


class Sittings(nn.Module):
    """The numbers of all training clips.

    Attributes:
        head: (C, 6) turn and shift of the head, torso: (C, 3) dx, dy and turn in the picture plane; in units of
            about one pixel's motion.
        codes: (C, K) appearance codes.
    """

    head_unit: Tensor
    torso_unit: Tensor

    def __init__(self, clip_count: int, code_size: int, *, head_px_m: float, torso_px_m: float) -> None:
        """Start at the mean.

        Args:
            clip_count: C; 0 for an avatar that knows no sittings.
            code_size: K.
            head_px_m, torso_px_m: metres that one pixel spans at the distance of head and torso.
        """
        super().__init__()
        self.head = nn.Parameter(torch.zeros(clip_count, 6))
        self.torso = nn.Parameter(torch.zeros(clip_count, 3))
        self.codes = nn.Parameter(torch.zeros(clip_count, code_size))
        head_unit = [TURN_UNIT_RAD] * 3 + [head_px_m, head_px_m, DEPTH_UNIT_PX * head_px_m]
        self.register_buffer("head_unit", torch.tensor(head_unit), persistent=False)
        self.register_buffer("torso_unit", torch.tensor([torso_px_m, torso_px_m, TURN_UNIT_RAD]), persistent=False)

    def check_clips(self, count: int, where: str) -> None:
        """Refuse to go on with other clips than the numbers belong to.

        Raises:
            InputError: another number of training clips than the run was started with.
        """
        if count != len(self.head):
            raise InputError(
                f"{where}: expected the {len(self.head)} training clips that the run was started with, got {count}. "
                "Train anew on the dataset as it is now."
            )

    def natural(self, head: Tensor | None, torso: Tensor | None, code: Tensor | None) -> Sitting:
        """A sitting of numbers (6,), (3,), (K,) in this module's units."""
        if head is not None:
            head = head * self.head_unit
        if torso is not None:
            dx, dy, turn = (torso * self.torso_unit).unbind()
            zero = torch.zeros_like(dx)
            torso = torch.stack([zero, zero, turn, dx, dy, zero])
        return Sitting(head, torso, code)

    def of(self, clip: int, config: SittingConfig) -> Sitting:
        """The sitting of a training clip, with what the settings model."""
        moved, coloured = config.pose_refinement, self.codes.shape[1] > 0
        return self.natural(
            self.head[clip] if moved else None,
            self.torso[clip] if moved else None,
            self.codes[clip] if coloured else None,
        )

    def prior(self, clip: int, config: SittingConfig) -> Tensor | None:
        """What the loss adds so that a clip departs from the mean no further than its pictures ask; None: nothing."""
        costs = []
        if config.pose_refinement:
            offsets = torch.cat([self.head[clip], self.torso[clip]])
            costs.append(offsets.square().sum() * config.pose_prior)
        if self.codes.shape[1]:
            costs.append(self.codes[clip].square().sum() * config.code_prior)
        return torch.stack(costs).sum() if costs else None

    @torch.no_grad()
    def scatter_codes(self, generator: torch.Generator) -> None:
        """Start the codes at random: while all are zero, no colour shift has a gradient."""
        self.codes.copy_(torch.randn(self.codes.shape, generator=generator))
        self.hold_mean()

    @torch.no_grad()
    def hold_mean(self) -> None:
        """Take the mean over clips away, or the avatar itself would drift with its sittings."""
        if len(self.head):
            for numbers in (self.head, self.torso, self.codes):
                numbers.sub_(numbers.mean(dim=0))


def small_turn_quat(turn_rad: Tensor) -> Tensor:
    """(4,) unit quaternion w, x, y, z of a small rotation vector (3,); the angle is exact to its third power."""
    quat = torch.cat([torch.ones_like(turn_rad[:1]), turn_rad / 2])
    return quat / quat.norm()


def quat_product_matrix(quat_wxyz: Tensor) -> Tensor:
    """(4, 4) matrix L with L @ q = quat (4,) times q."""
    w, x, y, z = quat_wxyz.unbind()
    rows = ((w, -x, -y, -z), (x, w, -z, y), (y, z, w, -x), (z, -y, x, w))
    return torch.stack([torch.stack(row) for row in rows])


def rotation_of_quat(quat_wxyz: Tensor) -> Tensor:
    """(3, 3) rotation of a unit quaternion (4,), differentiable."""
    w, x, y, z = quat_wxyz.unbind()
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row) for row in rows])


def moved_pose(camera_from_part: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """A part's pose with a sitting's offset.

    Args:
        camera_from_part: (4, 4) rigid.
        offset: (6,) small turn about the part's origin (rad) and shift (m), both along camera axes.

    Returns:
        (4, 4) the pose, and (4,) the quaternion of the turn alone.
    """
    quat = small_turn_quat(offset[:3])
    rotation = rotation_of_quat(quat) @ camera_from_part[:3, :3]
    place = camera_from_part[:3, 3] + offset[3:]
    return torch.cat([torch.cat([rotation, place[:, None]], dim=1), camera_from_part[3:]]), quat
