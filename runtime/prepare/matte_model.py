"""Person and backdrop told apart by a matte network, where the backdrop is not plain.

The network is any ONNX file that does what ISNet-like portrait mattes do:

    in   (1, 3, S, S) float32, RGB, (value - 128) / 256 of 0..255; S is read from the file, 1024 where it is free
    out  the first output, (1, 1, S, S), 0 backdrop to 1 person

It runs through ONNX Runtime (an extra: `cpu` or `gpu`). The plate is what each pixel shows while no person is
there, its median over the take; pixels that the person never leaves are painted in from their surroundings.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from gstalker.runtime.errors import InputError

FREE_SIZE_PX = 1024
BACKDROP_BELOW = 8  # matte values below this are free of the person
PLATE_FRAMES = 60
GROW_PX_AT_256 = 2  # the matte's own edge is kept out of the plate
INPAINT_RADIUS_PX = 5


class MatteModel:
    """A matte network ready to run.

    Raises:
        InputError: no ONNX Runtime, no such file, or a network of another shape.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError(
                "--matte-model: expected ONNX Runtime to run it, none is installed. "
                "Run `pip install gstalker[cpu]` (or [gpu], never both)."
            ) from error
        if not path.is_file():
            raise InputError(f"--matte-model: expected an ONNX file, found none at {path}.")
        try:
            self._session = onnxruntime.InferenceSession(str(path))
        except Exception as error:  # ONNX Runtime's exceptions share no nearer base
            raise InputError(f"--matte-model: expected an ONNX file, could not load {path} ({error}).") from error
        first = self._session.get_inputs()[0]
        if len(first.shape) != 4 or first.shape[1] != 3:
            raise InputError(f"--matte-model: expected an input (1, 3, S, S), got {first.shape} in {path}.")
        self._input = first.name
        self._size = first.shape[2] if isinstance(first.shape[2], int) else FREE_SIZE_PX

    def matte(self, picture: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> (H, W) uint8, 255 where the person is."""
        height, width = picture.shape[:2]
        scaled = cv2.resize(picture, (self._size, self._size), interpolation=cv2.INTER_LINEAR)
        fed = ((scaled.astype(np.float32) - 128.0) / 256.0).transpose(2, 0, 1)[None]
        out = np.asarray(self._session.run(None, {self._input: fed})[0])
        if out.ndim != 4 or out.shape[:2] != (1, 1):
            raise InputError(f"--matte-model: expected an output (1, 1, S, S), got {out.shape}.")
        matte = cv2.resize(np.clip(out[0, 0], 0.0, 1.0), (width, height), interpolation=cv2.INTER_AREA)
        return np.round(matte * 255.0).astype(np.uint8)


def plate_behind(pictures: np.ndarray, mattes: np.ndarray) -> tuple[np.ndarray, float]:
    """The backdrop as seen past the person.

    Args:
        pictures: (T, H, W, 3) uint8.
        mattes: (T, H, W) uint8.

    Returns:
        (H, W, 3) uint8 plate, and its PSNR against the backdrop pixels that are seen, dB (infinite: none seen,
        or a still backdrop without noise).
    """
    picked = np.linspace(0, len(pictures) - 1, min(PLATE_FRAMES, len(pictures))).round().astype(int)
    size = 2 * max(1, round(GROW_PX_AT_256 * pictures.shape[1] / 256)) + 1
    kernel = np.ones((size, size), np.uint8)
    free = np.stack([cv2.dilate(m, kernel) < BACKDROP_BELOW for m in mattes[picked]])
    sample = np.ma.masked_array(pictures[picked], np.broadcast_to(~free[..., None], (*free.shape, 3)))
    median = np.ma.median(sample, axis=0)
    unseen = np.asarray(~free.any(axis=0))
    plate = np.round(median.filled(0)).astype(np.uint8)
    if unseen.all():
        return np.full_like(plate, 128), float("inf")
    if unseen.any():
        plate = cv2.inpaint(plate, unseen.astype(np.uint8), INPAINT_RADIUS_PX, cv2.INPAINT_TELEA)
    return plate, psnr_where_clear(pictures, mattes, plate)


def psnr_where_clear(pictures: np.ndarray, mattes: np.ndarray, plate: np.ndarray) -> float:
    """The plate against (T, H, W, 3) pictures where their mattes are empty, dB; infinite without any error."""
    picked = np.linspace(0, len(pictures) - 1, min(PLATE_FRAMES, len(pictures))).round().astype(int)
    free = mattes[picked] < BACKDROP_BELOW
    error = (pictures[picked].astype(np.float32) - plate)[free]
    mean = float((error**2).mean()) if error.size else 0.0
    return float("inf") if mean == 0 else float(10 * np.log10(255.0**2 / mean))
