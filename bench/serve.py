"""How well a real server keeps time with one client: lateness, memory and processor time, at 25 frames a second."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from gstalker.bridge import schema
from gstalker.bridge.client.client import AvatarClient
from gstalker.runtime.dataset import AUDIO_RATE_HZ, write_wav
from gstalker.runtime.errors import InputError

START_S = 60.0  # a first start may compile
MEMORY_TARGET_MB = 400.0


def run(bundle: Path | None = None, seconds: float = 20.0) -> dict[str, Any]:
    """Serve a bundle from a process of its own and listen to it from this one.

    Args:
        bundle: the avatar.
        seconds: of speech (a made tone that swells and fades).

    Raises:
        InputError: no bundle was given.
        RuntimeError: the server ended badly or said nothing.
    """
    if bundle is None:
        raise InputError("bench serve: expected --bundle NAME.gsavatar, got none. `gstalker export` writes one.")
    with tempfile.TemporaryDirectory() as folder:
        speech = Path(folder) / "speech.wav"
        write_wav(speech, tone(seconds))
        address = f"tcp://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "gstalker.cli.main", "serve", str(bundle), "--audio", str(speech)]
        before_s = children_cpu_s()
        process = subprocess.Popen(
            [*command, "--address", address, "--exit-when-done"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            figures = listen(address)
        finally:
            if process.poll() is None:
                time.sleep(1.0)  # it is about to end by itself
            process.terminate()
            process.wait(timeout=20)
    used_s = children_cpu_s() - before_s
    return figures | {
        "seconds": seconds,
        "server_cpu_share_of_one_core": used_s / seconds if used_s else None,
        "server_peak_mb": children_peak_mb(),
        "memory_target_mb": MEMORY_TARGET_MB,
    }


def listen(address: str) -> dict[str, Any]:
    """Receive every frame until the stream ends, then ask the server how it kept time."""
    frames, waits_ms = 0, []
    with AvatarClient(address, client_name="gstalker bench", timeout_s=START_S) as client:
        counts = {"gaussians": len(client.avatar.canonical), "movers": client.avatar.welcome.mover_count}
        last_s = math.nan
        stats = None
        for received in client.messages():
            if isinstance(received.message, schema.FrameQ16):
                frames += 1
                waits_ms.append(1000 * (received.received_at_s - last_s))
                last_s = received.received_at_s
                if frames % 25 == 0:
                    stats = client.stats()
        if stats is None:
            raise RuntimeError(f"{address}: expected at least a second of frames, got {frames}.")
    waits = np.array(waits_ms[1:])
    return counts | {
        "frames_received": frames,
        "frames_late": stats.frames_late,
        "frames_dropped": stats.frames_dropped,
        "lateness_p50_ms": stats.lateness_p50_ms,
        "lateness_p99_ms": stats.lateness_p99_ms,
        "lateness_max_ms": stats.lateness_max_ms,
        "compute_p50_ms": stats.compute_p50_ms,
        "compute_p99_ms": stats.compute_p99_ms,
        "between_frames_p99_ms": float(np.percentile(waits, 99)),
    }


def tone(seconds: float) -> np.ndarray:
    """A voice-like tone that swells twice a second."""
    time_s = np.arange(round(seconds * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    voice = sum(np.sin(2 * np.pi * 130 * k * time_s) / k for k in range(1, 15))
    return (0.1 * (1 - np.cos(4 * np.pi * time_s)) * voice).astype(np.float32)


def free_port() -> int:
    """A loopback port that was free, with the next one, a moment ago."""
    for _ in range(50):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise RuntimeError("expected two neighbouring free ports on 127.0.0.1, found none in 50 tries.")


def children_cpu_s() -> float:
    """Processor seconds of ended child processes; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0.0
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def children_peak_mb() -> float | None:
    """Largest resident memory of any ended child process; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
