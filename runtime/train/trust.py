"""Which pixels of a training frame are believed: what no other frame shows there must not burn in.

A hand or a microphone before the face is real light, but not the person. It is told by its error: wherever the
present rendering is much further off than it usually is at that place of the picture, over an area larger than lids
and teeth, the frame is not believed there, and its own rendering stands in for it, so that no loss of any kind pulls.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gstalker.runtime.regions import REFERENCE_SIZE_PX, head_torso_masks
from gstalker.runtime.train.frames import FrameTracks, PictureStore
from gstalker.runtime.train.pace import Window

BLOCK_PX_AT_256 = 8  # errors are compared block by block
WINDOW_BLOCKS = 5  # and averaged over so many each way: 40 px are more than a lid or a row of teeth
MEDIAN_STEP = 0.03  # share by which a block's usual error follows one frame's
AREA_SLACK = 0.25  # of the usual head area: a matte that differs by less is believed whole


@dataclass(frozen=True)
class TrustConfig:
    """When a part of a frame is not believed."""

    enabled: bool = True
    # Measured on a real speaker, over 5 x 5 blocks: a canonical face that does not move yet is off by at most 0.067 at
    # the mouth and 0.040 at the eyes, a trained one by 0.035 and 0.030; hands and microphones by 0.074 and more.
    floor: float = 0.07  # mean absolute error of colours 0..1 that is always believed
    ratio: float = 3.0  # times the usual error of a place that is believed, where that is more
    start_share: float = 0.15  # of all steps: before, the picture says more about training than about the frame


class PixelTrust:
    """What is usual at every place, and which part of a frame is unlike it."""

    def __init__(self, size_px: int, config: TrustConfig, steps: int, device: torch.device) -> None:
        """Begin with nothing known.

        Args:
            size_px: of the pictures.
            config: thresholds.
            steps: of the whole run.
            device: of the pictures.
        """
        self._config = config
        self._from = round(config.start_share * steps)
        self._block = max(2, round(BLOCK_PX_AT_256 * size_px / REFERENCE_SIZE_PX))
        blocks = -(-size_px // self._block)
        self.usual = torch.zeros(blocks, blocks, device=device)

    def believed(
        self, step: int, rgb: Tensor, alpha: Tensor, real: Tensor, matte: Tensor, window: Window | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The frame to compare with, and its matte, where it is not believed replaced by the rendering.

        Args:
            step: of training.
            rgb: (H, W, 3) and alpha: (H, W), rendered.
            real: (H, W, 3) and matte: (H, W), the frame.
            window: which part of the picture all four are; the whole if None.

        Returns:
            real and matte, themselves if all is believed; and the blocks' errors, for `learn`.
        """
        if not self._config.enabled:
            return real, matte, None
        with torch.no_grad():
            wide = self._wide((rgb - real).abs().mean(dim=2))
            covered = self._unlike(step, wide, rgb.shape[:2], window)
            if covered is None:
                return real, matte, wide
            # Equal to the rendering, not weighed: L1 pulls by its sign, however small the weight of a difference.
            return torch.where(covered[..., None], rgb, real), torch.where(covered, alpha, matte), wide

    def observe(self, step: int, error: Tensor) -> Tensor | None:
        """Learn a frame's (H, W) error; (H, W) bool where it is not believed, None if all of it is."""
        wide = self._wide(error)
        covered = self._unlike(step, wide, error.shape, None)
        self.learn(wide)
        return covered

    def learn(self, wide: Tensor, window: Window | None = None) -> None:
        """Let what is usual follow a frame's blocks; frames judged at once are learnt one after the other."""
        # A running median: many frames at one place outvote the few that something covers.
        usual = self._part(self.usual, window)
        moved = usual * torch.where(wide > usual, 1 + MEDIAN_STEP, 1 / (1 + MEDIAN_STEP))
        usual.copy_(torch.where(usual > 0, moved, wide.clamp(min=1e-3)))

    def _wide(self, error: Tensor) -> Tensor:
        blocks = functional.avg_pool2d(error[None, None], self._block, ceil_mode=True)
        around = WINDOW_BLOCKS // 2
        return functional.avg_pool2d(blocks, WINDOW_BLOCKS, 1, around, count_include_pad=False)[0, 0]

    def _part(self, blocks: Tensor, window: Window | None) -> Tensor:
        """A window's part of a map of blocks; windows begin and end on blocks."""
        if window is None:
            return blocks
        bottom, right = -(-(window.top + window.height) // self._block), -(-(window.left + window.width) // self._block)
        return blocks[window.top // self._block : bottom, window.left // self._block : right]

    def _unlike(self, step: int, wide: Tensor, size: tuple[int, ...], window: Window | None) -> Tensor | None:
        height, width = size
        if step < self._from:
            return None
        # The head moves, and with it what is usual: the worst of the neighbours counts.
        near = self._part(functional.max_pool2d(self.usual[None, None], 3, stride=1, padding=1)[0, 0], window)
        limit = (near * self._config.ratio).clamp(min=self._config.floor)
        unlike = wide > limit
        if unlike.device.type == "cpu" and not bool(unlike.any()):  # on a GPU, to ask is to wait
            return None
        # An occluder's own edge lies in blocks that are half like the person.
        grown = functional.max_pool2d(unlike[None, None].float(), 3, stride=1, padding=1)
        return functional.interpolate(grown, scale_factor=self._block)[0, 0, :height, :width] > 0


def matte_confidence(landmarks_px: np.ndarray, mattes: np.ndarray, depth_m: np.ndarray) -> np.ndarray:
    """How far frames' mattes are believed, by the area of the head they show.

    A hand at the cheek or a hole in the key changes that area; the head's distance does too, and is taken out.

    Args:
        landmarks_px: (T, 478, 2), mattes: (T, H, W) uint8, depth_m: (T,) of the head, all of one clip.

    Returns:
        (T,) float32: 1 within AREA_SLACK of the clip's median, falling to 0 at three times that.
    """
    heads = [head_torso_masks(p, m)[0].sum() for p, m in zip(landmarks_px, mattes, strict=True)]
    area = np.array(heads, np.float64) * depth_m**2
    off = np.abs(area / max(float(np.median(area)), 1e-9) - 1)
    return np.clip((3 * AREA_SLACK - off) / (2 * AREA_SLACK), 0, 1).astype(np.float32)


def weighed_by_matte(tracks: FrameTracks, pictures: PictureStore) -> FrameTracks:
    """The tracks with `matte_confidence` in every frame's confidence; all pictures must be decoded."""
    confidence = tracks.confidence.copy()
    for index in range(int(tracks.clip_of_frame.max()) + 1):
        rows, clip = tracks.clip_of_frame == index, pictures.clip(index)
        depth_m = tracks.camera_from_head[rows, 2, 3].astype(np.float64)
        confidence[rows] *= matte_confidence(tracks.landmarks_px[rows], clip.matte, depth_m)
    return dataclasses.replace(tracks, confidence=confidence)
