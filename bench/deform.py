"""How fast the deployed field is: the fused kernel against ONNX Runtime and against look-ups in the graph."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from gstalker.bench.contenders.alternate import contenders, measured
from gstalker.bench.contenders.field_contender import CONTENDERS, default_session, with_baked
from gstalker.bench.contenders.lookup_graph import OURS, PUBLISHED, LookupSizes, baked, lookup_graph, made_lookup
from gstalker.bench.contenders.made_field import BOX, FLOPS_A_GAUSSIAN, MadeField, made_field
from gstalker.kernels.fused_field import FusedField
from gstalker.runtime.errors import InputError
from gstalker.runtime.infer_apply import apply_deltas

COMPARED = ("onnxruntime_whole", "onnxruntime_chunked", "lookup_as_trained_here", "lookup_as_published")
TARGETS = {"onnxruntime_whole": 1.8, "onnxruntime_chunked": 1.6, "lookup_as_published": 60.0}
"""How many times faster the fused kernel is to be. The grids trained here are a third of the published look-ups, so
that baking them wins less; that figure is given beside the others and has no target."""
AGREEMENT = 1e-5  # before quantisation
LOOKUP_AGREEMENT = 1e-4  # of the deltas; a coordinate on a cell's edge may fall to either side
CHECKED_GAUSSIANS = 4_000


def run(
    gaussians: int = 40_000, movers: float = 0.4, cycles: int = 9, frames: int = 7, threads: int = 2
) -> dict[str, Any]:
    """Every contender in a process of its own, by turns, medians; all on the same field of a made avatar.

    Args:
        gaussians: of the avatar; for the comparison all of them move and are the head's.
        movers: share of them that moves, for the figure of an avatar whose other Gaussians stand still.
        cycles: rounds in which each contender gets a turn.
        frames: in a turn.
        threads: for each contender.

    Raises:
        InputError: sizes that cannot be.
        RuntimeError: the contenders do not compute the same, or one of them ended.
    """
    if gaussians < 100 or not 0 < movers <= 1 or cycles < 1 or frames < 1 or threads < 1:
        raise InputError(
            f"bench deform: expected gaussians >= 100, movers in 0..1 above 0, cycles, frames and threads >= 1, got "
            f"{gaussians}, {movers}, {cycles}, {frames} and {threads}."
        )
    agreement = check_agreement(min(gaussians, CHECKED_GAUSSIANS), threads)
    moving = max(round(movers * gaussians), 1)
    sizes = {name: (name, gaussians) for name in CONTENDERS} | {"fused_movers_only": ("fused", moving)}
    module = "gstalker.bench.contenders.field_contender"
    commands = {
        key: [sys.executable, "-m", module, name, str(count), str(threads)] for key, (name, count) in sizes.items()
    }
    with contenders(commands, threads) as started:
        about = {name: contender.ready() for name, contender in started.items()}
        steps = measured(started, cycles, frames)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "gaussians": gaussians,
        "threads": threads,
        "cycles": cycles,
        "frames_a_turn": frames,
        "load_average_after": load,
        "agreement": agreement,
        "steps_ms": steps,
        "chunked_form": about["onnxruntime_chunked"]["form"],
        "chunked_search_ms": about["onnxruntime_chunked"]["searched_ms"],
        **ratios(steps, gaussians, moving, about["sgemm"]["flops"]),
    }


def ratios(steps: dict[str, dict[str, float]], gaussians: int, moving: int, sgemm_flops: float) -> dict[str, Any]:
    """What the medians say.

    Two times are given for whatever ends in deltas: with `apply` in NumPy and `pack_movers`, which is the way without
    the fused kernel, and with the fused kernel's own loops behind its network, which shows what fusing the network
    itself is worth.
    """
    fused_ms = steps["fused"]["frame"]
    frame_ms = {name: steps[name]["network"] + steps[name]["apply"] + steps[name]["pack"] for name in COMPARED}
    helped_ms = {name: steps[name]["network"] + steps[name]["kernel_finish"] for name in COMPARED}
    flops_s = gaussians * FLOPS_A_GAUSSIAN / (1e-3 * fused_ms)
    sgemm_flops_s = sgemm_flops / (1e-3 * steps["sgemm"]["frame"])
    only_ms = steps["fused_movers_only"]["frame"]
    return {
        "fused_ms": fused_ms,
        "frame_ms": frame_ms,
        "speedup": {name: ms / fused_ms for name, ms in frame_ms.items()},
        "target_speedup": TARGETS,
        "reached": {name: frame_ms[name] / fused_ms >= target for name, target in TARGETS.items()},
        "speedup_over_onnxruntime_with_the_kernels_own_finish": {n: ms / fused_ms for n, ms in helped_ms.items()},
        "movers_only": {
            "moving": moving,
            "ms": only_ms,
            "share_of_gaussians": moving / gaussians,
            "share_of_time": only_ms / fused_ms,
        },
        "sgemm_gflops": 1e-9 * sgemm_flops_s,
        "fused_gflops": 1e-9 * flops_s,
        "share_of_sgemm": flops_s / sgemm_flops_s,
    }


def check_agreement(gaussians: int, threads: int) -> dict[str, float]:
    """Worst differences between the contenders' results.

    Raises:
        RuntimeError: further apart than allowed, so that the times would compare different things.
    """
    made = made_field(gaussians)
    session = default_session(made.graph, threads)
    deltas = session.run(
        ["deltas"],
        {
            "audio_code": made.audio_code,
            "expression": made.expression,
            "first_layer": made.first_layer,
            "gates": made.gates,
        },
    )[0]
    found = {"fused": _fused_error(made, deltas, threads)}
    for name, sizes in (("lookup_as_trained_here", OURS), ("lookup_as_published", PUBLISHED)):
        found[name] = _lookup_error(sizes, made, threads)
    allowed = {"fused": AGREEMENT} | dict.fromkeys(list(found)[1:], LOOKUP_AGREEMENT)
    apart = {name: error for name, error in found.items() if not error <= allowed[name]}
    if apart:
        raise RuntimeError(f"the contenders disagree: worst differences {apart}, allowed {allowed}.")
    return found


def _fused_error(made: MadeField, deltas: np.ndarray, threads: int) -> float:
    movers = made.movers
    quats = movers.quats_wxyz / np.linalg.norm(movers.quats_wxyz, axis=1, keepdims=True)
    logits = np.log(movers.opacities / (1 - movers.opacities)).astype(np.float32)
    canonical = (movers.means, quats, movers.scales, movers.opacities, logits)
    want = apply_deltas(*canonical, deltas, np.zeros((0, 3), np.float32))
    means, quats, scales, opacities = (np.empty_like(array) for array in want)
    field = FusedField(movers, made.network, None, BOX, threads=threads)
    field.values(means, quats, scales, opacities, head_drive=made.drive)
    got = (means, quats, scales, opacities)
    return max(float(np.abs(a - b).max()) for a, b in zip(got, want, strict=True))


def _lookup_error(sizes: LookupSizes, made: MadeField, threads: int) -> float:
    """The look-up graph against the fused kernel's network on the same spatial part, baked: as means of zero."""
    lookup = made_lookup(sizes)
    same = with_baked(made, *baked(lookup, made.movers.means))
    inputs = {"means": made.movers.means, "audio_code": made.audio_code, "expression": made.expression}
    deltas = default_session(lookup_graph(lookup, made), threads).run(["deltas"], inputs)[0]
    return _fused_error(same, deltas, threads)
