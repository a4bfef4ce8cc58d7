"""A few minutes of one person's speech made to teach like more: passages at another tempo, and other voices.

The encoder sees every word dozens of times. Said a little faster or slower, lips and sound alike, no two passages
are the same and none stands on the same tens of milliseconds; louder, softer, higher, lower or noisier, they stand
for people and rooms that were not recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gstalker.runtime.model.audio_encoder import MEL_FRAMES_PER_VIDEO_FRAME


@dataclass(frozen=True)
class Passages:
    """Stretches of speech with what the lips do meanwhile.

    Attributes:
        features: (B, L, width) feature frames, as many as T codes need.
        values: (B, T, D) targets.
        known: (B, T) 1 where the clip has a frame, 0 beyond its end.
    """

    features: Tensor
    values: Tensor
    known: Tensor


class SpokenClips:
    """Whole clips, from which passages are cut.

    Row 0 of a clip's features is the first that its first frame's window holds, `left` before the frame's own.
    """

    def __init__(self, features: Sequence[Tensor], values: Sequence[Tensor], left: int, window: int) -> None:
        """Features (rows, width) and values (frames, D) of each clip; windows of `window` rows."""
        self._features, self._values = _laid_end_to_end(features), _laid_end_to_end(values)
        self._frames = torch.tensor([len(v) for v in values])
        self._left, self._window = left, window

    def __len__(self) -> int:
        return len(self._frames)

    def passages(self, count: int, frames: int, tempo: float, generator: torch.Generator) -> Passages:
        """Cut so many passages of so many frames at random places.

        Args:
            tempo: each is said at up to e^tempo times its tempo or as many times slower; 0 leaves them as they are.
        """
        clips = torch.randint(len(self), (count,), generator=generator)
        rates = torch.exp(tempo * (2 * torch.rand(count, generator=generator) - 1))
        last = self._frames[clips] - 1.0
        room = (last - (frames - 1) * rates).clamp(min=0)
        starts = torch.rand(count, generator=generator) * room
        if tempo == 0:
            starts = starts.round()  # on the clip's own frames, which stay what they are
        times = starts[:, None] + rates[:, None] * torch.arange(frames)
        known = (times <= last[:, None] + 1e-3).float()
        wanted = torch.arange(self._window + MEL_FRAMES_PER_VIDEO_FRAME * (frames - 1)) - self._left
        rows = self._left + MEL_FRAMES_PER_VIDEO_FRAME * starts[:, None] + rates[:, None] * wanted
        return Passages(_between(self._features, clips, rows), _between(self._values, clips, times), known)


def _laid_end_to_end(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """All rows, where each part begins, and how long it is."""
    lengths = torch.tensor([len(p) for p in parts])
    return torch.cat(list(parts)), torch.cumsum(lengths, 0) - lengths, lengths


def _between(laid: tuple[Tensor, Tensor, Tensor], parts: Tensor, rows: Tensor) -> Tensor:
    """(B, n, width) rows at (B, n) fractional places of the given parts; a part's first and last row go on outside."""
    values, begins, lengths = laid
    last = (lengths[parts] - 1)[:, None]
    rows = torch.minimum(rows.clamp(min=0), last.float())
    low = rows.floor().long()
    share = (rows - low)[..., None]
    begin = begins[parts][:, None]
    return torch.lerp(values[begin + low], values[begin + torch.minimum(low + 1, last)], share)


@dataclass(frozen=True)
class VoiceConfig:
    """How far a passage's voice and room are changed; features are about 1 in spread, 4 of ln(power) each."""

    warp: float = 0.04  # deviation of the logarithm by which the mel axis is stretched: another vocal tract
    shift_bands: float = 1.5  # deviation of its shift
    gain: float = 0.3  # deviation of the level
    tilt: float = 0.2  # deviation of each of `tilt_points` of a smooth equaliser: another room or microphone
    tilt_points: int = 6
    noise: float = 0.1  # deviation of every feature
    masked_bands: int = 12  # a masked stretch of bands is up to so wide


def other_voices(features: Tensor, share: float, config: VoiceConfig, generator: torch.Generator) -> Tensor:
    """(B, L, bands) log-mel as if a share of the passages were spoken by others, elsewhere.

    What is drawn, `generator` draws on the CPU: the same on every device.
    """
    drawn = torch.rand(len(features), generator=generator).numpy() < share  # on the CPU: no device is waited for
    which = torch.from_numpy(np.flatnonzero(drawn)).to(features.device)
    if not len(which):
        return features
    changed = features.clone()
    changed[which] = _in_other_voices(features[which], config, generator)
    return changed


def _in_other_voices(features: Tensor, config: VoiceConfig, generator: torch.Generator) -> Tensor:
    count, rows, bands = features.shape
    device = features.device
    numbers = torch.arange(bands, device=device)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device)

    centre = (bands - 1) / 2
    places = centre + (numbers - centre) * torch.exp(config.warp * normal(count, 1))
    places = (places + config.shift_bands * normal(count, 1)).clamp(0, bands - 1)
    warp = (1 - (places[:, :, None] - numbers).abs()).clamp(min=0)  # (B, bands, bands) linear mixtures
    tilt = functional.interpolate(
        config.tilt * normal(count, 1, config.tilt_points), bands, mode="linear", align_corners=True
    )
    varied = features @ warp.transpose(1, 2) + config.gain * normal(count, 1, 1) + tilt
    varied = varied + config.noise * normal(count, rows, bands)
    width = torch.randint(0, config.masked_bands + 1, (count, 1), generator=generator).to(device)
    low = (torch.rand(count, 1, generator=generator).to(device) * (bands - width)).floor()
    masked = (numbers >= low) & (numbers < low + width)
    return torch.where(masked[:, None, :], varied.mean(dim=(1, 2), keepdim=True), varied)
