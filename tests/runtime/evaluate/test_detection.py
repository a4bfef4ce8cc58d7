"""The detector's thread: order, limits, failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import numpy as np
import pytest

from gstalker.runtime.evaluate import detection
from gstalker.runtime.evaluate.detection import Detection, DetectionWorker


class Echo:
    """Finds in each picture the number painted into it."""

    name = "echo"
    blendshape_names = ("x",)

    def __init__(self, fail_at: int | None = None, gate: threading.Event | None = None) -> None:
        self.fail_at, self.gate, self.threads = fail_at, gate, set()

    def detect(self, pictures: Iterable[np.ndarray]) -> Detection:
        seen = []
        for picture in pictures:
            if self.gate is not None:
                self.gate.wait(5)
            if picture[0, 0, 0] == self.fail_at:
                raise RuntimeError("no eyes to see")
            self.threads.add(threading.get_ident())
            seen.append(picture[0, 0, 0])
        points = np.zeros((len(seen), 478, 2), np.float32) + np.array(seen)[:, None, None]
        return Detection(points, np.zeros((len(seen), 1), np.float32))


def picture(number: int) -> np.ndarray:
    return np.full((2, 2, 3), number, np.uint8)


def test_takes_come_back_whole_and_in_order():
    echo = Echo()
    with DetectionWorker(echo) as worker:
        jobs = []
        for start in (0, 10):
            job = worker.start()
            for n in range(start, start + 5):
                job.put(picture(n))
            job.close()
            jobs.append(job)
        found = [job.result().landmarks_px[:, 0, 0].tolist() for job in jobs]
    assert found == [[0, 1, 2, 3, 4], [10, 11, 12, 13, 14]]
    assert threading.get_ident() not in echo.threads


def test_no_more_than_so_many_pictures_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detection, "MOST_WAITING_PICTURES", 4)
    gate = threading.Event()
    with DetectionWorker(Echo(gate=gate)) as worker:
        job = worker.start()
        put = []

        def feed() -> None:
            for n in range(10):
                job.put(picture(n))
                put.append(n)

        feeder = threading.Thread(target=feed)
        feeder.start()
        time.sleep(0.3)
        waiting = len(put)
        gate.set()
        feeder.join(5)
        assert len(job.result().landmarks_px) == 10
    assert waiting <= 5, "four in the queue and one before the detector"


def test_a_failing_detector_is_heard_and_nothing_hangs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detection, "MOST_WAITING_PICTURES", 3)
    with DetectionWorker(Echo(fail_at=1)) as worker:
        job = worker.start()
        for n in range(20):
            job.put(picture(n))
        job.close()
        other = worker.start()
        other.put(picture(7))
        other.close()
        with pytest.raises(RuntimeError, match="no eyes to see"):
            job.result()
        assert other.result().landmarks_px[0, 0, 0] == 7


def test_leaving_with_an_open_take_does_not_hang():
    def fail_half_way() -> None:
        with DetectionWorker(Echo()) as worker:
            worker.start().put(picture(1))
            raise ValueError("render failed")

    with pytest.raises(ValueError, match="render failed"):
        fail_half_way()
