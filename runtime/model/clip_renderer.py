"""Draw a clip's frames with a trained (or training) model: tracked poses in, pictures out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gstalker.kernels.camera import intrinsics, rigid_inverse
from gstalker.kernels.differentiable import rasterize
from gstalker.runtime import landmarks
from gstalker.runtime.dataset import Clip, Dataset
from gstalker.runtime.model.audio_source import AudioSource, LogMelSource
from gstalker.runtime.model.avatar import STILL, AvatarModel
from gstalker.runtime.poses import AvatarSpace, avatar_space, head_pose_vector, torso_camera_poses


@dataclass(frozen=True)
class Driving:
    """What drives a rendering; by default everything is as the full avatar has it.

    Attributes:
        still: draw the canonical shape, no deltas at all.
        torso_from_field: place the torso where the torso field says, not where it was tracked.
    """

    still: bool = False
    torso_from_field: bool = False


class ClipRenderer:
    """Renders frames of dataset clips over the clip's own backdrop."""

    def __init__(
        self,
        model: AvatarModel,
        dataset: Dataset,
        device: str = "cpu",
        driving: Driving | None = None,
        source: AudioSource | None = None,
    ) -> None:
        """Prepare to draw; `source` is what the model hears with, log-mel if None."""
        self._model = model
        self._dataset = dataset
        self.device = torch.device(device)
        self._driving = driving or Driving()
        self._source = source or LogMelSource()
        self._space = avatar_space(dataset)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.tensor(array, dtype=torch.float32, device=self.device)

    def audio_codes(self, samples: np.ndarray, frame_count: int) -> Tensor:
        """(T, A) codes of 16 kHz speech."""
        encoder = self._model.config.audio
        windows = self._source.windows(samples, frame_count, encoder.left_mel_frames, encoder.right_mel_frames)
        return self._model.audio(self._tensor(windows))[:, 0]

    def pictures(self, clip: Clip, frame_indices: Sequence[int], codes: Tensor | None = None) -> Iterator[np.ndarray]:
        """Draw frames.

        Args:
            clip: gives poses, expression, sound and backdrop.
            frame_indices: which frames.
            codes: (T, A) to use instead of those of the clip's own sound.

        Yields:
            (H, W, 3) float32 0..1.
        """
        m = self._dataset.manifest
        K = self._tensor(intrinsics(m.focal_px, m.size_px, m.size_px))
        if codes is None:
            codes = self.audio_codes(clip.samples, clip.entry.frame_count)
        columns = [m.blendshape_names.index(n) for n in landmarks.EXPRESSION_BLENDSHAPES]
        poses = clip.tracks.camera_from_head.astype(np.float64)
        head_pose = self._tensor(head_pose_vector(rigid_inverse(self._space.camera_from_avatar) @ poses))
        torso_pose = torso_camera_poses(m, clip.tracks.torso_motion)
        if self._driving.torso_from_field:
            torso_pose = field_torso_poses(self._model, head_pose, self._space)
        plate = self._tensor(clip.plate) / 255.0
        for t in frame_indices:
            expression = self._tensor(clip.tracks.blendshapes[t, columns])
            motion = STILL if self._driving.still else self._model.motion(codes[t], expression, head_pose[t])
            posed = self._model.posed(self._tensor(poses[t]), self._tensor(torso_pose[t]), motion)
            rgb, _ = rasterize(
                *posed, viewmat=torch.eye(4, device=self.device), K=K, width_px=m.size_px, height_px=m.size_px,
                background=plate, backend=self.device.type,
            )  # fmt: skip
            yield rgb.clamp(0, 1).cpu().numpy()


def field_torso_poses(model: AvatarModel, head_pose: Tensor, space: AvatarSpace) -> np.ndarray:
    """(T, 4, 4) camera_from_torso that the torso field gives for head poses (T, 6)."""
    rigid = model.torso.rigid_motion(head_pose).detach().cpu().numpy().astype(np.float64)
    avatar_from_torso = np.zeros((len(rigid), 4, 4))
    cos, sin = np.cos(rigid[:, 2]), np.sin(rigid[:, 2])
    avatar_from_torso[:, 0, 0], avatar_from_torso[:, 0, 1] = cos, -sin
    avatar_from_torso[:, 1, 0], avatar_from_torso[:, 1, 1] = sin, cos
    avatar_from_torso[:, 2, 2] = avatar_from_torso[:, 3, 3] = 1
    avatar_from_torso[:, :3, 3] = space.torso_origin_avatar_m
    avatar_from_torso[:, :2, 3] += rigid[:, :2]
    return space.camera_from_avatar @ avatar_from_torso
