"""Gather the tracked inputs that a run keeps (`runtime.model.driving_samples`)."""

from __future__ import annotations

import numpy as np

from gstalker.kernels.camera import rigid_inverse
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.expression import RANGE_PERCENTILES, control_ranges
from gstalker.runtime.model.driving_samples import DrivingSamples
from gstalker.runtime.poses import AvatarSpace
from gstalker.runtime.train.frames import FrameTracks, PictureStore

SAMPLES = 300
BLINK_SEEN = 0.4  # mean blink weight of both eyes that counts as one
PLACE_SPREAD_FLOOR = 1e-4  # m or rad: clips that differ by less are alike


def driving_samples(
    dataset: Dataset,
    names: list[str],
    tracks: FrameTracks,
    pictures: PictureStore,
    space: AvatarSpace,
    controls: tuple[str, ...],
) -> DrivingSamples:
    """Samples spread evenly over all training frames, and the calmest clip as idle motion."""
    count = len(tracks.clip_of_frame)
    rows = np.unique(np.linspace(0, count - 1, min(SAMPLES, count)).astype(int))
    calm = tracks.clip_of_frame == calmest_clip(tracks)
    avatar_from_camera = rigid_inverse(space.camera_from_avatar)
    low, high = np.array(control_ranges(tracks.expression, controls)).reshape(len(controls), 2).T
    pose_low, pose_high = np.percentile(tracks.head_pose, RANGE_PERCENTILES, axis=0)
    m = dataset.manifest
    clip = pictures.clip(names.index(m.reference_clip))
    return DrivingSamples(
        mel_windows=tracks.mel_windows[rows],
        expression=tracks.expression[rows],
        head_pose=tracks.head_pose[rows],
        expression_low=low.astype(np.float32),
        expression_high=high.astype(np.float32),
        head_pose_low=pose_low.astype(np.float32),
        head_pose_high=pose_high.astype(np.float32),
        idle_avatar_from_head=(avatar_from_camera @ tracks.camera_from_head[calm]).astype(np.float32),
        idle_expression=tracks.expression[calm],
        idle_avatar_from_torso=(avatar_from_camera @ tracks.camera_from_torso[calm]).astype(np.float32),
        idle_torso_stretch=tracks.torso_stretch[calm],
        reference_rgb=clip.rgb[m.reference_frame],
        plate_rgb=clip.plate,
    )


def calmest_clip(tracks: FrameTracks) -> int:
    """A clip with little head motion and an ordinary place of head and torso, with a blink if any clip has one.

    It is what the exported avatar idles in and where its torso sits (`idle_seat`): from the edge of what was seen, a
    head that somebody else moves would soon show neck and collar that no picture taught.
    """
    clips = range(int(tracks.clip_of_frame.max()) + 1)
    motion = np.concatenate([tracks.head_pose, tracks.torso_rigid], axis=1)
    places = np.array([motion[tracks.clip_of_frame == clip].mean(axis=0) for clip in clips])
    spread = np.maximum(places.std(axis=0), PLACE_SPREAD_FLOOR)
    aside = np.sqrt((((places - places.mean(axis=0)) / spread) ** 2).mean(axis=1))
    travel = np.array([tracks.head_pose[tracks.clip_of_frame == clip].std(axis=0).sum() for clip in clips])
    travel /= max(float(np.median(travel)), PLACE_SPREAD_FLOOR)
    blinks = [tracks.blink[tracks.clip_of_frame == clip].mean(axis=1).max() > BLINK_SEEN for clip in clips]
    return min(clips, key=lambda clip: (not blinks[clip], travel[clip] + aside[clip]))
