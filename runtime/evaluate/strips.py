"""Sheets of pictures for people: a row a subject, a column a moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from gstalker.runtime.evaluate.font import label_font

_INK, _PAPER = (28, 28, 30), (250, 250, 248)
_LABEL_PX, _GAP_PX, _HEAD_PX = 190, 3, 30


def sheet(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], headings: Sequence[str], *, scale: float = 1.0
) -> Image.Image:
    """Lay labelled rows of equally large pictures out.

    Args:
        rows: (label, pictures) with one (H, W, 3) uint8 picture for each heading.
        headings: above the columns.
        scale: enlargement of the pictures.

    Raises:
        ValueError: a row has another number of pictures than there are headings, or sizes differ.
    """
    sizes = {picture.shape for _, pictures in rows for picture in pictures}
    if len(sizes) != 1 or any(len(pictures) != len(headings) for _, pictures in rows):
        raise ValueError(
            f"sheet: expected {len(headings)} pictures of one size in every row, "
            f"got {[len(p) for _, p in rows]} of sizes {sorted(sizes)}"
        )
    height, width = (round(v * scale) for v in sizes.pop()[:2])
    image = Image.new(
        "RGB",
        (_LABEL_PX + len(headings) * (width + _GAP_PX), _HEAD_PX + len(rows) * (height + _GAP_PX)),
        _PAPER,
    )
    draw = ImageDraw.Draw(image)
    for column, heading in enumerate(headings):
        draw.text((_LABEL_PX + column * (width + _GAP_PX) + 2, 4), heading, fill=_INK, font=label_font(18))
    for row, (label, pictures) in enumerate(rows):
        top = _HEAD_PX + row * (height + _GAP_PX)
        draw.multiline_text((6, top + 6), _wrap(label), fill=_INK, font=label_font(19), spacing=4)
        for column, picture in enumerate(pictures):
            cell = Image.fromarray(np.ascontiguousarray(picture))
            if scale != 1.0:
                cell = cell.resize((width, height), Image.Resampling.BICUBIC)
            image.paste(cell, (_LABEL_PX + column * (width + _GAP_PX), top))
    return image


def _wrap(label: str, columns: int = 19) -> str:
    lines = [""]
    for word in label.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > columns:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
