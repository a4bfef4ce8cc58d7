"""A sound device that is not there: plays at a rate of its own, asks in bursts, and keeps what left it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

Ask = Callable[[int, float, float, bool], np.ndarray]


class SimulatedDevice:
    """A thread that asks for sound as a device's driver does. What left the loudspeaker when is known exactly.

    Attributes:
        rate_hz: what it says of itself; its quartz makes it `true_rate_hz`.
        underrun_samples: silence that it played because nothing had been handed over in time.
    """

    def __init__(
        self, ask: Ask, client_s: Callable[[float], float], longest_s: float, *, rate_hz: int, ppm: float
    ) -> None:
        """Prepare a device.

        Args:
            ask: gives so many samples, of which the first will be heard at a time of the client's clock; the third
                argument is that clock now, the fourth whether it ran dry before. As `Playout.sound`.
            client_s: what the client's clock shows at a time of time.perf_counter.
            longest_s: how long it can play.
            rate_hz: nominal rate.
            ppm: by how many parts in a million its quartz is fast.
        """
        self.rate_hz, self.true_rate_hz = rate_hz, rate_hz * (1 + ppm * 1e-6)
        self.underrun_samples = 0
        self._ask, self._client_s = ask, client_s
        self._block = rate_hz // 100
        self._latency = 6 * self._block  # what usual drivers hold: 60 ms
        self._out = np.zeros(round(longest_s * self.true_rate_hz) + 2 * self._latency, np.int16)
        self._filled = 0
        self._began_s = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated sound device", daemon=True)
        self._rng = np.random.default_rng(0)

    def start(self) -> None:
        """Begin to play."""
        self._began_s = time.perf_counter()
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._done.set()
        self._thread.join(10)

    def sample_at(self, true_s: float) -> int:
        """Which sample leaves the loudspeaker at a time of time.perf_counter."""
        return int((true_s - self._began_s) * self.true_rate_hz)

    def around(self, true_s: float, half: int) -> np.ndarray | None:
        """(2 half,) int16 that leaves it around a time; None beyond what was played."""
        sample = self.sample_at(true_s)
        if sample < half or sample + half > min(self._filled, len(self._out)):
            return None
        return self._out[sample - half : sample + half]

    def _run(self) -> None:
        dry = False
        while not self._done.is_set():
            while True:
                now_s = time.perf_counter()
                playing = self.sample_at(now_s)
                if playing > self._filled:  # it ran dry: silence was played
                    self.underrun_samples += playing - self._filled
                    self._filled, dry = playing, self._filled > 0
                if self._filled >= playing + self._latency:
                    break
                if self._filled + self._block > len(self._out):
                    return
                # What a driver says of its own time is off by a millisecond or so.
                ahead_s = (self._filled - playing) / self.rate_hz + self._rng.normal(0, 0.5e-3)
                samples = self._ask(self._block, self._client_s(now_s) + ahead_s, self._client_s(now_s), dry)
                dry = False
                pcm = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
                self._out[self._filled : self._filled + self._block] = pcm
                self._filled += self._block
            self._done.wait(self._block / self.rate_hz)
