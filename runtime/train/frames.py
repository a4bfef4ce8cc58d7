"""The training frames in memory: every split's pictures with the pose, expression and sound of each frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gstalker.kernels.camera import rigid_inverse
from gstalker.runtime import landmarks, regions
from gstalker.runtime.dataset import Clip, Dataset
from gstalker.runtime.expression import expression_weights
from gstalker.runtime.model.audio_encoder import AudioEncoderConfig
from gstalker.runtime.model.audio_source import AudioSource, LogMelSource
from gstalker.runtime.poses import AvatarSpace, head_pose_vector, torso_camera_poses


@dataclass(frozen=True)
class FrameTracks:
    """Everything but pictures, for the F frames of a list of clips laid end to end.

    Attributes:
        clip_of_frame: (F,) index into the clip list.
        index_in_clip: (F,)
        camera_from_head, camera_from_torso: (F, 4, 4) float32, metres.
        head_pose: (F, 6) float32 rotation vector (rad) and translation (m) of avatar_from_head.
        torso_rigid: (F, 3) float32 dx_m, dy_m, angle_rad of the torso in avatar space, tracked.
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
) -> FrameTracks:
    """Read tracks and sound of the named clips; windows of sound never cross from one clip into another.

    Args:
        encoder: says how far a window reaches.
        source: makes features of the sound; log-mel if None.
        controls: names of the E weights that the field hears.
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
        metres_per_px = manifest.torso_depth_m / manifest.focal_px
        windows = source.windows(dataset.samples(name), count, encoder.left_mel_frames, encoder.right_mel_frames)
        parts["clip_of_frame"].append(np.full(count, clip_index))
        parts["index_in_clip"].append(np.arange(count))
        parts["camera_from_head"].append(tracks.camera_from_head.astype(np.float32))
        parts["camera_from_torso"].append(torso_pose.astype(np.float32))
        parts["head_pose"].append(head_pose_vector(avatar_from_head).astype(np.float32))
        parts["torso_rigid"].append((tracks.torso_motion * [metres_per_px, metres_per_px, 1]).astype(np.float32))
        parts["expression"].append(expression_weights(tracks.blendshapes, columns, controls))
        parts["blink"].append(tracks.blendshapes[:, lids])
        parts["mouth_shapes"].append(tracks.blendshapes[:, mouth])
        parts["landmarks_px"].append(tracks.landmarks_px)
        parts["confidence"].append(tracks.pose_confidence)
        parts["mel_windows"].append(windows.astype(np.float32))
    return FrameTracks(**{name: np.concatenate(blocks) for name, blocks in parts.items()})


class PictureStore:
    """The pictures of a list of clips, decoded in the background while other work goes on.

    Pictures stay 8-bit: 5 minutes at 256 x 256 take 2 GB.
    """

    def __init__(self, dataset: Dataset, names: list[str], on_clip: Callable[[int], None] | None = None) -> None:
        self._dataset = dataset
        self._names = names
        self._clips: list[Clip | None] = [None] * len(names)
        self._error: BaseException | None = None
        self._on_clip = on_clip
        self._thread = threading.Thread(target=self._decode, daemon=True)
        self._thread.start()

    def _decode(self) -> None:
        try:
            for index, name in enumerate(self._names):
                self._clips[index] = self._dataset.load(name)
                if self._on_clip:
                    self._on_clip(index)
        except BaseException as error:  # handed to the caller's thread by wait()
            self._error = error

    def wait(self) -> None:
        """Block until every clip is decoded.

        Raises:
            InputError: whatever reading the dataset raised.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error

    def clip(self, index: int) -> Clip:
        clip = self._clips[index]
        if clip is None:
            raise RuntimeError(f"clip {self._names[index]} is not decoded yet; call wait() first.")
        return clip

    def picture(self, clip_index: int, frame: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """One frame as floats 0..1: rgb (H, W, 3), matte (H, W) and the clip's backdrop (H, W, 3)."""
        clip = self.clip(clip_index)
        rgb, matte, plate = (
            torch.tensor(array, device=device).float() / 255.0
            for array in (clip.rgb[frame], clip.matte[frame], clip.plate)
        )
        return rgb, matte, plate


def mouth_boxes(tracks: FrameTracks, size_px: int) -> np.ndarray:
    """(F, 4) x0, y0, x1, y1 of every frame's mouth, px."""
    return np.array([regions.mouth_box(points, size_px) for points in tracks.landmarks_px])


def eye_box_pairs(tracks: FrameTracks, size_px: int) -> np.ndarray:
    """(F, 2, 4) boxes of every frame's right and left eye, px."""
    return np.array([regions.eye_boxes(points, size_px) for points in tracks.landmarks_px])
