"""A head pose as six numbers, without arrays in between: `runtime.poses.head_pose_vector` for one frame at a time."""

from __future__ import annotations

import math

import numpy as np


def fill_head_pose(avatar_from_head: np.ndarray, out: np.ndarray) -> None:
    """Rotation vector (rad) and translation (m) of a rigid (4, 4) into `out` (6,).

    By way of the quaternion, from its largest component, so that no angle is badly conditioned (Shepperd 1978).
    """
    (xx, xy, xz, tx), (yx, yy, yz, ty), (zx, zy, zz, tz), _ = avatar_from_head.tolist()
    squares = (1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz)  # 4 w^2, 4 x^2, 4 y^2, 4 z^2
    largest = squares.index(max(squares))
    if largest == 0:
        w, x, y, z = squares[0], zy - yz, xz - zx, yx - xy
    elif largest == 1:
        w, x, y, z = zy - yz, squares[1], yx + xy, zx + xz
    elif largest == 2:
        w, x, y, z = xz - zx, yx + xy, squares[2], zy + yz
    else:
        w, x, y, z = yx - xy, zx + xz, zy + yz, squares[3]
    if w < 0:
        w, x, y, z = -w, -x, -y, -z
    sine = math.sqrt(x * x + y * y + z * z)
    # angle / sine; both tend to zero together, and there w is the length of the quaternion.
    turn = 2 * math.atan2(sine, w) / sine if sine > 1e-9 * w else 2 / w
    out[0], out[1], out[2] = x * turn, y * turn, z * turn
    out[3], out[4], out[5] = tx, ty, tz
