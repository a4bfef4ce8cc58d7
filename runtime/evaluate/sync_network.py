"""Two small networks that meet: what lips do in 0.4 s and what is heard in 0.4 s, as unit vectors that agree in sync.

Built like SyncNet (Chung and Zisserman 2016, Out of Time), far smaller: lips come as landmarks instead of pixels,
sound as log-mel, and both networks are convolutions over time, so that a whole clip is one pass. Its score is a
surrogate of theirs, on another scale, and says so wherever it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gstalker.runtime.audio import DEFAULT_LOG_MEL, log_mel
from gstalker.runtime.landmarks import LIPS, LIPS_OUTER

MEL_FRAMES_PER_VIDEO_FRAME = 4
BANDS = 20  # log-mel bands after averaging four by four
LIP_HALF_VIEW = 4  # video frames on each side of a lip vector's own
MEL_HALF_VIEW = 18  # mel frames on each side of a sound vector's own
CORNERS = (LIPS.index(LIPS_OUTER[0]), LIPS.index(LIPS_OUTER[10]))  # 61 right, 291 left
LIP_UNIT = 0.05  # of a mouth's width: about how far lip points move in speech


@dataclass(frozen=True)
class SyncSizes:
    """Sizes of both networks."""

    lip_components: int = 8  # principal components of the lips' shape
    channels: int = 48
    vector: int = 32  # where both meet


class SyncNetwork(nn.Module):
    """Lips and sound to unit vectors."""

    basis: Tensor  # (lip_components, 80) rows; fixed by the speech it was trained on

    def __init__(self, sizes: SyncSizes) -> None:
        super().__init__()
        width = sizes.channels
        self.register_buffer("basis", torch.zeros(sizes.lip_components, 2 * len(LIPS)))
        self.lips = nn.Sequential(
            nn.Conv1d(sizes.lip_components, width, 5), nn.ReLU(), nn.Dropout(0.2),
            nn.Conv1d(width, width, 5), nn.ReLU(), nn.Dropout(0.2),
            nn.Conv1d(width, sizes.vector, 1),
        )  # fmt: skip
        self.sound = nn.Sequential(
            nn.Conv1d(BANDS, width, 5), nn.ReLU(), nn.Dropout(0.2),
            nn.Conv1d(width, width, 5, dilation=2), nn.ReLU(), nn.Dropout(0.2),
            nn.Conv1d(width, width, 5, dilation=4), nn.ReLU(), nn.Dropout(0.2),
            nn.Conv1d(width, width, 3, dilation=4), nn.ReLU(),
            nn.Conv1d(width, sizes.vector, 1),
        )  # fmt: skip
        self.log_sharpness = nn.Parameter(torch.tensor(2.0))  # of the softmax in training

    def lip_vectors(self, lips: Tensor) -> Tensor:
        """(B, T, 80) of `lip_shapes` -> (B, T - 8, vector): the first stands at frame 4."""
        return functional.normalize(self.lips((lips @ self.basis.T).transpose(1, 2)), dim=1).transpose(1, 2)

    def sound_vectors(self, mel: Tensor) -> Tensor:
        """(B, M, 20) of `sound_frames` -> (B, M - 36, vector): the first stands at mel frame 18."""
        return functional.normalize(self.sound(mel.transpose(1, 2)), dim=1).transpose(1, 2)


def lip_shapes(landmarks_px: np.ndarray) -> np.ndarray | None:
    """(T, 80) float32 how the lips differ from their mean over the clip, in twentieths of a mouth's width.

    Where the mouth is, how large it is in the picture, how the head is rolled and who it belongs to is taken away.

    Args:
        landmarks_px: (T, 478, 2); frames without a face are NaN and are filled in from their neighbours.

    Returns:
        None where fewer than two frames hold a face.
    """
    points = np.asarray(landmarks_px, np.float64)[:, list(LIPS)]
    known = np.isfinite(points).all(axis=(1, 2))
    if known.sum() < 2:
        return None
    flat = points.reshape(len(points), -1)
    places = np.arange(len(points))
    points = np.stack([np.interp(places, places[known], c[known]) for c in flat.T], axis=1).reshape(points.shape)
    across = points[:, CORNERS[1]] - points[:, CORNERS[0]]
    angle = np.arctan2(across[:, 1], across[:, 0])
    cos, sin = np.cos(angle), np.sin(angle)
    centred = points - points.mean(axis=1, keepdims=True)
    x = centred[..., 0] * cos[:, None] + centred[..., 1] * sin[:, None]
    y = centred[..., 1] * cos[:, None] - centred[..., 0] * sin[:, None]
    upright = np.stack([x, y], axis=2) / max(float(np.median(np.linalg.norm(across, axis=1))), 1e-6)
    return ((upright - upright.mean(axis=0)) / LIP_UNIT).reshape(len(points), -1).astype(np.float32)


def sound_frames(samples: np.ndarray, frame_count: int, margin: int) -> np.ndarray:
    """(4 T + 2 margin, 20) float32 log-mel of a clip of T video frames, silence before and after it."""
    mel = log_mel(samples)[: MEL_FRAMES_PER_VIDEO_FRAME * frame_count]
    pooled = mel.reshape(len(mel), BANDS, -1).mean(axis=2)
    frames = np.full((MEL_FRAMES_PER_VIDEO_FRAME * frame_count + 2 * margin, BANDS), DEFAULT_LOG_MEL.silence)
    frames[margin : margin + len(pooled)] = pooled
    return frames.astype(np.float32)
