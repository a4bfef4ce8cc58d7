"""How well a real server keeps time: one avatar with one client, as many sessions as it takes, and live speech."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from gstalker.bench.serving.made_voice import tone, write_tone
from gstalker.bench.serving.repeated_avatar import write_repeated
from gstalker.bench.serving.server_process import ServerProcess, served
from gstalker.bridge.client.client import AvatarClient
from gstalker.bridge.errors import Refused
from gstalker.bridge.schema import Audio, FrameQ16
from gstalker.bridge.server.speech import ANTICIPATION_FRAMES, algorithmic_delay_ms
from gstalker.bridge.web.demo_avatar import demo_avatar
from gstalker.runtime.bundle import AvatarBundle

TARGET_FRAMES_A_SECOND = 90.0
TARGET_AVATARS = 3
THREADS = 2
CLIENT_PATIENCE_S = 60.0
SHARE_OF_CAPACITY = 0.15  # of the seconds asked for, for each number of sessions
LIVE_UTTERANCES = 8
PIECE_S = 0.02  # of pushed live sound, as a microphone delivers it
QUIET_S, LOUD_S = 0.6, 0.6


def run(optional_bundle: Path | None = None, gaussians: int = 40_000, seconds: float = 60.0) -> dict[str, Any]:
    """Serve an avatar from a process of its own and be its only client.

    Args:
        optional_bundle: the avatar whose Gaussians are repeated; the demo character if not given.
        gaussians: how many it shall have.
        seconds: how long one session is watched; the other parts take about as long together.

    Raises:
        RuntimeError: the server ended badly or said nothing.
    """
    source = optional_bundle or demo_avatar()[0]
    with tempfile.TemporaryDirectory() as folder:
        bundle = write_repeated(source, gaussians, Path(folder) / "measured.gsavatar")
        speech = write_tone(Path(folder) / "speech.wav", 10.0)
        words = [str(bundle), "--audio", str(speech), "--loop", "--threads", str(THREADS)]
        with served(words) as server:
            figures = one_session(server, seconds)
            memory_mb = server.memory_mb()
            delay = live_delay(server, AvatarBundle.open(bundle))
            several = several_sessions(server, max(2.0, SHARE_OF_CAPACITY * seconds))
    sustained = max((s["frames_a_second"] for s in several if s["kept_up"]), default=0.0)
    avatars = max((s["sessions"] for s in several if s["kept_up"]), default=0)
    return figures | {
        "seconds": seconds,
        "server_memory_mb": memory_mb,
        "sessions": several,
        "sustained_frames_a_second": sustained,
        "sustained_frames_a_second_target": TARGET_FRAMES_A_SECOND,
        "avatars_at_25_fps": avatars,
        "avatars_at_25_fps_target": TARGET_AVATARS,
        "live_speech_to_frame_ms": delay,
    }


def one_session(server: ServerProcess, seconds: float) -> dict[str, Any]:
    """The shared session, speaking, with one client."""
    with AvatarClient(server.address, client_name="gstalker bench", timeout_s=CLIENT_PATIENCE_S) as client:
        frames, transport_ms = 0, []
        began_s = ended_s = time.perf_counter()
        cpu_s = server.cpu_s()
        while ended_s - began_s < seconds:
            received = client.receive(1.0)
            ended_s = time.perf_counter()
            if received is None or not isinstance(received.message, FrameQ16):
                continue
            frames += 1
            if client.clock.known:
                here_s = client.clock.session_time_s(received.received_at_s)
                transport_ms.append(1000 * (here_s - received.message.sent_at_s))
        used_s = server.cpu_s() - cpu_s
        stats, welcome = client.stats(), client.avatar.welcome
    return {
        "gaussians": welcome.gaussian_count,
        "movers": welcome.mover_count,
        "backend": stats.backend,
        "frames_received": frames,
        "frames_late": stats.frames_late,
        "frames_dropped": stats.frames_dropped,
        "frames_refused": stats.frames_refused,
        "lateness_p50_ms": stats.lateness_p50_ms,
        "lateness_p99_ms": stats.lateness_p99_ms,
        "lateness_max_ms": stats.lateness_max_ms,
        "compute_p50_ms": stats.compute_p50_ms,
        "compute_p99_ms": stats.compute_p99_ms,
        "transport_p50_ms": float(np.median(transport_ms)) if transport_ms else None,
        "cpu_share_of_one_core_at_25_fps": used_s / (ended_s - began_s),
    }


def several_sessions(server: ServerProcess, seconds: float) -> list[dict[str, Any]]:
    """One more private session of the one avatar at a time, all received by this one process, until one is refused."""
    clients: list[AvatarClient] = []
    rows: list[dict[str, Any]] = []
    try:
        while True:
            try:
                client = AvatarClient(server.address, private=True, client_name="gstalker bench")
            except Refused as refused:
                rows.append(
                    {"sessions": len(clients) + 1, "refused": f"{refused.code}: {refused}", "kept_up": False}
                    | {"frames_a_second": 0.0}
                )
                return rows
            clients.append(client)
            client.play()
            _receive_all(clients, 1.0)  # its clock starts with its subscription
            rows.append(_watch(server, clients, seconds))
    finally:
        for client in clients:
            client.close()


def _watch(server: ServerProcess, clients: list[AvatarClient], seconds: float) -> dict[str, Any]:
    before = [c.stats() for c in clients]
    cpu_s, began_s = server.cpu_s(), time.perf_counter()
    frames = _receive_all(clients, seconds)
    elapsed_s = time.perf_counter() - began_s
    used_s = server.cpu_s() - cpu_s
    after = [c.stats() for c in clients]
    lost = sum(
        (a.frames_dropped - b.frames_dropped) + (a.frames_late - b.frames_late) + (a.frames_refused - b.frames_refused)
        for a, b in zip(after, before, strict=True)
    )
    return {
        "sessions": len(clients),
        "frames_a_second": frames / elapsed_s,
        "frames_late_or_dropped": lost,
        "lateness_p99_ms": max(a.lateness_p99_ms for a in after),
        "load": after[0].load,
        "cpu_cores": used_s / elapsed_s,
        # Two frames at either end belong to the moment before or after.
        "kept_up": lost == 0 and frames >= len(clients) * (25 * elapsed_s - 4),
    }


def _receive_all(clients: list[AvatarClient], seconds: float) -> int:
    """Receive in turns for that long; how many frames came."""
    frames = 0
    until_s = time.perf_counter() + seconds
    while time.perf_counter() < until_s:
        idle = True
        for client in clients:
            received = client.receive(0.0)
            idle = idle and received is None
            frames += received is not None and isinstance(received.message, FrameQ16)
        if idle:
            time.sleep(0.002)
    return frames


def live_delay(server: ServerProcess, bundle: AvatarBundle) -> dict[str, float]:
    """Speech pushed in pieces as a microphone delivers it: from the moment a sound begins to its frame's arrival.

    The delay is the look-ahead of the audio encoder (algorithm), the frames in which the mouth opens before an
    utterance (anticipation), the frame's computing, the way to the client, and what is left: pieces of sound and frames
    have their turns. The frame is shown the lead after it has come.
    """
    algorithm_ms = algorithmic_delay_ms(bundle.manifest.audio)
    delays_ms, transports_ms = [], []
    with AvatarClient(server.address, private=True, client_name="gstalker bench") as client:
        _receive_all([client], 1.5)
        for _ in range(LIVE_UTTERANCES):
            delay_ms, transport_ms = _one_onset(client)
            delays_ms.append(delay_ms)
            transports_ms.append(transport_ms)
        stats = client.stats()
        lead_ms = 1000 * client.avatar.welcome.lead_s
    total_ms, transport_ms = float(np.median(delays_ms)), float(np.median(transports_ms))
    anticipation_ms = 1000 * ANTICIPATION_FRAMES / bundle.manifest.frame_rate_hz
    known_ms = algorithm_ms + anticipation_ms + stats.compute_p50_ms + transport_ms
    return {
        "sound_to_frame_arrival_p50": total_ms,
        "of_that_algorithm": algorithm_ms,
        "of_that_anticipation": anticipation_ms,
        "of_that_compute_p50": stats.compute_p50_ms,
        "of_that_transport_p50": transport_ms,
        "of_that_turns": total_ms - known_ms,
        "then_lead": lead_ms,
    }


def _one_onset(client: AvatarClient) -> tuple[float, float]:
    """Push silence, then a tone, in real time; how late after its first sample the frame comes that it is heard in."""
    rate_hz = 16_000
    sound = np.concatenate([np.zeros(round(QUIET_S * rate_hz), np.float32), tone(LOUD_S)[: round(LOUD_S * rate_hz)]])
    sound[round(QUIET_S * rate_hz) :] += 0.2  # the tone swells in; the step is what is looked for
    piece = round(PIECE_S * rate_hz)
    speech = client.open_speech(rate_hz, 1)
    began_s = time.perf_counter()
    at_s: dict[int, float] = {}
    sent_at_s: dict[int, float] = {}
    onset_frame: int | None = None
    pushed = 0
    while time.perf_counter() - began_s < QUIET_S + LOUD_S + 2.0:
        while pushed < len(sound) and time.perf_counter() - began_s >= (pushed + piece) / rate_hz:
            speech.add(sound[pushed : pushed + piece])
            pushed += piece
            if pushed >= len(sound):
                speech.close()
        received = client.receive(0.002)
        if received is None:
            continue
        message = received.message
        if isinstance(message, FrameQ16):
            at_s[message.index], sent_at_s[message.index] = received.received_at_s, message.sent_at_s
        elif isinstance(message, Audio) and onset_frame is None:
            loud = np.flatnonzero(np.abs(message.pcm.astype(np.int32)) > 3000)
            if len(loud):
                onset_frame = int((message.time_s + loud[0] / rate_hz) * client.avatar.fps)
        if onset_frame in at_s and pushed >= len(sound):
            break
    if onset_frame is None or onset_frame not in at_s:
        raise RuntimeError("live speech: expected a frame for the sound pushed, none came within 2 s.")
    transport_ms = 1000 * (client.clock.session_time_s(at_s[onset_frame]) - sent_at_s[onset_frame])
    _receive_all([client], 1.0)
    return 1000 * (at_s[onset_frame] - began_s - QUIET_S), transport_ms
