"""The one typeface of captions: Pillow's own, so that no system font is needed."""

from __future__ import annotations

import functools

from PIL import ImageFont


@functools.lru_cache(maxsize=8)
def label_font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's built-in font at a size."""
    return ImageFont.load_default(size=size_px)
