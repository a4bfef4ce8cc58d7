"""What can compute the deformation field here, and which of it is fastest: asked of sessions, and measured.

The fused kernel (`kernels.fused_field`) runs everywhere. ONNX Runtime runs the same graph on the CPU, whole or in
pieces that stay in the caches, and on whatever else its build brings and this machine has.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from gstalker.runtime.errors import InputError

AUTO, FUSED = "auto", "fused"
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""Names of ONNX Runtime's execution providers here and there."""
BACKENDS = (FUSED, *PROVIDERS)

TRIAL_ROUNDS = 9
TIE = 1.1
"""The fused kernel is kept unless something else is faster by more than this: trials on a busy machine err so far."""
CHUNK_ROWS = (2512, 5024, 10016)
"""Gaussians at a time that are tried on the CPU; layers of more go out to memory and back."""


@dataclass(frozen=True)
class Trial:
    """One back end that was tried: its time, or why it is out."""

    name: str
    frame_ms: float | None
    detail: str


@dataclass(frozen=True)
class BackendChoice:
    """What computes an avatar's frames, and what it was chosen from.

    Attributes:
        name: one of BACKENDS.
        frame_ms: median milliseconds of a frame in the trial: network, Gaussians moved, packed.
        detail: how it runs, for a person: threads, pieces, device.
        trials: everything that was tried, best first, those that do not run here last.
    """

    name: str
    frame_ms: float
    detail: str
    trials: tuple[Trial, ...]

    def __str__(self) -> str:
        return f"{self.name} ({self.detail}), {self.frame_ms:.2f} ms a frame"


class OrtField:
    """deform.onnx in an ONNX Runtime session with everything bound beforehand: a frame copies two small vectors in.

    Not thread-safe.
    """

    def __init__(
        self,
        session: Any,
        audio_code: np.ndarray,
        expression: np.ndarray,
        first_layer: np.ndarray,
        gates: np.ndarray,
        deltas: np.ndarray,
        *,
        rows: int,
        device: str,
    ) -> None:
        """Bind.

        Args:
            session: of deform.onnx; with free rows if `rows` is less than all.
            audio_code: (1, A), expression: (1, E) float32, read at every run.
            first_layer: (Mh, H), gates: (Mh, 2) float32: copied to the device once.
            deltas: (Mh, 11) float32, written by every run.
            rows: Gaussians a run.
            device: "cpu" or "cuda", where the two large inputs are kept.
        """
        runtime = onnxruntime_module()
        self._session, self._bindings = session, []
        self._kept: list[Any] = [audio_code, expression, deltas]  # ONNX Runtime holds their addresses
        for first in range(0, len(deltas), rows):
            part = slice(first, first + rows)
            binding = session.io_binding()
            for name, array in (("audio_code", audio_code), ("expression", expression)):
                binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
            for name, array in (("first_layer", first_layer), ("gates", gates)):
                value = runtime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array[part]), device, 0)
                self._kept.append(value)
                binding.bind_ortvalue_input(name, value)
            out = deltas[part]
            binding.bind_output("deltas", "cpu", 0, np.float32, out.shape, out.ctypes.data)
            self._bindings.append(binding)

    def run(self) -> None:
        """From the bound codes to the bound deltas."""
        for binding in self._bindings:
            self._session.run_with_iobinding(binding)


def open_session(data: bytes, name: str, threads: int, provider: str = "CPUExecutionProvider") -> Any:
    """An ONNX Runtime session that does not burn a core while it waits.

    Raises:
        InputError: ONNX Runtime is not installed, refuses the graph, or does not run the provider. A provider of its
            build may fail to start, and it goes on with the CPU then: the session itself is asked.
    """
    runtime = onnxruntime_module()
    offered = runtime.get_available_providers()
    if provider not in offered:
        raise InputError(f"{name}: expected {provider}, this build of ONNX Runtime has {', '.join(offered)}.")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if provider == "DmlExecutionProvider":  # what DirectML demands
        options.enable_mem_pattern = False
    try:
        session = runtime.InferenceSession(data, options, providers=[provider])
    except Exception as error:  # onnxruntime raises types of its own that share no base but this one
        text = " ".join(str(error).split())[:200]
        raise InputError(f"{name}: expected a graph that ONNX Runtime loads, it refused ({text}).") from error
    got = session.get_providers()
    if provider not in got:
        raise InputError(f"{name}: expected {provider}, ONNX Runtime started {', '.join(got)} instead.")
    return session


def onnxruntime_module() -> ModuleType:
    """ONNX Runtime, which is an extra.

    Raises:
        InputError: it is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise InputError(
            "onnxruntime: expected ONNX Runtime, which runs the avatar, found none. Run "
            "`pip install 'gstalker[cpu]'`, or `pip install 'gstalker[gpu]'` on a CUDA machine; never both."
        ) from error
    return onnxruntime


def check_backend_name(name: str) -> None:
    """Refuse a name that is none.

    Raises:
        InputError: naming those there are.
    """
    if name not in (AUTO, *BACKENDS):
        raise InputError(f"backend: expected one of {', '.join((AUTO, *BACKENDS))}, got {name!r}.")


def offered_providers() -> list[str]:
    """Short names of what this build of ONNX Runtime could run, the CPU first; only a session knows whether it does."""
    offered = onnxruntime_module().get_available_providers()
    return [name for name, provider in PROVIDERS.items() if provider in offered]


def medians_ms(frames: Sequence[Callable[[], None]], rounds: int = TRIAL_ROUNDS) -> list[float]:
    """Median milliseconds of each, run by turns, so that a busy moment of the machine hits all alike.

    A round that is not counted comes first: in it is loaded and compiled what is lazily so.
    """
    times_ms: list[list[float]] = [[] for _ in frames]
    for _ in range(1 + rounds):
        for frame, times in zip(frames, times_ms, strict=True):
            began = time.perf_counter()
            frame()
            times.append(1e3 * (time.perf_counter() - began))
    return [statistics.median(times[1:]) for times in times_ms]
