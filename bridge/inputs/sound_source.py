"""Sound that comes from outside while a server runs: from a thread of its own, through a bounded queue."""

from __future__ import annotations

import threading
from collections import deque
from enum import Enum
from typing import Protocol

import numpy as np


class SourceState(Enum):
    """How a source fares."""

    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"  # it will try again by itself
    ENDED = "ended"  # nothing more will come


class SoundSource(Protocol):
    """Gives pieces of sound as they come; never blocks."""

    rate_hz: int
    channel_count: int
    live: bool  # from a device with a clock of its own; else from a file or pipe, which waits

    @property
    def state(self) -> SourceState:
        """How it fares."""
        ...

    @property
    def status(self) -> str:
        """The same as one line for a person, with what went wrong."""
        ...

    def read(self) -> np.ndarray | None:
        """The next piece, (S, channel_count) int16; None where nothing waits."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class PieceQueue:
    """Pieces of sound between two threads, never more than a stated length of them.

    Attributes:
        lost_samples: per channel, given up because nobody took them in time.
    """

    def __init__(self, capacity_samples: int) -> None:
        self.lost_samples = 0
        self._capacity = capacity_samples
        self._pieces: deque[np.ndarray] = deque()
        self._count = 0
        self._changed = threading.Condition()
        self._closed = False

    def put_newest(self, piece: np.ndarray) -> None:
        """Add a piece of live sound; what is oldest gives way."""
        with self._changed:
            self._pieces.append(piece)
            self._count += len(piece)
            while self._count > self._capacity and len(self._pieces) > 1:
                lost = self._pieces.popleft()
                self._count -= len(lost)
                self.lost_samples += len(lost)

    def put_waiting(self, piece: np.ndarray) -> bool:
        """Add a piece of sound that can wait, once there is room; False where the queue was closed meanwhile."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._count == 0 or self._count + len(piece) <= self._capacity
            )
            if self._closed:
                return False
            self._pieces.append(piece)
            self._count += len(piece)
            return True

    def take(self) -> np.ndarray | None:
        """The oldest piece, None where there is none."""
        with self._changed:
            if not self._pieces:
                return None
            piece = self._pieces.popleft()
            self._count -= len(piece)
            self._changed.notify_all()
            return piece

    def clear(self) -> None:
        """Forget what waits."""
        with self._changed:
            self._pieces.clear()
            self._count = 0
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
