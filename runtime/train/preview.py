"""A strip of held-out frames during training: real above rendered above difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.model.audio_source import AudioSource
from gstalker.runtime.model.avatar import AvatarModel
from gstalker.runtime.model.clip_renderer import ClipRenderer

COLUMNS = 6


def write_preview(
    model: AvatarModel, device: str, dataset: Dataset, path: Path, source: AudioSource | None = None
) -> np.ndarray:
    """Draw frames spread over a held-out clip (a training clip where there is none), save and return the strip.

    Returns:
        (3 H, COLUMNS W, 3) uint8.
    """
    entries = dataset.clips("test") or dataset.clips("train")
    clip = dataset.load(entries[0].name)
    indices = np.linspace(0, clip.entry.frame_count - 1, COLUMNS).astype(int)
    with torch.no_grad():
        renderer = ClipRenderer(model, dataset, device, source=source)
        drawn = list(renderer.pictures(clip, indices.tolist()))
    columns = []
    for index, picture in zip(indices, drawn, strict=True):
        real = clip.rgb[index]
        shown = np.clip(np.round(picture * 255), 0, 255).astype(np.uint8)
        difference = np.abs(shown.astype(int) - real.astype(int)) * 4
        columns.append(np.concatenate([real, shown, np.clip(difference, 0, 255).astype(np.uint8)]))
    strip = np.concatenate(columns, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(strip).save(path)
    return strip
