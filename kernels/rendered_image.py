"""What every renderer here returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RenderedImage:
    """A picture in linear memory, not clipped and not quantised.

    Attributes:
        rgb: (H, W, 3) colour in display space, the background included.
        alpha: (H, W) coverage by Gaussians, 0..1.
    """

    rgb: np.ndarray
    alpha: np.ndarray
