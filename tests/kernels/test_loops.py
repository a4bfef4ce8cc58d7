"""Loops for all threads and for one."""

from __future__ import annotations

import threading

import numba
import numpy as np

from gstalker.bench.kernels import focal, scene
from gstalker.kernels import cpu

SIZE_PX = 64


def drawn() -> list[np.ndarray]:
    """A picture and all gradients."""
    arrays = {name: value.numpy() for name, value in scene(500, SIZE_PX, (1.5, 4.0)).items()}
    K = np.array([[focal(SIZE_PX), 0, SIZE_PX / 2], [0, focal(SIZE_PX), SIZE_PX / 2], [0, 0, 1.0]])
    means, quats_wxyz, scales, opacities, colors = arrays.values()
    drawing = cpu.draw(means, quats_wxyz, scales, opacities, colors, np.eye(4), K, SIZE_PX, SIZE_PX, np.zeros(3))
    gradients = cpu.draw_backward(drawing, drawing.rgb - 0.5, drawing.transmittance)
    return [drawing.rgb, drawing.transmittance, *vars(gradients).values()]


def test_two_threads_that_draw_at_once_alone_get_the_bits_that_all_threads_get_together():
    together = drawn()
    results: list[list[np.ndarray]] = []

    def alone() -> None:
        numba.set_num_threads(1)  # holds for this thread only
        results.extend(drawn() for _ in range(3))

    threads = [threading.Thread(target=alone) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    for result in results:
        for got, want in zip(result, together, strict=True):
            np.testing.assert_array_equal(got, want)
