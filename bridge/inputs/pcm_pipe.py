"""Raw PCM on standard input, as `ffmpeg -f s16le -` and many text-to-speech programs write it."""

from __future__ import annotations

import threading
from typing import BinaryIO

import numpy as np

from gstalker.bridge.inputs.sound_source import PieceQueue, SourceState
from gstalker.runtime.audio_stream import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from gstalker.runtime.errors import InputError

QUEUE_S = 2.0  # read ahead; then the pipe fills and its writer waits
PIECE_S = 0.02


class PcmPipe:
    """`SoundSource` of a stream of 16-bit little-endian samples, channels interleaved."""

    live = False

    def __init__(self, stream: BinaryIO, rate_hz: int, channel_count: int = 1) -> None:
        """Read in a thread of its own until the stream ends.

        Args:
            stream: as sys.stdin.buffer.
            rate_hz: 8000 to 96000; a raw stream does not say it.
            channel_count: 1 or 2.

        Raises:
            InputError: a rate or number of channels that cannot be.
        """
        if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise InputError(f"PCM: expected a rate of {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz, got {rate_hz}.")
        if channel_count not in (1, 2):
            raise InputError(f"PCM: expected 1 or 2 channels, got {channel_count}.")
        self.rate_hz, self.channel_count = rate_hz, channel_count
        self._stream = stream
        self._queue = PieceQueue(round(QUEUE_S * rate_hz))
        self._trouble = ""
        self._state = SourceState.RUNNING
        self._received = 0
        self._thread = threading.Thread(target=self._read_all, name="pcm-pipe", daemon=True)
        self._thread.start()

    @property
    def state(self) -> SourceState:
        """How it fares; ENDED once everything was read and taken."""
        return self._state

    @property
    def status(self) -> str:
        """One line: how much came, and why it ended."""
        channels = "mono" if self.channel_count == 1 else "stereo"
        line = (
            f"standard input: {self._state.value}, {self.rate_hz} Hz {channels}, {self._received / self.rate_hz:.1f} s"
        )
        return f"{line} ({self._trouble})" if self._trouble else line

    def read(self) -> np.ndarray | None:
        """The next piece, (S, channel_count) int16; None where nothing waits."""
        piece = self._queue.take()
        if piece is None and not self._thread.is_alive():
            piece = self._queue.take()  # what came between the two questions
            if piece is None:
                self._state = SourceState.ENDED
        return piece

    def close(self) -> None:
        """Read no more; a read that waits for its writer ends with it."""
        self._queue.close()
        self._state = SourceState.ENDED

    def _read_all(self) -> None:
        frame_bytes = 2 * self.channel_count
        wanted = round(PIECE_S * self.rate_hz) * frame_bytes
        rest = b""
        read = getattr(self._stream, "read1", self._stream.read)  # read1 gives what is there instead of waiting
        while True:
            try:
                data = read(wanted)
            except (OSError, ValueError) as error:  # ValueError: closed under our hands
                self._trouble = str(error)
                return
            if not data:
                if rest:
                    self._trouble = f"{len(rest)} bytes at the end are no whole sample"
                return
            data = rest + data
            whole = len(data) // frame_bytes * frame_bytes
            rest = data[whole:]
            piece = np.frombuffer(data[:whole], "<i2").astype(np.int16).reshape(-1, self.channel_count)
            self._received += len(piece)
            if len(piece) and not self._queue.put_waiting(piece):
                return
