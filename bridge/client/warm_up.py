"""What compiles or loads lazily does so before a client connects, or the first frames would come too late."""

from __future__ import annotations

from functools import cache

import numpy as np

from gstalker.kernels.frame import Frame
from gstalker.kernels.interpolate import interpolate_frames
from gstalker.kernels.quantise import BYTES_PER_MOVER, QuantisationBox, unpack_movers


@cache
def warm_up() -> None:
    """Decode and mix frames of one Gaussian, once a process: seconds where nothing is compiled yet, then nothing."""
    box = QuantisationBox((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), -5.0, 0.0)
    packed = np.zeros((1, BYTES_PER_MOVER), np.uint8)
    packed.setflags(write=False)  # as what comes from the wire
    values = unpack_movers(packed, box)
    earlier, later = (Frame(index, float(index), *values, np.eye(4), np.eye(4)) for index in (0, 1))
    interpolate_frames(earlier, later, 0.5)
