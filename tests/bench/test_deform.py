from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the extra cpu or gpu")

from gstalker.bench import deform
from gstalker.bench.contenders import alternate, lookup_graph
from gstalker.bench.contenders.made_field import made_field
from gstalker.runtime.errors import InputError


def test_the_bench_compares_equal_results_and_says_how_fast_each_was():
    """Small and few, and no claim on the times: those are for `gstalker bench` on a quiet machine."""
    figures = deform.run(gaussians=200, cycles=1, frames=2, threads=1)
    assert set(figures["speedup"]) == set(deform.COMPARED)
    assert figures["agreement"]["fused"] <= 1e-5
    for name, speedup in figures["speedup"].items():
        assert speedup == pytest.approx(figures["frame_ms"][name] / figures["fused_ms"])
        if name in deform.TARGETS:
            assert figures["reached"][name] == (speedup >= deform.TARGETS[name])
    assert figures["movers_only"]["moving"] == 80
    assert figures["chunked_form"] in figures["chunked_search_ms"]
    assert 0 < figures["share_of_sgemm"] < 2


def test_ratios_are_of_whole_frames():
    """Worked by hand: 2 ms fused; ONNX Runtime 4 + 1 + 1 ms, with the kernel's own finish 4 + 0.4."""
    ort = {"network": 4.0, "apply": 1.0, "pack": 1.0, "kernel_finish": 0.4}
    steps = dict.fromkeys(deform.COMPARED, ort) | {
        "fused": {"frame": 2.0},
        "fused_movers_only": {"frame": 0.9},
        "sgemm": {"frame": 10.0},
    }
    found = deform.ratios(steps, 1000, 400, sgemm_flops=2e9)
    assert found["speedup"]["onnxruntime_whole"] == 3.0
    assert found["speedup_over_onnxruntime_with_the_kernels_own_finish"]["onnxruntime_chunked"] == pytest.approx(2.2)
    assert found["reached"] == {
        "onnxruntime_whole": True,
        "onnxruntime_chunked": True,
        "lookup_as_published": False,
    }
    assert found["movers_only"]["share_of_time"] == 0.45
    assert found["sgemm_gflops"] == pytest.approx(200)
    assert found["share_of_sgemm"] == pytest.approx(1000 * 2 * (128 + 4096 + 704) / 2e-3 / 2e11)


def test_contenders_that_disagree_stop_the_bench(monkeypatch: pytest.MonkeyPatch):
    real = deform.apply_deltas
    monkeypatch.setattr(deform, "apply_deltas", lambda *a: tuple(x + np.float32(2e-5) for x in real(*a)))
    with pytest.raises(RuntimeError, match=r"the contenders disagree: worst differences \{'fused': 2"):
        deform.check_agreement(100, 1)


@pytest.mark.parametrize("sizes", [lookup_graph.OURS, lookup_graph.PUBLISHED])
def test_look_ups_are_those_of_the_definition(sizes: lookup_graph.LookupSizes):
    """On a vertex the table's own entry is found, and half way between two their mean."""
    lookup = lookup_graph.made_lookup(sizes)
    side = sizes.resolutions[0]
    vertex = np.array([3.0, 5.0, 7.0])
    between = vertex + np.array([0.5, 0, 0])
    means = (np.array([vertex, between]) / (side - 1) * 2 - 1) * lookup_graph.HALF_BOX_M
    first, gates = lookup_graph.baked(lookup, means)
    # 36 values were found, 64 follow from them: the first layer can be turned back.
    found = np.linalg.lstsq(lookup.from_space[0].T, (first - lookup.from_space[1]).T, rcond=None)[0].T
    entries = lookup.tables[0][[3 + 5 * side, 4 + 5 * side]]
    np.testing.assert_allclose(found[0, : sizes.features], entries[0], atol=1e-4)
    np.testing.assert_allclose(found[1, : sizes.features], entries.mean(axis=0), atol=1e-4)
    assert ((gates > 0) & (gates < 1)).all()


def test_the_made_field_is_the_same_every_time():
    one, other = made_field(50), made_field(50)
    np.testing.assert_array_equal(one.first_layer, other.first_layer)
    assert one.graph == other.graph


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(InputError, match=r"bench deform: expected gaussians >= 100, movers in 0\.\.1 .* got 40000, 0"):
        deform.run(movers=0)


def test_contenders_take_turns_and_one_that_ends_is_named(tmp_path):
    program = tmp_path / "contender.py"
    program.write_text(
        "import itertools, sys\n"
        "from gstalker.bench.contenders.alternate import serve_turns\n"
        "number = itertools.count(int(sys.argv[1]))\n"
        "serve_turns({'from': sys.argv[1]}, lambda: {'frame': float(next(number))})\n"
    )
    commands = {name: [sys.executable, str(program), start] for name, start in (("a", "0"), ("b", "100"))}
    with alternate.contenders(commands, threads=1) as started:
        assert [c.ready() for c in started.values()] == [{"from": "0"}, {"from": "100"}]
        # Each is asked for 3 frames 3 times; the frame before the first turn is not counted: 1..9, median 5.
        assert alternate.measured(started, cycles=3, frames=3) == {"a": {"frame": 5.0}, "b": {"frame": 105.0}}
    with (
        alternate.contenders({"gone": [sys.executable, "-c", "raise SystemExit(3)"]}, threads=1) as started,
        pytest.raises(RuntimeError, match="gone: its process ended with code 3"),
    ):
        started["gone"].ready()
