"""A loudspeaker through sounddevice: asks a player for sound, and tells it when that will be heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np

from gstalker.runtime.errors import InputError

Ask = Callable[[int, float, float, bool], np.ndarray]


class Loudspeaker:
    """The system's own sound device, or one by number or name; plays from when it is entered.

    Attributes:
        rate_hz: of what it asks for.
        underruns: how often the driver said that sound came too late.
    """

    def __init__(self, device: str | int | None = None) -> None:
        """Find the device.

        Raises:
            InputError: no sounddevice, no PortAudio, or no such device.
        """
        self._sounddevice = _sounddevice()
        self._device = int(device) if isinstance(device, str) and device.isdecimal() else device
        try:
            found = self._sounddevice.query_devices(self._device, "output")
        except (ValueError, self._sounddevice.PortAudioError) as error:
            raise InputError(
                f"loudspeaker: expected a sound device to play through, found none ({error}). "
                "`python -m sounddevice` lists them; --device chooses one."
            ) from error
        self.name = str(found["name"])
        self.rate_hz = round(found["default_samplerate"])
        self.underruns = 0
        self._stream: Any = None

    def start(self, ask: Ask) -> None:
        """Begin to play what `ask(count, heard_at_s, now_s, underrun)` gives, as `AvatarPlayer.sound`.

        It is asked from a thread of the driver's, with times of time.perf_counter.

        Raises:
            InputError: the device cannot be opened.
        """

        def fill(out: np.ndarray, count: int, moment: Any, status: Any) -> None:
            now_s = time.perf_counter()
            self.underruns += bool(status.output_underflow)
            # By the stream's clock now, not when the callback began: this thread may have waited for the others.
            # Drivers that do not know their own time say 0: then what PortAudio holds is the best guess.
            ahead_s = moment.outputBufferDacTime - self._stream.time
            ahead_s = ahead_s if 0 < ahead_s < 2.0 else float(self._stream.latency)
            out[:, 0] = ask(count, now_s + ahead_s, now_s, bool(status.output_underflow))

        try:
            self._stream = self._sounddevice.OutputStream(
                samplerate=self.rate_hz, device=self._device, channels=1, dtype="float32", callback=fill
            )
            self._stream.start()
        except (ValueError, self._sounddevice.PortAudioError) as error:
            raise InputError(f"loudspeaker {self.name}: expected to open it at {self.rate_hz} Hz ({error}).") from error

    def __enter__(self) -> Loudspeaker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._stream is not None:
            self._stream.close()


def _sounddevice() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there and PortAudio is not
        raise InputError(
            f"loudspeaker: expected the package sounddevice and PortAudio, could not load them ({error}). Install "
            "gstalker[audio]; on Linux also the system's libportaudio2."
        ) from error
    return sounddevice
