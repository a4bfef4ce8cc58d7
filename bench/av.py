"""How well sound and picture stay together at a client whose clock and sound device are off, and under full load.

A real server process and the real client; the sound device is simulated, with a quartz of its own, in a thread. What
left the loudspeaker and what was lit on the display are compared at every fourth picture by content alone
(`bench.av_witness`): where in the known speech the sound around that instant is, and between which frames of the wire
the picture lies.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gstalker.bench.av_witness.device import SimulatedDevice
from gstalker.bench.av_witness.moments import HALF_S, Watch, locate_sound, speech_noise
from gstalker.bench.serving.server_process import served
from gstalker.bridge import schema
from gstalker.bridge.client.client import AvatarClient
from gstalker.bridge.client.player import AvatarPlayer
from gstalker.bridge.client.playout import PlayoutOptions
from gstalker.bridge.web.demo_avatar import demo_avatar
from gstalker.runtime.dataset import AUDIO_RATE_HZ, write_wav
from gstalker.runtime.errors import InputError

DISPLAY_HZ = 72.0
DEVICE_HZ = 48_000
EVERY = 4  # pictures between two that are measured
IN_STEP_MS = 20.0  # the p95 that is aimed at, and what "back in step" means after the load
LIMITS_MS = (-125.0, 45.0)  # ITU-R BT.1359: how far sound may lag and lead the picture
BEGIN_S = 3.0  # of the stream, before anything is measured: a player fills its buffers first


@dataclass
class Seen:
    """One refresh of the display: when, and the content and the player's own idea of what was lit."""

    at_s: float
    content: np.ndarray
    told_s: float


@dataclass
class Log:
    """What the witness has."""

    watch: Watch
    speech: np.ndarray
    begins_s: float | None = None  # presentation time of the speech's first sample
    seen: list[Seen] = field(default_factory=list)
    load: tuple[float, float] = (np.inf, np.inf)
    late_refreshes: int = 0


def run(
    optional_bundle: Path | None = None,
    seconds: float = 20.0,
    ppm: float = 200.0,
    load_seconds: float = 0.0,
    plots: Path | None = None,
) -> dict[str, Any]:
    """Serve a bundle from a process of its own, play it in this one, and watch.

    Args:
        optional_bundle: the avatar; the demo character if not given.
        seconds: of speech.
        ppm: how fast the client's clock is, and how slow its sound device's quartz: they part by twice of it.
        load_seconds: in the middle, how long as many processes as there are cores do nothing but compute.
        plots: folder for av_offset.png and av_offset.json.

    Raises:
        InputError: times that make no sense.
        RuntimeError: nothing could be measured.
    """
    if not (seconds >= BEGIN_S + 4 and 0 <= load_seconds <= seconds - BEGIN_S - 3):
        raise InputError(
            f"bench av: expected at least {BEGIN_S + 4:g} seconds and a load that leaves {BEGIN_S + 3:g} of them free, "
            f"got {seconds:g} and {load_seconds:g}."
        )
    speech = speech_noise(seconds, AUDIO_RATE_HZ)
    bundle = optional_bundle or demo_avatar()[0]
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        write_wav(wav, speech)
        with served([str(bundle), "--audio", str(wav)]) as server:
            figures, log, device = play(server.address, speech, seconds, ppm, load_seconds)
    offsets = measure(log, device)
    if len(offsets) < 20:
        raise RuntimeError(f"bench av: expected hundreds of pictures with their sound, could tell {len(offsets)}.")
    figures |= summary(offsets, log)
    if plots is not None:
        from gstalker.bench.av_witness.plot import write_plots

        write_plots(plots, offsets, log.load, figures)
    return {"seconds": seconds, "ppm": ppm, "load_seconds": load_seconds} | figures


def play(
    address: str, speech: np.ndarray, seconds: float, ppm: float, load_seconds: float
) -> tuple[dict[str, Any], Log, SimulatedDevice]:
    """Play to the end of the speech; the client's figures, what was seen, and the loudspeaker."""
    origin_s = time.perf_counter()

    def client_s(true_s: float) -> float:
        return origin_s + (true_s - origin_s) * (1 + ppm * 1e-6)

    def steady() -> float:
        return client_s(time.perf_counter())

    with AvatarClient(address, client_name="gstalker bench av", steady=steady) as client:
        player = AvatarPlayer(client, PlayoutOptions())
        device = SimulatedDevice(player.sound, client_s, seconds + 30, rate_hz=DEVICE_HZ, ppm=-ppm)
        box = client.avatar.box
        step_m = (max(box.position_max_m) - min(box.position_min_m)) / 65535
        log = Log(Watch(client.avatar.fps, step_m), speech)
        load = Load(load_seconds, seconds)
        device.start()
        try:
            _watch(client, player, log, load, seconds, (origin_s, ppm))
            stats = client.stats()
        finally:
            load.end()
            device.stop()
        playout = player.playout
        return (
            {
                "delay_ms": 1000 * playout.delay_s,
                "jitter_p99_ms": 1000 * playout.jitter_s,
                "clock_drift_found_ppm": 1e6 * client.clock.drift,
                "device_drift_found_ppm": 1e6 * playout.device_drift,
                "clock_uncertainty_ms": 1000 * client.clock.uncertainty_s(steady()),
                "device_underrun_s": device.underrun_samples / DEVICE_HZ,
                "late_refreshes": log.late_refreshes,
                "sound": asdict(playout.sounds),
                "frames": asdict(playout.frames),
                "pictures": asdict(playout.pictures),
                "server_frames_late": stats.frames_late,
                "server_frames_dropped": stats.frames_dropped,
                "server_lateness_p99_ms": stats.lateness_p99_ms,
            },
            log,
            device,
        )


def _watch(
    client: AvatarClient, player: AvatarPlayer, log: Log, load: Load, seconds: float, clock: tuple[float, float]
) -> None:
    """The display: at every refresh a picture for the next one, as a renderer does."""
    origin_s, ppm = clock
    refresh, over = 0, False
    while not over:
        for received in player.update(0.002):
            message = received.message
            if isinstance(message, schema.FrameQ16):
                log.watch.came(message.index, client.avatar.frame(message).means)
                over = message.time_s > seconds + 0.5
            elif isinstance(message, schema.Audio) and log.begins_s is None:
                # Pieces that were never sent, because a server that has just started was late, are numbered, too.
                log.begins_s = message.time_s - message.sequence * message.sample_count / AUDIO_RATE_HZ
        if over and not player.playout.waiting_frames:
            break
        load.follow(log)
        now_s = time.perf_counter()
        if now_s < origin_s + refresh / DISPLAY_HZ:
            continue
        lit_s = origin_s + (math.floor((now_s - origin_s) * DISPLAY_HZ) + 1) / DISPLAY_HZ
        picture = player.picture(origin_s + (lit_s - origin_s) * (1 + ppm * 1e-6))
        done_s = time.perf_counter()
        if done_s > lit_s:  # it was not ready, and is lit at the refresh after
            log.late_refreshes += 1
            lit_s = origin_s + (math.floor((done_s - origin_s) * DISPLAY_HZ) + 1) / DISPLAY_HZ
        refresh = round((lit_s - origin_s) * DISPLAY_HZ)
        if picture is not None and log.watch.movers is not None:
            log.seen.append(Seen(lit_s, log.watch.seen(picture.frame.means), picture.time_s))


class Load:
    """Keeps every core busy for a while, after a third of the time that is left without it."""

    def __init__(self, seconds: float, of_seconds: float) -> None:
        self._seconds = seconds
        self._after_s = BEGIN_S + max(0.0, of_seconds - BEGIN_S - seconds) / 3
        self._began_s: float | None = None
        self._processes: list[subprocess.Popen[bytes]] = []

    def follow(self, log: Log) -> None:
        """Begin and end when it is time."""
        if self._seconds <= 0 or not log.seen:
            return
        now_s = time.perf_counter()
        if self._began_s is None and now_s > log.seen[0].at_s + self._after_s:
            self._began_s = now_s
            busy = f"import time\nend = time.monotonic() + {self._seconds}\nwhile time.monotonic() < end: pass"
            self._processes = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(os.cpu_count() or 1)]
            log.load = (now_s, now_s + self._seconds)
        elif self._processes and now_s > log.load[1]:
            log.load = (log.load[0], now_s)
            self.end()

    def end(self) -> None:
        """End what still runs."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()


def measure(log: Log, device: SimulatedDevice) -> np.ndarray:
    """(K, 2): at refreshes of the display, the time and by how many ms sound led what was lit; NaN where only one of
    them was there."""
    if not log.seen or log.begins_s is None:
        return np.zeros((0, 2))
    half = round(HALF_S * DEVICE_HZ)
    lit_s = np.array([s.at_s for s in log.seen])
    rows: list[tuple[float, float]] = []
    last = round((lit_s[-1] - lit_s[0]) * DISPLAY_HZ)
    for refresh in range(round(BEGIN_S * DISPLAY_HZ), last, EVERY):
        at_s = lit_s[0] + refresh / DISPLAY_HZ
        seen = log.seen[int(np.searchsorted(lit_s, at_s + 1e-6)) - 1]  # what stays lit at this refresh
        rows.append((at_s, _leads_ms(log, device.around(at_s, half), seen)))
    return np.array(rows)


def _leads_ms(log: Log, window: np.ndarray | None, seen: Seen) -> float:
    """By how many ms the sound of a window is ahead of what was lit; NaN where either cannot be told."""
    picture_s = log.watch.locate(seen.content, seen.told_s)
    if window is None or picture_s is None or log.begins_s is None:
        return np.nan
    near_s = picture_s - log.begins_s
    sound_s = locate_sound(window / 32768, DEVICE_HZ, log.speech, AUDIO_RATE_HZ, near_s)
    return np.nan if sound_s is None else 1000 * (sound_s - near_s)


def summary(offsets: np.ndarray, log: Log) -> dict[str, Any]:
    """Distribution of the offset without and under load, and how long after it the picture was out of step."""
    at_s, ms = offsets.T
    loaded = (at_s >= log.load[0]) & (at_s < log.load[1] + 2.0)
    figures: dict[str, Any] = {"measured": int(np.isfinite(ms).sum()), "untold": int(np.isnan(ms).sum())}
    figures["quiet"] = spread(ms[~loaded])
    if loaded.any():
        figures["loaded"] = spread(ms[(at_s >= log.load[0]) & (at_s < log.load[1])])
        figures["back_in_step_after_s"] = back_in_step_s(at_s, ms, log.load[1])
        figures["back_in_step_target_s"] = 2.0
    return figures


def back_in_step_s(at_s: np.ndarray, ms: np.ndarray, over_s: float) -> float:
    """How long after the load a second begins in which 95 % of the pictures are in step; infinite for never."""
    told = np.isfinite(ms)
    at_s, ms = at_s[told], ms[told]
    for begin_s in at_s[at_s >= over_s]:
        second = ms[(at_s >= begin_s) & (at_s < begin_s + 1.0)]
        if np.percentile(np.abs(second), 95) <= IN_STEP_MS:
            return float(begin_s - over_s)
    return math.inf


def spread(ms: np.ndarray) -> dict[str, Any]:
    """Percentiles of how many ms sound leads the picture."""
    ms = ms[np.isfinite(ms)]
    if not len(ms):
        return {"measured": 0}
    return {
        "measured": len(ms),
        "median_ms": float(np.median(ms)),
        "p95_of_size_ms": float(np.percentile(np.abs(ms), 95)),
        "p95_target_ms": IN_STEP_MS,
        "sound_leads_most_ms": float(ms.max()),
        "sound_lags_most_ms": float(ms.min()),
        "outside_of_limits": int(((ms < LIMITS_MS[0]) | (ms > LIMITS_MS[1])).sum()),
        "limits_ms": list(LIMITS_MS),
    }
