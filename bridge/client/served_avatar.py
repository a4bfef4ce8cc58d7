"""A served avatar as a client knows it: what the welcome said, and how its frames are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.bridge.errors import WireError
from gstalker.bridge.schema import FrameF32, FrameQ16, Welcome
from gstalker.kernels import cpu
from gstalker.kernels.camera import Camera
from gstalker.kernels.frame import PART_HEAD, PART_TORSO, Frame, assemble
from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.quantise import QuantisationBox, unpack_movers
from gstalker.kernels.rendered_image import RenderedImage
from gstalker.runtime.session import pose_from_rows


@dataclass(frozen=True)
class ServedAvatar:
    """Who is served and how.

    Attributes:
        welcome: the message itself: name, likeness, notice, versions.
        canonical: N Gaussians in the space of their part, movers first.
        part_ids: (N,) uint8, 0 head, 1 torso.
        box: what the 16-byte codes divide.
        camera: the bundle's own, avatar space as its world.
        plate: (H, W, 3) uint8 backdrop; background: the same as float32 in 0..1.
    """

    welcome: Welcome
    canonical: Gaussians
    part_ids: np.ndarray
    box: QuantisationBox
    camera: Camera
    plate: np.ndarray
    background: np.ndarray

    @classmethod
    def from_welcome(cls, welcome: Welcome) -> ServedAvatar:
        """Raises WireError where the parts of the message contradict each other."""
        if welcome.mover_count > welcome.gaussian_count:
            raise WireError(
                f"welcome.mover_count: expected at most {welcome.gaussian_count}, got {welcome.mover_count}."
            )
        if not np.isin(welcome.part_ids, (PART_HEAD, PART_TORSO)).all():
            raise WireError(f"welcome.part_ids: expected 0 or 1, got {np.unique(welcome.part_ids)[:8].tolist()}.")
        try:
            box = QuantisationBox(
                position_min_m=_three(welcome.box_position_min_m),
                position_max_m=_three(welcome.box_position_max_m),
                log_scale_min=welcome.box_log_scale_min,
                log_scale_max=welcome.box_log_scale_max,
            )
        except ValueError as error:
            raise WireError(f"welcome.box: {error}") from error
        return cls(
            welcome=welcome,
            canonical=Gaussians(
                means=welcome.means,
                quats_wxyz=welcome.quats_wxyz,
                scales=welcome.scales,
                opacities=welcome.opacities,
                sh_coeffs=welcome.sh_coeffs,
            ),
            part_ids=welcome.part_ids,
            box=box,
            camera=Camera(
                viewmat=pose_from_rows(welcome.camera_from_avatar),
                K=np.array(welcome.K).reshape(3, 3),
                width_px=welcome.width_px,
                height_px=welcome.height_px,
            ),
            plate=welcome.plate,
            background=welcome.plate.astype(np.float32) / 255,
        )

    @property
    def fps(self) -> int:
        return self.welcome.fps

    def check_movers(self, message: FrameQ16 | FrameF32) -> None:
        """Raises WireError where a frame has another number of movers than the welcome said."""
        if message.mover_count != self.welcome.mover_count:
            raise WireError(
                f"{message.TOPIC}.mover_count: expected {self.welcome.mover_count} as in the welcome, got "
                f"{message.mover_count}."
            )

    def frame(self, message: FrameQ16 | FrameF32) -> Frame:
        """Decode one frame message.

        Raises:
            WireError: it has another number of movers than the welcome said.
        """
        self.check_movers(message)
        if isinstance(message, FrameQ16):
            means, quats_wxyz, scales, opacities = unpack_movers(message.movers, self.box)
        else:
            means, quats_wxyz, scales, opacities = message.means, message.quats_wxyz, message.scales, message.opacities
        return Frame(
            index=message.index,
            time_s=message.time_s,
            means=means,
            quats_wxyz=quats_wxyz,
            scales=scales,
            opacities=opacities,
            avatar_from_head=pose_from_rows(message.avatar_from_head),
            avatar_from_torso=pose_from_rows(message.avatar_from_torso),
        )

    def assemble(self, frame: Frame) -> Gaussians:
        """All N Gaussians of a frame in avatar space."""
        return assemble(self.canonical, self.part_ids, frame)

    def render(self, frame: Frame) -> RenderedImage:
        """Draw a frame on the CPU before the backdrop, as the bundle's own camera sees it."""
        return cpu.render(self.assemble(frame), self.camera, self.background)


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    x, y, z = values
    return x, y, z
