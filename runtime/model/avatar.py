"""The whole avatar: canonical Gaussians, audio encoder, deformation and torso fields, posed before a camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gstalker.kernels.camera import rigid_rotation_quat_wxyz
from gstalker.kernels.place import Place, placed
from gstalker.runtime.landmarks import EXPRESSION_BLENDSHAPES
from gstalker.runtime.model.audio_encoder import AudioEncoder, AudioEncoderConfig
from gstalker.runtime.model.canonical import CanonicalGaussians
from gstalker.runtime.model.deformation import DELTA_COLUMNS, DeformationConfig, DeformationField
from gstalker.runtime.model.sittings import MEAN_SITTING, Sitting, Sittings, moved_pose, quat_product_matrix
from gstalker.runtime.model.torso import TorsoConfig, TorsoField

PICTURE_UNIT_PX = 100  # what `AvatarSetup.picture_unit_m` spans


@dataclass(frozen=True)
class AvatarConfig:
    """Sizes of the networks, and which expression weights they hear."""

    EARLIER: ClassVar[Mapping[str, object]] = {"controls": EXPRESSION_BLENDSHAPES, "blinks_apart": False}

    audio: AudioEncoderConfig = field(default_factory=AudioEncoderConfig)
    deformation: DeformationConfig = field(default_factory=DeformationConfig)
    torso: TorsoConfig = field(default_factory=TorsoConfig)
    controls: tuple[str, ...] = EXPRESSION_BLENDSHAPES  # E names; training chooses them from what it sees
    blinks_apart: bool = True  # whether gaze is heard apart from blinks (`runtime.expression`)


@dataclass(frozen=True)
class AvatarSetup:
    """What the dataset fixes before training: statistics that scale the networks' inputs and outputs.

    Attributes:
        expression_mean, expression_std: (E,) of the tracked expression weights.
        mover_bounds_m: (2, 3) corners of the box, head space, that holds the head's movers.
        pose_mean, pose_std: (6,) of the head pose (rotation vector rad, translation m) in avatar space.
        torso_rigid_std: (3,) of the torso's tracked motion (m, m, rad).
        picture_unit_m: (1,) metres that 100 px span at the head's distance.
        torso_unit_m: (1,) the same at the torso's distance.
    """

    expression_mean: Tensor
    expression_std: Tensor
    mover_bounds_m: Tensor
    pose_mean: Tensor
    pose_std: Tensor
    torso_rigid_std: Tensor
    picture_unit_m: Tensor
    torso_unit_m: Tensor


class PosedGaussians(NamedTuple):
    """What a rasterizer takes: N Gaussians in camera space."""

    means: Tensor  # (N, 3) metres
    quats_wxyz: Tensor  # (N, 4) any length
    scales: Tensor  # (N, 3) metres
    opacities: Tensor  # (N,) 0..1
    colors: Tensor  # (N, 3)


class Anchors(NamedTuple):
    """Canonical positions that the fields are evaluated at."""

    head: Tensor  # (head movers, 3) head space
    torso: Tensor  # (torso, 3) torso space


class Motion(NamedTuple):
    """One frame's deltas."""

    head: Tensor | None  # (head movers, 11) or None for the canonical face
    torso: Tensor | None  # (torso, 3) metres or None for the canonical torso


STILL = Motion(None, None)


class AvatarModel(nn.Module):
    """Canonical Gaussians and the networks that move them."""

    def __init__(
        self, config: AvatarConfig, setup: AvatarSetup, canonical: CanonicalGaussians, clip_count: int = 0
    ) -> None:
        """Build the networks; `clip_count` training clips differ from each other (`sittings`)."""
        super().__init__()
        self.config = config
        self.setup = setup
        self.canonical = canonical
        self.audio = AudioEncoder(config.audio)
        self.deformation = DeformationField(
            config.deformation,
            code_size=config.audio.code_size,
            expression_mean=setup.expression_mean,
            expression_std=setup.expression_std,
            bounds_m=(setup.mover_bounds_m[0], setup.mover_bounds_m[1]),
            picture_unit_m=float(setup.picture_unit_m),
        )
        self.torso = TorsoField(
            config.torso,
            pose_mean=setup.pose_mean,
            pose_std=setup.pose_std,
            rigid_std=setup.torso_rigid_std,
            picture_unit_m=float(setup.torso_unit_m),
        )
        self.sittings = Sittings(
            clip_count,
            canonical.code_size,
            head_px_m=float(setup.picture_unit_m) / PICTURE_UNIT_PX,
            torso_px_m=float(setup.torso_unit_m) / PICTURE_UNIT_PX,
        )

    def motion(
        self,
        audio_code: Tensor,
        expression: Tensor,
        head_pose: Tensor,
        anchors: Anchors | None = None,
        spatial: tuple[Tensor, Tensor] | None = None,
        torso_rigid: Tensor | None = None,
        torso_stretch: Tensor | None = None,
        *,
        learn_torso: bool = True,
    ) -> Motion:
        """Deltas of one frame.

        Args:
            audio_code: (A,)
            expression: (E,) 0..1.
            head_pose: (6,) rotation vector (rad) and translation (m) of avatar_from_head.
            anchors: positions to evaluate the fields at; the present ones if None. Training passes copies that it
                renews now and then, so that grid look-ups are found once for many steps.
            spatial: what `deformation.spatial` gives for the head's anchors, if it is known already.
            torso_rigid: (3,) dx_m, dy_m, angle_rad where the torso is tracked; None where the head's pose tells.
            torso_stretch: (3,) how it is stretched besides; None for the avatar's own.
            learn_torso: whether the torso's deltas are differentiable.
        """
        anchors = anchors or self.anchors()
        spatial = spatial or self.deformation.spatial(anchors.head)
        head = self.deformation.from_baked(*spatial, audio_code, expression)
        with torch.set_grad_enabled(learn_torso and torch.is_grad_enabled()):
            return Motion(head, self.torso(anchors.torso, head_pose, torso_rigid, torso_stretch))

    def anchors(self) -> Anchors:
        """Copies of the present canonical positions."""
        means = self.canonical.means.detach()
        return Anchors(means[self.canonical.head_movers].clone(), means[self.canonical.torso].clone())

    def posed(
        self,
        camera_from_head: Tensor,
        camera_from_torso: Tensor,
        motion: Motion = STILL,
        sitting: Sitting = MEAN_SITTING,
    ) -> PosedGaussians:
        """All Gaussians in camera space.

        Args:
            camera_from_head, camera_from_torso: (4, 4) rigid.
            motion: deltas, or STILL for the canonical shape.
            sitting: how this clip departs from the mean of all.
        """
        c = self.canonical
        if (
            c.means.device.type == "cpu"
            and c.means.dtype == torch.float32
            and sitting.head is None
            and sitting.torso is None
        ):
            return self._posed_on_cpu(camera_from_head, camera_from_torso, motion, sitting)
        movers, torso = c.head_movers, c.torso
        means = c.means
        quats = functional.normalize(c.quats_wxyz, dim=1)
        log_scales = c.log_scales
        logits = c.opacity_logits
        head_means, torso_means = means[movers], means[torso]
        if motion.head is not None:
            d_mean, d_quat, d_log_scale, d_logit = motion.head.split([3, 4, 3, 1], dim=1)
            head_means = head_means + d_mean
            quats = torch.cat([quats[movers] + d_quat, quats[movers.stop :]])
            log_scales = torch.cat([log_scales[movers] + d_log_scale, log_scales[movers.stop :]])
            logits = torch.cat([logits[movers] + d_logit[:, 0], logits[movers.stop :]])
        if motion.torso is not None:
            torso_means = torso_means + motion.torso
        head, torso_place = _placed(camera_from_head, sitting.head), _placed(camera_from_torso, sitting.torso)
        parts = ((movers, head, head_means), (torso, torso_place, torso_means))
        parts += ((c.head_static, head, means[c.head_static]),)
        return PosedGaussians(
            means=torch.cat([m @ pose[:3, :3].T + pose[:3, 3] for _, (pose, _), m in parts]),
            quats_wxyz=torch.cat([quats[rows] @ turn.T for rows, (_, turn), _ in parts]),
            scales=torch.exp(log_scales),
            opacities=torch.sigmoid(logits),
            colors=c.colors(sitting.code),
        )

    def _posed_on_cpu(
        self, camera_from_head: Tensor, camera_from_torso: Tensor, motion: Motion, sitting: Sitting
    ) -> PosedGaussians:
        """`posed` where no sitting moves the parts, in one pass."""
        c = self.canonical
        deltas = motion.head if motion.head is not None else c.means.new_zeros(c.head_mover_count, DELTA_COLUMNS)
        torso_deltas = motion.torso if motion.torso is not None else c.means.new_zeros(c.torso_count, 3)
        head, torso = (Place(pose, quat_turn_matrix(pose[:3, :3])) for pose in (camera_from_head, camera_from_torso))
        posed = PosedGaussians(
            *placed(
                c.means, c.quats_wxyz, c.log_scales, c.opacity_logits, c.sh_coeffs[:, 0], deltas, torso_deltas, head,
                torso,
            )
        )  # fmt: skip
        coloured = sitting.code is not None and len(sitting.code) > 0
        return posed._replace(colors=c.colors(sitting.code)) if coloured else posed


def _placed(camera_from_part: Tensor, offset: Tensor | None) -> tuple[Tensor, Tensor]:
    """A part's pose (4, 4) with a sitting's offset, and the matrix (4, 4) that turns quaternions by it."""
    turn = quat_turn_matrix(camera_from_part[:3, :3])
    if offset is None:
        return camera_from_part, turn
    pose, quat_wxyz = moved_pose(camera_from_part, offset)
    return pose, quat_product_matrix(quat_wxyz) @ turn


def quat_turn_matrix(rotation: Tensor) -> Tensor:
    """(4, 4) matrix L with L @ q_wxyz = the quaternion of `rotation` (3, 3) times q."""
    if rotation.device.type != "cpu":
        return quat_product_matrix(quat_where_it_lies(rotation))
    w, x, y, z = rigid_rotation_quat_wxyz(rotation.detach().cpu().numpy()).tolist()
    rows = [[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]]
    return rotation.new_tensor(rows)


def quat_where_it_lies(rotation: Tensor) -> Tensor:
    """(4,) quaternion w, x, y, z of a rotation (3, 3), without waiting for the device that holds it.

    Source: Shepperd 1978, 'Quaternion from rotation matrix': of four forms, the one that divides by the most.
    """
    r = rotation.detach().flatten()
    xx, xy, xz, yx, yy, yz, zx, zy, zz = r.unbind()
    four_squares = torch.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz])
    forms = torch.stack(
        [
            torch.stack([four_squares[0], zy - yz, xz - zx, yx - xy]),
            torch.stack([zy - yz, four_squares[1], yx + xy, xz + zx]),
            torch.stack([xz - zx, yx + xy, four_squares[2], zy + yz]),
            torch.stack([yx - xy, xz + zx, zy + yz, four_squares[3]]),
        ]
    )
    best = forms.index_select(0, four_squares.argmax(dim=0, keepdim=True))[0]
    return functional.normalize(best, dim=0)
