"""Which part of a plate is known: what the person hides in every frame is filled in by guess, and says so.

A keyed take's plate goes on behind the person as the smooth surface that was fitted to the rest
(`prepare.polynomial`), a matted one's as an inpainting (`prepare.matte_model`). Neither was ever seen, and an avatar
that leans away from where its person sat shows it.
"""

from __future__ import annotations

import cv2
import numpy as np

CLEAR_PX_AT_256 = 3  # pixels this far from any person show the backdrop itself
CLEAR_BELOW = 8  # matte values under this count as backdrop
LEAST_FRAMES = 3  # that show a pixel: one alone may be a hole in its matte
STRIPE_PX = 6
STRIPE_COLOUR = (255, 0, 200)


def plate_seen(mattes: np.ndarray) -> np.ndarray:
    """Where a take shows its backdrop.

    Args:
        mattes: (T, H, W) uint8, 255 person.

    Returns:
        (H, W) bool; false where the plate can only be a guess.
    """
    size = 2 * max(1, round(CLEAR_PX_AT_256 * mattes.shape[1] / 256)) + 1
    kernel = np.ones((size, size), np.uint8)
    clear = np.zeros(mattes.shape[1:], np.int64)
    for matte in mattes:
        clear += cv2.dilate(matte, kernel) < CLEAR_BELOW
    return clear >= min(LEAST_FRAMES, len(mattes))


def striped(plate: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 plate with stripes over what was never seen."""
    rows, columns = np.indices(seen.shape)
    stripe = ~seen & ((rows + columns) // STRIPE_PX % 2 == 0)
    marked = plate.copy()
    marked[stripe] = (0.5 * marked[stripe] + 0.5 * np.array(STRIPE_COLOUR)).astype(np.uint8)
    return marked
