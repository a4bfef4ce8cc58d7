"""How a CPU spends a step: which part of the picture it looks at, and how many frames at once.

Hair, clothes and neck hold still in their own spaces and are learnt early; the face needs the field, which needs the
most steps. So in stage 2 most steps draw a window about the face and only every few steps draw the whole picture.

A face step's loss is the whole picture's with every pixel outside of the window left out, each term of the rest
weighed as before: what is inside pulls exactly as it does in a whole step. What is outside is pulled in fewer steps,
and Adam, which divides by the root of the mean square of a gradient that is often zero, makes each of those steps
longer by the root of how many there were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
import torch
from torch import Tensor

from gstalker.runtime import landmarks as lm

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW_GROWTH = 1.15  # the field's Gaussians reach to 1.10 times the face oval
WINDOW_MARGIN_SHARE = 0.03  # of the picture's side: splats' own width, and half of the window that SSIM blurs over
WINDOW_STEP_SHARE = 1 / 32  # windows begin and end on a grid of so much of the picture's side


@dataclass(frozen=True)
class PaceConfig:
    """How steps are spent. One frame of the whole picture a step is the plain way, which all else is compared with."""

    faces_per_whole: int = 1  # steps in stage 2 that look at the face alone, for one that looks at the whole picture
    frames_at_once: bool = True  # several frames of a step on one CPU core each, instead of all cores on each in turn


PLAIN = PaceConfig(faces_per_whole=0, frames_at_once=False)


class Window(NamedTuple):
    """A part of the picture, px."""

    top: int
    left: int
    height: int
    width: int

    def of(self, picture: Tensor) -> Tensor:
        """This part of (H, W, ...)."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]

    def camera(self, K: Tensor) -> Tensor:
        """(3, 3) K with the principal point counted from the window's corner."""
        moved = K.clone()
        moved[0, 2] -= self.left
        moved[1, 2] -= self.top
        return moved

    def share_of(self, size_px: int) -> float:
        """Its area over that of a square picture."""
        return self.height * self.width / size_px**2


def face_windows(landmarks_px: np.ndarray, size_px: int) -> list[Window]:
    """Per frame, what the moving part of the face can reach; the whole picture where no face was found.

    Args:
        landmarks_px: (F, 478, 2), NaN where unknown.
        size_px: side of the pictures.
    """
    grid = max(2, round(size_px * WINDOW_STEP_SHARE))
    oval = landmarks_px[:, list(lm.FACE_OVAL)].astype(np.float64)
    low, high = oval.min(axis=1), oval.max(axis=1)
    middle, half = (low + high) / 2, (high - low) / 2 * WINDOW_GROWTH + WINDOW_MARGIN_SHARE * size_px
    windows = []
    for centre, reach in zip(middle, half, strict=True):
        if not np.isfinite(centre).all():
            windows.append(Window(0, 0, size_px, size_px))
            continue
        left, top = (int(v) for v in np.clip((centre - reach) // grid * grid, 0, size_px - grid))
        right, bottom = (int(v) for v in np.clip(-(-(centre + reach) // grid) * grid, grid, size_px))
        windows.append(Window(top, left, max(bottom - top, grid), max(right - left, grid)))
    return windows


def looks_at_face(stage2_step: int, config: PaceConfig) -> bool:
    """Whether the n-th step of stage 2 looks at the face alone; the first and the last of every round are whole."""
    return stage2_step % (config.faces_per_whole + 1) != 0


class OneFrameACore:
    """Runs a function on several frames at once, a core each; results come in the frames' order."""

    def __init__(self, frames: int) -> None:
        workers = min(frames, numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        self._pool = ThreadPoolExecutor(workers, "frame", _alone) if workers > 1 else None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """[function(item) for item in items]; the first exception is raised here."""
        if self._pool is None:
            return [function(item) for item in items]
        return list(self._pool.map(function, items))

    def step(self) -> AbstractContextManager[Any]:
        """Around a step: torch's own threads would wait, spinning, on the cores that frames need."""
        return nullcontext() if self._pool is None else one_torch_thread()


def _alone() -> None:
    numba.set_num_threads(1)  # holds for this thread only
    torch.set_num_threads(1)


@contextmanager
def one_torch_thread() -> Any:
    """torch's own operators on the caller's thread alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
