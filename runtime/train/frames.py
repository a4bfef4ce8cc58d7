"""The training frames in memory: every split's pictures with the pose, expression and sound of each frame."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import psutil
import torch
from torch import Tensor

from gstalker.kernels.camera import rigid_inverse
from gstalker.runtime import landmarks, regions
from gstalker.runtime.dataset import Clip, Dataset
from gstalker.runtime.expression import expression_weights
from gstalker.runtime.model.audio_encoder import AudioEncoderConfig
from gstalker.runtime.model.audio_source import AudioSource, LogMelSource
from gstalker.runtime.poses import AvatarSpace, head_pose_vector, torso_camera_poses, torso_rigid_motion

Residence = Literal["device", "pinned", "memory"]
MOST_DECODERS = 4  # clips that are decoded at once; one core is left for other work
RESERVED_BYTES = (
    4 << 30
)  # of a GPU's memory: 100 000 Gaussians with Adam take 0.1 GB, LPIPS and the rasterizer's lists more


@dataclass(frozen=True)
class FrameTracks:
    """Everything but pictures, for the F frames of a list of clips laid end to end.

    Attributes:
        clip_of_frame: (F,) index into the clip list.
        index_in_clip: (F,)
        camera_from_head, camera_from_torso: (F, 4, 4) float32, metres.
        head_pose: (F, 6) float32 rotation vector (rad) and translation (m) of avatar_from_head.
        torso_rigid: (F, 3) float32 dx_m, dy_m, angle_rad of the torso in avatar space, tracked.
        torso_stretch: (F, 3) float32 of the torso besides, tracked (`runtime.dataset.Tracks`).
        expression: (F, E) float32 weights that the field hears (`runtime.expression`).
        blink: (F, 2) float32 tracked eyeBlink weights, left and right, whether heard or not.
        mouth_shapes: (F, 27) float32 weights of MOUTH_BLENDSHAPES.
        landmarks_px: (F, 478, 2) float32.
        confidence: (F,) float32 of the pose, 0..1.
        mel_windows: (F, W, width) float32 what the audio encoder sees for a frame.
    """

    clip_of_frame: np.ndarray
    index_in_clip: np.ndarray
    camera_from_head: np.ndarray
    camera_from_torso: np.ndarray
    head_pose: np.ndarray
    torso_rigid: np.ndarray
    torso_stretch: np.ndarray
    expression: np.ndarray
    blink: np.ndarray
    mouth_shapes: np.ndarray
    landmarks_px: np.ndarray
    confidence: np.ndarray
    mel_windows: np.ndarray


def frame_tracks(
    dataset: Dataset,
    names: list[str],
    space: AvatarSpace,
    encoder: AudioEncoderConfig,
    source: AudioSource | None = None,
    controls: tuple[str, ...] = landmarks.EXPRESSION_BLENDSHAPES,
    *,
    blinks_apart: bool = True,
) -> FrameTracks:
    """Read tracks and sound of the named clips; windows of sound never cross from one clip into another.

    Args:
        encoder: says how far a window reaches.
        source: makes features of the sound; log-mel if None.
        controls: names of the E weights that the field hears.
        blinks_apart: as `runtime.expression.expression_weights` takes it.
    """
    source = source or LogMelSource()
    manifest = dataset.manifest
    columns = manifest.blendshape_names
    lids = [columns.index(n) for n in landmarks.LID_BLENDSHAPES]
    mouth = [columns.index(n) for n in landmarks.MOUTH_BLENDSHAPES]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in FrameTracks.__dataclass_fields__}
    for clip_index, name in enumerate(names):
        tracks = dataset.tracks(name)
        count = len(tracks.camera_from_head)
        avatar_from_head = rigid_inverse(space.camera_from_avatar) @ tracks.camera_from_head.astype(np.float64)
        torso_pose = torso_camera_poses(manifest, tracks.torso_motion)
        windows = source.windows(dataset.samples(name), count, encoder.left_mel_frames, encoder.right_mel_frames)
        parts["clip_of_frame"].append(np.full(count, clip_index))
        parts["index_in_clip"].append(np.arange(count))
        parts["camera_from_head"].append(tracks.camera_from_head.astype(np.float32))
        parts["camera_from_torso"].append(torso_pose.astype(np.float32))
        parts["head_pose"].append(head_pose_vector(avatar_from_head).astype(np.float32))
        parts["torso_rigid"].append(torso_rigid_motion(manifest, tracks.torso_motion).astype(np.float32))
        parts["torso_stretch"].append(tracks.torso_stretch)
        parts["expression"].append(expression_weights(tracks.blendshapes, columns, controls, blinks_apart=blinks_apart))
        parts["blink"].append(tracks.blendshapes[:, lids])
        parts["mouth_shapes"].append(tracks.blendshapes[:, mouth])
        parts["landmarks_px"].append(tracks.landmarks_px)
        parts["confidence"].append(tracks.pose_confidence)
        parts["mel_windows"].append(windows.astype(np.float32))
    return FrameTracks(**{name: np.concatenate(blocks) for name, blocks in parts.items()})


class FrameTables(NamedTuple):
    """What a step reads of a frame besides pictures, as tensors on the training device, a row a frame."""

    camera_from_head: Tensor
    camera_from_torso: Tensor
    head_pose: Tensor
    torso_rigid: Tensor
    torso_stretch: Tensor
    expression: Tensor
    mel_windows: Tensor


def tables_on(tracks: FrameTracks, device: torch.device) -> FrameTables:
    """Upload once what every step would upload; on the CPU nothing is copied."""
    return FrameTables(*(torch.from_numpy(getattr(tracks, name)).to(device) for name in FrameTables._fields))


class Picture(NamedTuple):
    """One training frame, floats 0..1 on the training device."""

    rgb: Tensor  # (H, W, 3)
    matte: Tensor  # (H, W)
    plate: Tensor  # (H, W, 3) the clip's backdrop


@dataclass(frozen=True)
class _ClipPictures:
    """A clip's pictures where training reads them, uint8."""

    rgb: Tensor
    matte: Tensor
    plate: Tensor


class PictureStore:
    """The pictures of a list of clips, decoded in the background while other work goes on.

    Pictures stay 8-bit, wherever they lie: 5 minutes at 256 x 256 take 2 GB, at 512 x 512 8 GB.
    """

    def __init__(self, dataset: Dataset, names: list[str], on_clip: Callable[[int], None] | None = None) -> None:
        self._dataset = dataset
        self._names = names
        self._clips: list[Clip | None] = [None] * len(names)
        self._settled: list[_ClipPictures] = []
        self._on_clip = on_clip
        pool = ThreadPoolExecutor(min(MOST_DECODERS, max((os.cpu_count() or 1) - 1, 1)), "decode")
        self._decoding = [pool.submit(self._decode, index) for index in range(len(names))]
        pool.shutdown(wait=False)

    def _decode(self, index: int) -> None:
        self._clips[index] = self._dataset.load(self._names[index])
        if self._on_clip:
            self._on_clip(index)

    def wait(self) -> None:
        """Block until every clip is decoded.

        Raises:
            InputError: whatever reading the first clip that cannot be read raised.
        """
        try:
            for clip in self._decoding:
                clip.result()
        except BaseException:
            for clip in self._decoding:
                clip.cancel()
            raise

    def clip(self, index: int) -> Clip:
        clip = self._clips[index]
        if clip is None:
            raise RuntimeError(f"clip {self._names[index]} is not decoded yet; call wait() first.")
        return clip

    def settle(self, device: torch.device) -> Residence:
        """Put all pictures where training reads them from, by `residence` and what is free now; after `wait`."""
        clips = [self.clip(index) for index in range(len(self._names))]
        size = sum(clip.rgb.nbytes + clip.matte.nbytes + clip.plate.nbytes for clip in clips)
        where: Residence = "memory"
        if device.type == "cuda":
            where = residence(size, torch.cuda.mem_get_info(device)[0], psutil.virtual_memory().available)
        place = {"device": lambda t: t.to(device), "pinned": Tensor.pin_memory, "memory": lambda t: t}[where]
        self._settled = [
            _ClipPictures(
                *(
                    place(torch.from_numpy(np.require(array, requirements=["C", "W"])))  # a plate may be read-only
                    for array in (clip.rgb, clip.matte, clip.plate)
                )
            )
            for clip in clips
        ]
        return where

    def picture(self, clip_index: int, frame: int, device: torch.device) -> Picture:
        """One frame; `settle` has been called."""
        clip = self._settled[clip_index]
        return Picture(
            *(
                pixels.to(device, non_blocking=True).float() / 255.0
                for pixels in (clip.rgb[frame], clip.matte[frame], clip.plate)
            )
        )

    def host_matte(self, clip_index: int, frame: int) -> Tensor:
        """(H, W) matte 0..1 on the CPU, wherever training reads it."""
        return torch.from_numpy(self.clip(clip_index).matte[frame]).float() / 255.0


def residence(pictures_bytes: int, free_device_bytes: int, free_memory_bytes: int) -> Residence:
    """Where pictures lie for training on a GPU, by what is free when training begins.

    "device": all on the GPU, if `RESERVED_BYTES` are left there for everything else; steps copy nothing.
    "pinned": in page-locked memory, from which copies run beside the GPU's work, if the second copy of the pictures
    takes at most half of the memory: locked pages can be given to nobody else.
    "memory": where they were decoded to; each copy then waits for the GPU.
    """
    if pictures_bytes + RESERVED_BYTES <= free_device_bytes:
        return "device"
    return "pinned" if 2 * pictures_bytes <= free_memory_bytes else "memory"


def mouth_boxes(tracks: FrameTracks, size_px: int) -> np.ndarray:
    """(F, 4) x0, y0, x1, y1 of every frame's mouth, px."""
    return np.array([regions.mouth_box(points, size_px) for points in tracks.landmarks_px])


def eye_box_pairs(tracks: FrameTracks, size_px: int) -> np.ndarray:
    """(F, 2, 4) boxes of every frame's right and left eye, px."""
    return np.array([regions.eye_boxes(points, size_px) for points in tracks.landmarks_px])
