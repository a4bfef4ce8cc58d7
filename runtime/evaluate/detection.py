"""Finding faces in pictures while the next ones are being rendered.

The detector runs in a thread of its own (it computes outside of the interpreter's lock). Pictures reach it
through a queue of limited length, so that a long clip is never held in memory.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np

MOST_WAITING_PICTURES = 160


@dataclass(frozen=True)
class Detection:
    """What a detector finds in T pictures in a row.

    Attributes:
        landmarks_px: (T, 478, 2) float32, NaN in pictures without a face.
        blendshapes: (T, B) float32 0..1, NaN in pictures without a face.
    """

    landmarks_px: np.ndarray
    blendshapes: np.ndarray


class Detector(Protocol):
    """Finds the face in a run of pictures.

    Attributes:
        name: what it is, for the report.
        blendshape_names: the B columns of `Detection.blendshapes`.
    """

    @property
    def name(self) -> str: ...

    @property
    def blendshape_names(self) -> tuple[str, ...]: ...

    def detect(self, pictures: Iterable[np.ndarray]) -> Detection:
        """Go through (H, W, 3) uint8 pictures of one take, in order."""
        ...


class DetectionJob:
    """One take on its way to the detector: `put` every picture, `close`, and ask for the `result` later."""

    def __init__(self, waiting: threading.Semaphore) -> None:
        self._waiting = waiting
        self._queue: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()
        self._closed = False
        self.future: Future[Detection] = Future()

    def put(self, picture: np.ndarray) -> None:
        """Hand over one picture; waits while too many are queued."""
        while not self.future.done():  # done before the end: the detector failed, and `result` raises why
            if self._waiting.acquire(timeout=0.2):
                self._queue.put(picture)
                return

    def close(self) -> None:
        """No more pictures come."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)

    def result(self) -> Detection:
        """Wait for the detector.

        Raises:
            Exception: whatever the detector raised.
        """
        self.close()
        return self.future.result()

    def _pictures(self) -> Iterator[np.ndarray]:
        while (picture := self._queue.get()) is not None:
            self._waiting.release()
            yield picture

    def _run(self, detector: Detector) -> Detection:
        try:
            return detector.detect(self._pictures())
        finally:
            while not self._queue.empty():  # after a failure: let a waiting `put` go on
                if self._queue.get() is not None:
                    self._waiting.release()


class DetectionWorker:
    """Runs takes through one detector, one after the other, in the background."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self._waiting = threading.Semaphore(MOST_WAITING_PICTURES)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="detector")
        self._jobs: list[DetectionJob] = []

    def start(self) -> DetectionJob:
        """Queue a new take. Takes are worked through in the order of `start`, so close each one."""
        job = DetectionJob(self._waiting)
        job.future = self._pool.submit(job._run, self.detector)
        self._jobs.append(job)
        return job

    def __enter__(self) -> DetectionWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for job in self._jobs:
            job.close()  # or the thread would wait for pictures for ever
        self._pool.shutdown(wait=True, cancel_futures=value is not None)
