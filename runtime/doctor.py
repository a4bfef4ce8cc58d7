"""What this machine can do: packages, devices and back ends, each asked and not guessed."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util

from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare.face_model import FILE_NAME, cache_folder, find_face_model

BASE_PACKAGES = {  # distribution -> import name
    "av": "av",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "msgpack": "msgpack",
    "numba": "numba",
    "numpy": "numpy",
    "onnx": "onnx",
    "pillow": "PIL",
    "pyzmq": "zmq",
    "rich": "rich",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "tyro": "tyro",
}

DOWNLOAD_OPTION = "--download-face-model"  # of gstalker prepare


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: what was looked at.
        state: "ok", "absent" (an extra that is not installed or a device that is not there) or "broken".
        detail: what was found.
        advice: how to get what is absent or mend what is broken; empty where nothing is to be done.
    """

    topic: str
    state: str
    detail: str
    advice: str = ""


def examine() -> list[Finding]:
    """Look at everything; never raises for something that is missing."""
    first = [machine(), base()]
    if first[-1].state == "broken":  # all else stands on it
        return first
    return [*first, *training(), inference(), *face_tracking(), sound(), made_speech()]


def usable_cores() -> int:
    """Processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Physical memory, or None where the system does not say."""
    if hasattr(os, "sysconf"):
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (ValueError, OSError):
            return None
    return _windows_memory_bytes()


def _windows_memory_bytes() -> int | None:
    import ctypes

    class Status(ctypes.Structure):  # MEMORYSTATUSEX
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong), ("total", ctypes.c_ulonglong)] + [
            (f"unused_{i}", ctypes.c_ulonglong) for i in range(6)
        ]

    status = Status(length=ctypes.sizeof(Status))
    kernel32 = getattr(ctypes, "windll").kernel32  # noqa: B009 - the attribute exists on Windows only
    return status.total if kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def machine() -> Finding:
    """System, Python, processors, memory."""
    memory = memory_bytes()
    shown = f"{memory / 2**30:.1f} GiB" if memory else "unknown"
    return Finding(
        "machine",
        "ok",
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"{usable_cores()} cores, {shown} memory",
    )


def base() -> Finding:
    """Every package of the base install, imported for real."""
    troubles = []
    for distribution, module in BASE_PACKAGES.items():
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:  # OSError: a shared library that does not load
            troubles.append(f"{distribution} ({error})")
    if troubles:
        return Finding("base", "broken", f"cannot import {'; '.join(troubles)}", "pip install gstalker")
    return Finding("base", "ok", f"gstalker {_version('gstalker')}: serves, records and validates")


def training() -> Iterator[Finding]:
    """The device and rasterizer that `gstalker train` will use, and the tri-plane's back end."""
    if not _installed("torch"):
        gpus = _nvidia_gpus()
        extras = "gpu,train" if gpus else "train"
        seen = f"; seen: {', '.join(gpus)}" if gpus else ""
        yield Finding("training", "absent", f"torch is not installed{seen}", f"pip install 'gstalker[{extras}]'")
        return
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        yield Finding("training", "broken", f"torch does not load: {error}", "reinstall torch")
        return
    if not torch.cuda.is_available():
        detail = f"torch {torch.__version__} on the CPU, numba rasterizer, {usable_cores()} threads"
        gpus = _nvidia_gpus()
        advice = f"{gpus[0]} is not used: install a CUDA build of torch" if gpus else ""
        yield Finding("training", "ok", detail, advice)
        return
    properties = torch.cuda.get_device_properties(0)
    device = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    if _installed("gsplat"):
        yield Finding("training", "ok", f"gsplat {_version('gsplat')} on {device}")
    else:
        yield Finding(
            "training",
            "absent",
            f"{device}, but no gsplat: training stays on the CPU",
            _install("gpu"),
        )
    if _installed("tinycudann"):
        yield Finding("tri-plane", "ok", "tinycudann")
    else:
        yield Finding(
            "tri-plane",
            "ok",
            "portable torch",
            "tinycudann is faster: build it from its repository, with nvcc",
        )


def inference() -> Finding:
    """What ONNX Runtime really runs on, asked of sessions: its list of providers names only the build's."""
    builds = [d for d in ("onnxruntime", "onnxruntime-gpu") if _version(d)]
    choice = "pip install 'gstalker[cpu]', or 'gstalker[gpu]' with an NVIDIA GPU"
    if len(builds) > 1:
        return Finding(
            "inference",
            "broken",
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other",
            "pip uninstall onnxruntime onnxruntime-gpu, then install one of them",
        )
    if not _installed("onnxruntime"):
        return Finding("inference", "absent", "ONNX Runtime is not installed", choice)
    try:
        used, starting = avatar_providers(), starting_providers()
    except (ImportError, OSError, RuntimeError, InputError) as error:
        return Finding("inference", "broken", f"ONNX Runtime does not run a session: {error}", choice)
    build = f"{builds[0]} {_version(builds[0])}" if builds else "ONNX Runtime"
    also = ", ".join(p for p in starting if p not in used)
    advice = ""
    if "onnxruntime-gpu" in builds and "CUDAExecutionProvider" not in starting:
        advice = "this is the GPU build, but CUDA did not start: look at the driver, or install onnxruntime"
    detail = f"{build}: avatars run on {', '.join(used)}" + (f"; also starts here: {also}" if also else "")
    return Finding("inference", "ok", detail, advice)


def avatar_providers() -> list[str]:
    """The execution providers that a served avatar's networks get."""
    from gstalker.runtime.infer import open_session  # needs the base, which is what is being examined

    return open_session(_one_node_model(), "a graph of one node", 1).get_providers()


def starting_providers() -> list[str]:
    """The execution providers that start on this machine, whether or not avatars use them."""
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # a provider that does not start is reported here, not on the terminal
    offered = onnxruntime.get_available_providers()
    return onnxruntime.InferenceSession(_one_node_model(), options, providers=offered).get_providers()


def _one_node_model() -> bytes:
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    return model.SerializeToString()


def face_tracking() -> Iterator[Finding]:
    """MediaPipe and its landmark model, both needed by `gstalker prepare`."""
    if _installed("mediapipe"):
        yield Finding("face tracking", "ok", f"mediapipe {_version('mediapipe')}")
    else:
        yield Finding("face tracking", "absent", "mediapipe is not installed", _install("train"))
    try:
        yield Finding("face model", "ok", str(find_face_model(None, may_download=False)))
    except InputError:
        advice = f"put it there, or let gstalker prepare fetch it once with {DOWNLOAD_OPTION}"
        detail = f"{FILE_NAME} is neither in $GSTALKER_MODELS nor in {cache_folder()}"
        yield Finding("face model", "absent", detail, advice)


def sound() -> Finding:
    """Devices to play and to listen with."""
    if not _installed("sounddevice"):
        return Finding("sound", "absent", "sounddevice is not installed", _install("audio"))
    try:
        devices = importlib.import_module("sounddevice").query_devices()
    except (ImportError, OSError) as error:  # OSError: PortAudio itself is missing
        return Finding("sound", "broken", f"sounddevice does not load: {error}", "install the PortAudio library")
    outputs = sum(d["max_output_channels"] > 0 for d in devices)
    inputs = sum(d["max_input_channels"] > 0 for d in devices)
    state = "ok" if outputs or inputs else "absent"
    return Finding("sound", state, f"{outputs} devices to play with, {inputs} to listen with")


def made_speech() -> Finding:
    """espeak-ng, which speaks for the demo's character."""
    if _installed("espeakng_loader"):
        return Finding("made speech", "ok", f"espeakng-loader {_version('espeakng-loader')}")
    return Finding("made speech", "absent", "espeakng-loader is not installed", _install("demo"))


def _install(extras: str) -> str:
    return f"pip install 'gstalker[{extras}]'"


def _installed(module: str) -> bool:
    return util.find_spec(module) is not None


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _nvidia_gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
