"""A stand-in for the sounddevice package: no sound card is needed, and none is touched.

It has the few functions that the microphone uses, devices that a test plugs in and pulls out, and gives no sound by
itself: `feed` is what PortAudio's thread would do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest


class PortAudioError(Exception):
    """As sounddevice names what PortAudio says."""


class FakeStream:
    """An InputStream that a test feeds."""

    def __init__(self, owner: FakeSounddevice, device: int, samplerate: int, channels: int, callback: Callable) -> None:
        self.owner, self.device, self.samplerate, self.channels = owner, device, samplerate, channels
        self.callback = callback
        self.active = False
        self.closed = False

    def start(self) -> None:
        if self.owner.refuses:
            raise PortAudioError(self.owner.refuses)
        self.active = True

    def close(self) -> None:
        self.active, self.closed = False, True

    def feed(self, samples: np.ndarray) -> None:
        """Give (S, channels) int16 as the driver would, in a buffer that it uses again."""
        buffer = samples.copy()
        self.callback(buffer, len(buffer), None, None)
        buffer[:] = -1


class FakeSounddevice:
    """The module, and what a test does to it."""

    def __init__(self) -> None:
        self.devices: list[dict[str, Any]] = [
            self.device("Speakers", inputs=0),
            self.device("Built-in microphone", inputs=1),
            self.device("USB headset", inputs=2, rate_hz=44_100.0),
        ]
        self.streams: list[FakeStream] = []
        self.refuses = ""
        self.restarts = 0
        self.default = SimpleNamespace(device=(1, 0))
        self.PortAudioError = PortAudioError

    @staticmethod
    def device(name: str, inputs: int, rate_hz: float = 48_000.0) -> dict[str, Any]:
        return {"name": name, "hostapi": 0, "max_input_channels": inputs, "default_samplerate": rate_hz}

    def query_devices(self) -> list[dict[str, Any]]:
        return self.devices

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "Fake API"}]

    def InputStream(self, *, device, samplerate, channels, dtype, latency, callback) -> FakeStream:
        assert (dtype, latency) == ("int16", "low")
        self.streams.append(FakeStream(self, device, samplerate, channels, callback))
        return self.streams[-1]

    def _terminate(self) -> None:
        pass

    def _initialize(self) -> None:
        self.restarts += 1

    def pull_out(self) -> None:
        """The device of the running stream is gone."""
        self.streams[-1].active = False
        self.refuses = "Device unavailable"


def install(patch: pytest.MonkeyPatch) -> FakeSounddevice:
    """Let `import sounddevice` give a fake for the rest of the test."""
    fake = FakeSounddevice()
    module = ModuleType("sounddevice")
    names = ("default", "PortAudioError", "query_devices", "query_hostapis", "InputStream", "_terminate", "_initialize")
    for name in names:
        setattr(module, name, getattr(fake, name))
    patch.setitem(sys.modules, "sounddevice", module)
    return fake
