"""A view drawn by the package's shaders, by the reference, and how far apart the two are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from helpers.unity_shaders.avatar import NO_BUDGET, Avatar
from helpers.unity_shaders.gpu import Gpu
from helpers.unity_shaders.scenes import Scene, View, mixed_pose, placed
from helpers.unity_shaders.unity_camera import WORLD_FROM_OPENCV, unity_eye

from gstalker.kernels import reference

LEAST_PSNR_DB = 45.0
OFF = 2 / 255
MOST_OFF = 1e-3
MIX = 0.4
BACKGROUND = np.array([0.35, 0.5, 0.2])


@dataclass(frozen=True)
class Agreement:
    """How far two pictures are apart: PSNR, share of pixels off by more than 2/255 in any channel, the worst one."""

    psnr_db: float
    share_off: float
    worst: float
    worst_at: tuple[int, int]

    @property
    def good(self) -> bool:
        return self.psnr_db >= LEAST_PSNR_DB and self.share_off <= MOST_OFF

    def __str__(self) -> str:
        return (
            f"PSNR {self.psnr_db:.1f} dB of at least {LEAST_PSNR_DB}, {self.share_off:.3%} of pixels off by more than "
            f"2/255 of at most {MOST_OFF:.1%}, worst {255 * self.worst:.1f}/255 at row, column {self.worst_at}"
        )


def agreement(picture: np.ndarray, wanted: np.ndarray) -> Agreement:
    """Compare (H, W, 3) pictures in display space."""
    error = np.abs(picture - wanted)
    by_pixel = error.max(axis=-1)
    at = np.unravel_index(np.argmax(by_pixel), by_pixel.shape)
    return Agreement(
        psnr_db=float(-10 * np.log10(max((error**2).mean(), 1e-20))),
        share_off=float((by_pixel > OFF).mean()),
        worst=float(by_pixel.max()),
        worst_at=(int(at[0]), int(at[1])),
    )


def avatar_of(gpu: Gpu, scene: Scene) -> Avatar:
    return Avatar(gpu, scene.canonical, scene.part_ids, scene.box)


def splat_picture(
    gpu: Gpu, avatar: Avatar, scene: Scene, view: View, *, mix: float = MIX, budget: int = NO_BUDGET
) -> np.ndarray:
    """(H, W, 4) premultiplied splats of a view in a half-float target as Unity's, top row first."""
    camera = view.camera
    size = camera.width_px, camera.height_px
    avatar.show(scene.steps[0].movers, scene.steps[1].movers, mix)
    place = np.eye(4) if view.world_from_avatar is None else view.world_from_avatar
    avatar.project(
        [unity_eye(camera, flipped=view.flipped)],
        size,
        [mixed_pose(scene, part, mix) for part in (0, 1)],
        WORLD_FROM_OPENCV @ place @ WORLD_FROM_OPENCV,
        budget=budget,
    )
    target = gpu.target(*size)
    avatar.draw(target, clear=True)
    picture = gpu.pixels(target.color)
    return picture[::-1] if view.flipped else picture


def over(splats: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Premultiplied splats over a background, in display space."""
    return splats[..., :3] + (1 - splats[..., 3:]) * background


@cache
def reference_picture(scene: Scene, view: View, mix: float = MIX) -> np.ndarray:
    """(H, W, 3) of the same view by the float64 reference."""
    return reference.render(placed(scene, mix, view.world_from_avatar), view.camera, BACKGROUND).rgb
