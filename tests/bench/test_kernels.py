from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from gstalker.bench import kernels


def test_the_bench_compares_equal_pictures_and_says_where_it_ran():
    """Small and few, and no claim on the times: those are for `gstalker bench` on a quiet machine."""
    figures = kernels.run(gaussians=200, size_px=48, repeats=1)
    assert set(figures["scenes"]) == set(kernels.SCENES_SIGMA_PX)
    assert figures["machine"]["numba_threads"] >= 1
    for scene in figures["scenes"].values():
        assert set(scene["gradient_relative_errors"]) == set(kernels.PARAMETERS)
        assert scene["cpu_step_ms"] > 0
        assert scene["speedup"] == pytest.approx(scene["dense_torch_step_ms"] / scene["cpu_step_ms"])
    assert figures["speedup"] == min(scene["speedup"] for scene in figures["scenes"].values())


def test_a_wrong_picture_or_gradient_stops_the_bench():
    splats = kernels.scene(50, 32, (1.0, 2.0))
    right = kernels.one_pass(kernels.rasterize_dense, splats, 32)
    kernels.agreement(right, right)
    wrong = {"rgb": right.rgb + 0.01, "gradients": right.gradients}
    with pytest.raises(RuntimeError, match=r"the two rasterizers disagree: worst pixel 1.0e-02"):
        kernels.agreement(kernels.Pass(1, 1, **wrong), right)
    wrong = {"rgb": right.rgb, "gradients": right.gradients | {"means": np.zeros((50, 3), np.float32)}}
    with pytest.raises(RuntimeError, match=r"the two rasterizers disagree: .*'means': 1.0"):
        kernels.agreement(kernels.Pass(1, 1, **wrong), right)
