"""Arrays and pictures to the bytes of a bundle's files and back, with the file named where it is damaged."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from gstalker.runtime.errors import InputError

MAX_PICTURE_PX = 8192


def safetensors_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Named arrays as safetensors."""
    return save_safetensors({name: np.ascontiguousarray(a) for name, a in arrays.items()})


def arrays_of(data: bytes, where: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Exactly the named arrays from safetensors.

    Raises:
        InputError: another kind of file, or other arrays.
    """
    try:
        arrays = load_safetensors(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{where}: expected safetensors, could not read it ({error}).") from error
    if set(arrays) != set(names):
        raise InputError(f"{where}: expected the arrays {sorted(names)}, got {sorted(arrays)}. Export again.")
    return arrays


def png_bytes(rgb: np.ndarray) -> bytes:
    """An (h, w, 3) uint8 picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="PNG")
    return buffer.getvalue()


def picture_of(data: bytes, where: str) -> np.ndarray:
    """The (h, w, 3) uint8 picture of a PNG.

    Raises:
        InputError: another kind of file, or a picture too large to be one of ours.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            size = picture.size
            rgb = np.asarray(picture.convert("RGB")) if max(size) <= MAX_PICTURE_PX else None
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise InputError(f"{where}: expected a PNG picture, could not read it ({error}).") from error
    if rgb is None:
        raise InputError(f"{where}: expected at most {MAX_PICTURE_PX} px a side, got {size}.")
    return rgb
