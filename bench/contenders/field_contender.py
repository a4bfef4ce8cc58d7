"""One contender of `bench.deform`, as a program: `python -m` this module with NAME GAUSSIANS THREADS."""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gstalker.bench.contenders.alternate import Frame, serve_turns
from gstalker.bench.contenders.lookup_graph import OURS, PUBLISHED, LookupSizes, lookup_graph, made_lookup
from gstalker.bench.contenders.made_field import BOX, MadeField, made_field
from gstalker.kernels.fused_field import FusedField
from gstalker.kernels.quantise import BYTES_PER_MOVER, pack_movers
from gstalker.runtime.infer_apply import apply_deltas
from gstalker.runtime.infer_backends import OrtField, onnxruntime_module
from gstalker.runtime.infer_graph import with_free_rows

CHUNKS = (1256, 2512, 5024, 10_016, 20_000)
SEARCH_FRAMES = 7
SGEMM_SIDE = 1024

Made = tuple[dict[str, Any], Frame]


def fused(gaussians: int, threads: int) -> Made:
    """The fused kernel: network, apply, pack."""
    made = made_field(gaussians)
    field = FusedField(made.movers, made.network, None, BOX, threads=threads)
    drive, out = made.drive, np.empty((gaussians, BYTES_PER_MOVER), np.uint8)
    return {}, timed({"frame": lambda: field.pack(out, head_drive=drive)})


def onnxruntime_whole(gaussians: int, threads: int) -> Made:
    """ONNX Runtime over all Gaussians at once, then apply and pack."""
    made = made_field(gaussians)
    deltas = np.zeros((gaussians, 11), np.float32)
    network = bound(default_session(made.graph, threads), made, deltas, gaussians)
    return {}, timed({"network": network.run} | finishes(made, deltas, threads))


def onnxruntime_chunked(gaussians: int, threads: int) -> Made:
    """The same in pieces, of the size and with the waiting (spinning or asleep) that are fastest here: searched now."""
    made = made_field(gaussians)
    deltas = np.zeros((gaussians, 11), np.float32)
    forms, searched_ms = {}, {}
    for spinning in (True, False):
        session = default_session(with_free_rows(made.graph), threads, spinning=spinning)
        for rows in [r for r in CHUNKS if r < gaussians] or [gaussians]:
            name = f"{rows}, {'spinning' if spinning else 'asleep'}"
            forms[name] = bound(session, made, deltas, rows)
            frame = timed({"network": forms[name].run})
            searched_ms[name] = statistics.median(frame()["network"] for _ in range(SEARCH_FRAMES))
    best = min(searched_ms, key=lambda name: searched_ms[name])
    about = {"form": best, "searched_ms": searched_ms}
    return about, timed({"network": forms[best].run} | finishes(made, deltas, threads))


def looked_up(sizes: LookupSizes, gaussians: int, threads: int) -> Made:
    """ONNX Runtime with the tri-plane in the graph, then apply and pack."""
    made = made_field(gaussians)
    session = default_session(lookup_graph(made_lookup(sizes), made), threads)
    inputs = {"means": made.movers.means, "audio_code": made.audio_code, "expression": made.expression}
    deltas = np.zeros((gaussians, 11), np.float32)

    def network() -> None:
        deltas[:] = session.run(["deltas"], inputs)[0]

    return {}, timed({"network": network} | finishes(made, deltas, threads))


def sgemm(_: int, threads: int) -> Made:
    """A large product of square float32 matrices: what this machine's arithmetic can do."""
    a = np.random.default_rng(0).normal(size=(SGEMM_SIDE, SGEMM_SIDE)).astype(np.float32)
    out = np.empty_like(a)
    return {"flops": 2 * SGEMM_SIDE**3, "threads": threads}, timed({"frame": lambda: np.dot(a, a, out=out)})


CONTENDERS: dict[str, Callable[[int, int], Made]] = {
    "fused": fused,
    "onnxruntime_whole": onnxruntime_whole,
    "onnxruntime_chunked": onnxruntime_chunked,
    "lookup_as_trained_here": lambda gaussians, threads: looked_up(OURS, gaussians, threads),
    "lookup_as_published": lambda gaussians, threads: looked_up(PUBLISHED, gaussians, threads),
    "sgemm": sgemm,
}


def finishes(made: MadeField, deltas: np.ndarray, threads: int) -> dict[str, Callable[[], object]]:
    """What follows a network: apply in NumPy and `pack_movers`; and the fused kernel's own loops for the same."""
    movers = made.movers
    quats = movers.quats_wxyz / np.linalg.norm(movers.quats_wxyz, axis=1, keepdims=True)
    logits = np.log(movers.opacities / (1 - movers.opacities)).astype(np.float32)
    canonical = (movers.means, quats, movers.scales, movers.opacities, logits)
    no_torso, out = np.zeros((0, 3), np.float32), np.empty((len(deltas), BYTES_PER_MOVER), np.uint8)
    field = FusedField(movers, None, None, BOX, threads=threads)
    moved: list[tuple[np.ndarray, ...]] = []

    def apply() -> None:
        moved[:] = [apply_deltas(*canonical, deltas, no_torso)]

    def pack() -> None:
        means, quats_wxyz, scales, opacities = moved[0]
        pack_movers(means, quats_wxyz, scales, opacities, BOX, out)

    return {"apply": apply, "pack": pack, "kernel_finish": lambda: field.pack(out, head_deltas=deltas)}


def timed(steps: dict[str, Callable[[], object]]) -> Frame:
    """A frame of these steps, each timed."""

    def frame() -> dict[str, float]:
        times_ms = {}
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            times_ms[name] = 1e3 * (time.perf_counter() - began)
        return times_ms

    return frame


def default_session(graph: bytes, threads: int, *, spinning: bool = True) -> Any:
    """ONNX Runtime as it comes, told only how many threads; whether waiting ones spin is its default, too."""
    runtime = onnxruntime_module()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def bound(session: Any, made: MadeField, deltas: np.ndarray, rows: int) -> OrtField:
    """Its inputs bound beforehand, as the runtime does."""
    return OrtField(
        session, made.audio_code, made.expression, made.first_layer, made.gates, deltas, rows=rows, device="cpu"
    )


def with_baked(made: MadeField, first_layer: np.ndarray, gates: np.ndarray) -> MadeField:
    """The field with another spatial part."""
    return dataclasses.replace(made, first_layer=first_layer, gates=gates)


if __name__ == "__main__":
    serve_turns(*CONTENDERS[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3])))
