"""The frame that training starts from and the torso's motion is counted from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from gstalker.runtime.dataset import ClipEntry, Tracks
from gstalker.runtime.regions import eye_opening_px, lip_opening_px

# What each costs, so that one unit is "clearly not wanted": about one spread of the pose.
BLINK_COST = 4.0
MOUTH_COST = 3.0
DOUBT_COST = 4.0


@dataclass(frozen=True)
class Reference:
    """A clip's name and a frame in it."""

    clip: str
    frame: int


def choose_reference(entries: list[ClipEntry], tracks: list[Tracks], blendshape_names: tuple[str, ...]) -> Reference:
    """The training frame with mouth closed and eyes open whose head pose is nearest to the median one."""
    chosen = [(e, t) for e, t in zip(entries, tracks, strict=True) if e.split == "train"]
    poses = np.concatenate([t.camera_from_head for _, t in chosen]).astype(np.float64)
    landmarks = np.concatenate([t.landmarks_px for _, t in chosen])
    doubt = 1 - np.concatenate([t.pose_confidence for _, t in chosen])
    blend = np.concatenate([t.blendshapes for _, t in chosen])
    turned = Rotation.from_matrix(poses[:, :3, :3]).as_rotvec()
    pose = np.concatenate([turned, poses[:, :3, 3]], axis=1)
    off = pose - np.median(pose, axis=0)
    cost = np.linalg.norm(off / np.maximum(off.std(axis=0), [0.01] * 3 + [0.002] * 3), axis=1)
    eyes = eye_opening_px(landmarks).mean(axis=1)
    cost += BLINK_COST * np.clip(1 - eyes / max(1e-6, float(np.percentile(eyes, 60))), 0, 1) / 0.25
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        if name in blendshape_names:
            cost += BLINK_COST * (blend[:, blendshape_names.index(name)] > 0.4)
    lips = lip_opening_px(landmarks)
    cost += MOUTH_COST * lips / max(1e-6, float(np.median(lips)))
    cost += DOUBT_COST * doubt
    best = int(np.nanargmin(cost))
    for entry, track in chosen:
        if best < len(track.pose_confidence):
            return Reference(entry.name, best)
        best -= len(track.pose_confidence)
    raise AssertionError("the best frame lies in one of the clips")
