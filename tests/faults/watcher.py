"""A client with a display and a sound device, as a program: plays for a while, then says everything it saw.

python watcher.py ADDRESS SECONDS OUT.json

Times are of time.perf_counter, which on Linux all processes of the machine share, so that the test can tell what
happened when.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from gstalker.bench.av_witness.device import SimulatedDevice
from gstalker.bridge.client.client import AvatarClient
from gstalker.bridge.client.player import AvatarPlayer

DISPLAY_HZ = 50.0
DEVICE_HZ = 48_000
BREAK_S = 0.005  # the sound is a tone of 200 Hz, which is never near zero for so long


def watch(address: str, seconds: float, ready: Path) -> dict[str, object]:
    """Play, look at every refresh, and listen."""
    with AvatarClient(address, client_name="watcher", timeout_s=20.0) as client:
        player = AvatarPlayer(client)
        device = SimulatedDevice(player.sound, lambda true_s: true_s, seconds + 5, rate_hz=DEVICE_HZ, ppm=0.0)
        device.start()
        ready.touch()
        pictures: list[tuple[float, float, float, bool, int]] = []
        states: list[tuple[float, str, int]] = []
        rates: list[tuple[float, int]] = []  # when every how manieth frame was asked for
        began_s = time.perf_counter()
        refresh = 0
        while time.perf_counter() - began_s < seconds:
            player.update(0.002)
            now_s = time.perf_counter()
            if not states or states[-1][1:] != (client.state.value, client.epoch):
                states.append((now_s, client.state.value, client.epoch))
            if player.rate is not None and (not rates or rates[-1][1] != player.rate.divisor):
                rates.append((now_s, player.rate.divisor))
            if now_s - began_s < refresh / DISPLAY_HZ:
                continue
            refresh = int((now_s - began_s) * DISPLAY_HZ) + 1
            picture = player.picture(now_s)
            if picture is not None:
                pictures.append((now_s, picture.time_s, picture.heard_s, picture.held, client.epoch))
        device.stop()
        return {
            "began_s": began_s,
            "pictures": pictures,
            "states": states,
            "breaks": breaks(device),
            "device_underrun_samples": device.underrun_samples,
            "sound": asdict(player.playout.sounds),
            "frames": asdict(player.playout.frames),
            "shown": asdict(player.playout.pictures),
            "rates": rates,
            "server_id": client.avatar.welcome.server_id,
        }


def breaks(device: SimulatedDevice) -> list[tuple[float, float]]:
    """Silent stretches between the first and the last sound that left the loudspeaker: beginning and length, s."""
    end = device.sample_at(time.perf_counter())
    half = end // 2
    out = device.around(time.perf_counter() - half / device.true_rate_hz, half - 10_000)
    if out is None:
        return []
    sounding = np.flatnonzero(np.abs(out.astype(np.int32)) > 300)
    gaps = np.diff(sounding)
    first_s = (end - 2 * half + 10_000) / device.true_rate_hz
    return [
        (float(first_s + sounding[i] / device.rate_hz), float(gaps[i] / device.rate_hz))
        for i in np.flatnonzero(gaps > BREAK_S * device.rate_hz)
    ]


if __name__ == "__main__":
    target = Path(sys.argv[3])
    seen = watch(sys.argv[1], float(sys.argv[2]), target.with_suffix(".ready"))
    target.write_text(json.dumps(seen), encoding="utf-8")
