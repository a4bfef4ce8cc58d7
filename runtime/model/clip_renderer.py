"""Draw a clip's frames with a trained (or training) model: tracked poses in, pictures out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gstalker.kernels.camera import intrinsics, rigid_inverse
from gstalker.kernels.differentiable import rasterize
from gstalker.runtime.dataset import Clip, Dataset, Tracks
from gstalker.runtime.expression import expression_weights
from gstalker.runtime.model.audio_source import AudioSource, LogMelSource
from gstalker.runtime.model.avatar import STILL, AvatarModel
from gstalker.runtime.model.sittings import MEAN_SITTING, Sitting
from gstalker.runtime.poses import AvatarSpace, avatar_space, head_pose_vector, torso_camera_poses, torso_rigid_motion

TRUSTED_SHARE = 0.8  # of the clip's median confidence, from which a frame may stand for the clip


@dataclass(frozen=True)
class Driving:
    """What drives a rendering; by default everything is as the full avatar has it.

    Attributes:
        still: draw the canonical shape, no deltas at all.
        torso_from_field: place the torso where the torso field says, not where it was tracked.
        seat_from_frame: shift the field's torso by what one frame of the clip, `trusted_frame`, says: where somebody
            sits differs from clip to clip, and no head pose tells it.
    """

    still: bool = False
    torso_from_field: bool = False
    seat_from_frame: bool = False


@dataclass(frozen=True)
class DrivenClip:
    """What moves the avatar through a clip's frames, on the device.

    Attributes:
        codes: (T, A), expression: (T, E), head_pose: (T, 6) of avatar_from_head.
        torso_rigid: (T, 3) dx_m, dy_m, angle_rad.
        torso_stretch: (T, 3) how it is stretched besides.
        camera_from_head, camera_from_torso: (T, 4, 4).
        plate: (H, W, 3) 0..1.
        K: (3, 3) px.
    """

    codes: Tensor
    expression: Tensor
    head_pose: Tensor
    torso_rigid: Tensor
    torso_stretch: Tensor
    camera_from_head: Tensor
    camera_from_torso: Tensor
    plate: Tensor
    K: Tensor


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

    def drive(self, clip: Clip, codes: Tensor | None = None) -> DrivenClip:
        """Gather what moves the avatar through a clip.

        Args:
            clip: gives poses, expression, sound and backdrop.
            codes: (T, A) to use instead of those of the clip's own sound.
        """
        m = self._dataset.manifest
        if codes is None:
            codes = self.audio_codes(clip.samples, clip.entry.frame_count)
        heard = self._model.config
        weights = expression_weights(
            clip.tracks.blendshapes, m.blendshape_names, heard.controls, blinks_apart=heard.blinks_apart
        )
        poses = clip.tracks.camera_from_head.astype(np.float64)
        head_pose = self._tensor(head_pose_vector(rigid_inverse(self._space.camera_from_avatar) @ poses))
        torso_pose = torso_camera_poses(m, clip.tracks.torso_motion)
        rigid = torso_rigid_motion(m, clip.tracks.torso_motion)
        stretch = self._tensor(clip.tracks.torso_stretch)
        if self._driving.torso_from_field:
            tracked, rigid = rigid, self._model.torso.rigid_motion(head_pose).detach().cpu().numpy().astype(np.float64)
            if self._driving.seat_from_frame:
                at = trusted_frame(clip.tracks)
                rigid += tracked[at] - rigid[at]
                stretch = stretch[at].expand_as(stretch)
            else:
                stretch = self._model.torso.own_stretch.expand_as(stretch)
            torso_pose = torso_poses(rigid, self._space)
        return DrivenClip(
            codes=codes,
            expression=self._tensor(weights),
            head_pose=head_pose,
            torso_rigid=self._tensor(rigid),
            torso_stretch=stretch,
            camera_from_head=self._tensor(poses),
            camera_from_torso=self._tensor(torso_pose),
            plate=self._tensor(clip.plate) / 255.0,
            K=self._tensor(intrinsics(m.focal_px, m.size_px, m.size_px)),
        )

    def draw(self, driven: DrivenClip, frame: int, sitting: Sitting = MEAN_SITTING) -> Tensor:
        """(H, W, 3) one frame, not clamped; differentiable by the model and the sitting."""
        motion = STILL
        if not self._driving.still:
            motion = self._model.motion(
                driven.codes[frame], driven.expression[frame], driven.head_pose[frame],
                torso_rigid=driven.torso_rigid[frame], torso_stretch=driven.torso_stretch[frame],
            )  # fmt: skip
        posed = self._model.posed(driven.camera_from_head[frame], driven.camera_from_torso[frame], motion, sitting)
        size_px = self._dataset.manifest.size_px
        rgb, _ = rasterize(
            *posed, viewmat=torch.eye(4, device=self.device), K=driven.K, width_px=size_px, height_px=size_px,
            background=driven.plate, backend=self.device.type,
        )  # fmt: skip
        return rgb

    def pictures(
        self,
        clip: Clip,
        frame_indices: Sequence[int],
        codes: Tensor | None = None,
        sitting: Sitting = MEAN_SITTING,
    ) -> Iterator[np.ndarray]:
        """Draw frames.

        Args:
            clip: gives poses, expression, sound and backdrop.
            frame_indices: which frames.
            codes: (T, A) to use instead of those of the clip's own sound.
            sitting: how the clip departs from the mean of the training clips; not at all unless somebody says how.

        Yields:
            (H, W, 3) float32 0..1.
        """
        driven = self.drive(clip, codes)
        for t in frame_indices:
            yield self.draw(driven, t, sitting).clamp(0, 1).cpu().numpy()


def trusted_frame(tracks: Tracks) -> int:
    """The first frame whose head pose is about as sure as the clip's others."""
    confidence = tracks.pose_confidence
    return int(np.flatnonzero(confidence >= TRUSTED_SHARE * np.median(confidence))[0])


def torso_poses(rigid: np.ndarray, space: AvatarSpace) -> np.ndarray:
    """(T, 4, 4) camera_from_torso of rigid torso motions (T, 3): dx_m, dy_m, angle_rad in avatar space."""
    avatar_from_torso = np.zeros((len(rigid), 4, 4))
    cos, sin = np.cos(rigid[:, 2]), np.sin(rigid[:, 2])
    avatar_from_torso[:, 0, 0], avatar_from_torso[:, 0, 1] = cos, -sin
    avatar_from_torso[:, 1, 0], avatar_from_torso[:, 1, 1] = sin, cos
    avatar_from_torso[:, 2, 2] = avatar_from_torso[:, 3, 3] = 1
    avatar_from_torso[:, :3, 3] = space.torso_origin_avatar_m
    avatar_from_torso[:, :2, 3] += rigid[:, :2]
    return space.camera_from_avatar @ avatar_from_torso
