"""Where the exported avatar sits: as in its idle clip, so that torsos tracked and told by the head agree.

A head's pose does not tell where somebody sits; the torso field of a run holds the mean over its clips. A bundle
carries one clip's tracked motion for idle moments, and its field takes over where the head is moved by somebody
else: with two seats the torso would jump there.
"""

from __future__ import annotations

import numpy as np
import torch

from gstalker.runtime.model.avatar import AvatarModel
from gstalker.runtime.model.driving_samples import DrivingSamples
from gstalker.runtime.poses import AvatarSpace, head_pose_vector


def take_idle_seat(model: AvatarModel, samples: DrivingSamples, space: AvatarSpace) -> np.ndarray:
    """Shift the torso field, in place, by its mean distance from the idle clip's tracked torso, and stretch it alike.

    Returns:
        (3,) the shift: dx_m, dy_m, angle_rad.
    """
    head_pose = torch.from_numpy(head_pose_vector(samples.idle_avatar_from_head)).float()
    told = model.torso.rigid_motion(head_pose).detach().cpu().numpy()
    shift = (rigid_of_poses(samples.idle_avatar_from_torso, space) - told).mean(axis=0)
    model.torso.shift_rigid(torch.from_numpy(shift).float())
    model.torso.own_stretch.copy_(torch.from_numpy(samples.idle_torso_stretch).mean(dim=0))
    return shift


def rigid_of_poses(avatar_from_torso: np.ndarray, space: AvatarSpace) -> np.ndarray:
    """(T, 3) dx_m, dy_m, angle_rad of torso poses (T, 4, 4) in the picture plane."""
    place = avatar_from_torso[:, :2, 3] - space.torso_origin_avatar_m[:2]
    angle = np.arctan2(avatar_from_torso[:, 1, 0], avatar_from_torso[:, 0, 0])
    return np.concatenate([place, angle[:, None]], axis=1).astype(np.float64)
