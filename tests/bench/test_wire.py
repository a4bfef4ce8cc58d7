from __future__ import annotations

import numpy as np
import pytest
from made_bundle import write_made_bundle

from gstalker.bench import wire
from gstalker.bench.contenders.made_field import BOX
from gstalker.runtime.errors import InputError


def test_a_small_head_meets_the_targets_that_do_not_depend_on_the_machine():
    """Sizes and losses are arithmetic; times are for `gstalker bench` on a quiet machine."""
    figures = wire.run(gaussians=3_000, cycles=2)
    untimed = {n: met for n, met in figures["reached"].items() if n not in ("pack_ms", "times_faster_than_numpy")}
    assert untimed == dict.fromkeys(untimed, True)
    assert set(figures["reached"]) == set(figures["targets"])
    assert figures["times_faster_than_numpy"] == pytest.approx(figures["pack_numpy_ms"] / figures["pack_ms"])
    assert figures["position_error_m"] > 1e-6, "suspiciously exact: is it still 16 bits?"
    assert 55 <= figures["psnr_db"] < 90
    assert figures["bundle"] is None


def test_a_bundle_is_measured_in_its_own_camera(tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra cpu or gpu")
    bundle = write_made_bundle(tmp_path / "made.gsavatar")
    figures = wire.of_bundle(tmp_path / "made.gsavatar")
    assert figures["movers"] == 400
    step_m = max(bundle.quantisation_box.position_step_m)  # of a box wider than a trained avatar's
    assert step_m / 4 < figures["position_error_m"] <= 0.52 * np.sqrt(3) * step_m
    assert figures["psnr_db"] > 50


def test_errors_are_found_where_they_are():
    values = wire.made_head(500)
    assert wire.errors(values, BOX)["rotation_error_degrees"] <= 0.3
    turned = np.array([[np.cos(0.005), np.sin(0.005), 0, 0]], np.float32)
    still = np.array([[-1, 0, 0, 0]], np.float32)
    assert wire.angles_rad(still, turned)[0] == pytest.approx(0.01, abs=1e-6)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="bench wire: expected gaussians and cycles >= 1, got 0 and 15"):
        wire.run(gaussians=0)


def test_packing_that_disagrees_stops_the_bench(monkeypatch: pytest.MonkeyPatch):
    reference = wire.pack_movers_reference
    monkeypatch.setattr(wire, "pack_movers_reference", lambda *a: reference(*a) ^ np.uint8(1))
    with pytest.raises(RuntimeError, match="numba and NumPy give different bytes"):
        wire.timing(wire.made_head(50), BOX, 1)
