"""How many cores arithmetic may use while the face detector works beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def leave_a_core() -> Iterator[None]:
    """Keep PyTorch and numba off one core for the detector's sake, and put them back afterwards.

    Their threads wait for one another by spinning: with two of them on two cores and a third process at work, one
    LPIPS took 540 ms of processor time in place of 58 (measured on a busy two-core Xeon).
    """
    import numba
    import torch

    wanted = max(1, (os.cpu_count() or 2) - 1)
    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(min(wanted, before[0]))
    numba.set_num_threads(min(wanted, before[1]))
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])
