"""A microphone through sounddevice: listed, opened, watched, and opened again when it comes back."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from gstalker.bridge.inputs.sound_source import PieceQueue, SourceState
from gstalker.runtime.audio_stream import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from gstalker.runtime.errors import InputError

QUEUE_S = 1.0  # of sound that waits for the server; more is stale, and the oldest gives way
RETRY_S = 3.0
SILENT_S = 1.5  # a stream that gives nothing for so long is taken for dead: devices send silence, never nothing
_WATCH_S = 0.1


@dataclass(frozen=True)
class SoundDevice:
    """A device that sound can come from."""

    number: int
    name: str
    host_api: str
    channel_count: int
    rate_hz: int  # its own
    default: bool


class Microphone:
    """`SoundSource` of a device; a thread watches over it and opens it again every few seconds when it is gone."""

    live = True

    def __init__(self, device: str = "", *, retry_s: float = RETRY_S) -> None:
        """Open the device for the first time.

        Args:
            device: number or part of the name; empty for the system's default.
            retry_s: how long to wait between attempts to open it again.

        Raises:
            InputError: no sounddevice, no PortAudio, no such device, or it cannot be opened.
        """
        self._sounddevice = _sounddevice()
        self._wanted, self._retry_s = device, retry_s
        found = find_device(device)
        self.rate_hz = min(max(found.rate_hz, LOWEST_RATE_HZ), HIGHEST_RATE_HZ)
        self.channel_count = min(2, found.channel_count)
        self._queue = PieceQueue(round(QUEUE_S * self.rate_hz))
        self._name = found.name
        self._trouble = ""
        self._state = SourceState.STARTING
        self._heard_at_s = time.monotonic()
        self._closing = threading.Event()
        self._stream: Any = self._open(found)
        self._state = SourceState.RUNNING
        self._thread = threading.Thread(target=self._watch, name="microphone", daemon=True)
        self._thread.start()

    @property
    def state(self) -> SourceState:
        """How it fares."""
        return self._state

    @property
    def status(self) -> str:
        """One line: which device, and what is wrong with it."""
        lost = f", {self._queue.lost_samples / self.rate_hz:.1f} s lost" if self._queue.lost_samples else ""
        if self._state is SourceState.FAILED:
            return f"microphone {self._name}: gone ({self._trouble}); trying again every {self._retry_s:g} s{lost}"
        channels = "mono" if self.channel_count == 1 else "stereo"
        return f"microphone {self._name}: {self._state.value}, {self.rate_hz} Hz {channels}{lost}"

    def read(self) -> np.ndarray | None:
        """The next piece, (S, channel_count) int16; None where nothing waits."""
        return self._queue.take()

    def close(self) -> None:
        """Let the device go."""
        self._closing.set()
        self._thread.join(timeout=5.0)
        self._release()
        self._state = SourceState.ENDED

    def _open(self, device: SoundDevice) -> Any:
        try:
            stream = self._sounddevice.InputStream(
                device=device.number,
                samplerate=self.rate_hz,
                channels=self.channel_count,
                dtype="int16",
                latency="low",
                callback=self._heard,
            )
            stream.start()
        except (self._sounddevice.PortAudioError, ValueError, OSError) as error:
            raise InputError(
                f"microphone {device.name}: expected to open it at {self.rate_hz} Hz, the system said: {error}. "
                "Is another program using it, or may this one not listen?"
            ) from error
        self._heard_at_s = time.monotonic()
        return stream

    def _heard(self, data: np.ndarray, frames: int, when: object, flags: object) -> None:
        """What PortAudio calls from its own thread: copy and go."""
        self._heard_at_s = time.monotonic()
        self._queue.put_newest(np.array(data, np.int16))

    def _watch(self) -> None:
        while not self._closing.wait(_WATCH_S):
            trouble = self._what_is_wrong()
            if not trouble:
                continue
            self._trouble, self._state = trouble, SourceState.FAILED
            self._release()
            self._queue.clear()
            self._try_again()

    def _what_is_wrong(self) -> str:
        try:
            if not self._stream.active:
                return "the device stopped"
        except (self._sounddevice.PortAudioError, OSError) as error:
            return str(error)
        if time.monotonic() - self._heard_at_s > SILENT_S:
            return "the device gives no sound"
        return ""

    def _try_again(self) -> None:
        while not self._closing.wait(self._retry_s):
            try:
                # PortAudio sees a device that was plugged in only after it was started anew.
                self._sounddevice._terminate()
                self._sounddevice._initialize()
                found = find_device(self._wanted)
                if found.channel_count < self.channel_count:
                    raise InputError(f"{found.name} has {found.channel_count} channels, not {self.channel_count}")
                self._stream = self._open(found)
            except (InputError, self._sounddevice.PortAudioError, OSError) as error:
                self._trouble = str(error)
                continue
            self._name, self._state, self._trouble = found.name, SourceState.RUNNING, ""
            return

    def _release(self) -> None:
        try:
            self._stream.close()
        except (self._sounddevice.PortAudioError, OSError) as error:
            self._trouble = self._trouble or str(error)


def list_devices() -> list[SoundDevice]:
    """Every device that sound can come from.

    Raises:
        InputError: no sounddevice, or no PortAudio.
    """
    sounddevice = _sounddevice()
    try:
        devices, apis = sounddevice.query_devices(), sounddevice.query_hostapis()
    except sounddevice.PortAudioError as error:
        raise InputError(f"microphone: expected a list of sound devices, the system said: {error}.") from error
    default = int(sounddevice.default.device[0])
    return [
        SoundDevice(
            number=number,
            name=str(device["name"]),
            host_api=str(apis[device["hostapi"]]["name"]),
            channel_count=int(device["max_input_channels"]),
            rate_hz=round(device["default_samplerate"]),
            default=number == default,
        )
        for number, device in enumerate(devices)
        if device["max_input_channels"] > 0
    ]


def find_device(wanted: str) -> SoundDevice:
    """The device of that number, or of a name that holds the text; the default one for an empty text.

    Raises:
        InputError: there is none, or several have that name; see `list_devices`.
    """
    devices = list_devices()
    if not devices:
        raise InputError(
            "microphone: expected a sound device, this machine has none that sound can come from. Plug one in, or "
            "give a sound file."
        )
    names = "; ".join(f"{d.number} {d.name}" for d in devices)
    if not wanted:
        return next((d for d in devices if d.default), devices[0])
    if wanted.isdecimal():
        matching = [d for d in devices if d.number == int(wanted)]
    else:
        matching = [d for d in devices if wanted.lower() in d.name.lower()]
        matching = [d for d in matching if d.name.lower() == wanted.lower()] or matching
    if len(matching) != 1:
        many = "none" if not matching else f"{len(matching)} of them"
        raise InputError(f"microphone: expected one device {wanted!r}, got {many}. There are: {names}.")
    return matching[0]


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise InputError(
            "sounddevice: expected the package, which opens microphones, found none. Run "
            "`pip install 'gstalker[audio]'`."
        ) from error
    except OSError as error:  # the package is there, the library that it loads is not
        raise InputError(
            f"microphone: expected the PortAudio library, found none ({error}). On Debian and Ubuntu: "
            "`apt install libportaudio2`; the packages for Windows and macOS bring it."
        ) from error
    return sounddevice
