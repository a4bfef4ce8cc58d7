"""The face tracker in a process of its own, so that it takes neither the interpreter's lock nor the terminal.

MediaPipe's native code writes about itself to the process's stderr; where it shared a process with a progress bar,
one of the two would be lost. Parent and child talk through the child's stdin and stdout, in little-endian:

    parent    b"P", u32 height, u32 width, height * width * 3 bytes    a picture of the present take
              b"E"                                                     the take ends
    child     b"R", u32 T, u32 B, T * 478 * 2 f32, T * B f32           landmarks_px and blendshapes of the take
              b"X", u32 n, n bytes of UTF-8                            it failed, and why

Run as `python -m gstalker.runtime.evaluate.face_process MODEL`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from gstalker.runtime.dataset import LANDMARKS
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.detection import Detection
from gstalker.runtime.prepare.face import BLENDSHAPE_NAMES, FaceTracker, MediaPipeTracker

PICTURE, END, RESULT, FAILURE = b"P", b"E", b"R", b"X"
_SIZES = struct.Struct("<II")
_COUNT = struct.Struct("<I")
END_TIMEOUT_S = 10.0


class FaceProcess:
    """A `Detector` whose work is done by a child process. Close it, or use it as a context manager."""

    name = "MediaPipe Face Landmarker"
    blendshape_names = BLENDSHAPE_NAMES

    def __init__(self, model: Path) -> None:
        """Start the child and let it look at one picture.

        Raises:
            InputError: MediaPipe is not installed, or the file is no model of it.
        """
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__, str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            self.detect([np.zeros((64, 64, 3), np.uint8)])  # the file is read only when the first picture comes
        except RuntimeError as error:
            self.close()
            raise InputError(f"{model}: expected MediaPipe's face landmarker, it did not load ({error}).") from error

    def detect(self, pictures: Iterable[np.ndarray]) -> Detection:
        """See `Detector.detect`.

        Raises:
            RuntimeError: the child failed; the message says at what.
        """
        sink, source = self._child.stdin, self._child.stdout
        assert sink is not None  # both were asked for as pipes
        assert source is not None
        with contextlib.suppress(OSError):  # where the child has gone, what it said before waits to be read
            for picture in pictures:
                sink.write(PICTURE + _SIZES.pack(*picture.shape[:2]))
                sink.write(np.ascontiguousarray(picture, np.uint8).data)
            sink.write(END)
            sink.flush()
        return _read_result(source)

    def close(self) -> None:
        """End the child."""
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # unsent pictures for a child that has gone
                    pipe.close()
        try:
            self._child.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def __enter__(self) -> FaceProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def serve(source: IO[bytes], sink: IO[bytes], tracker: FaceTracker) -> None:
    """Track take after take until the source ends or the tracker fails."""
    while (first := source.read(1)) == PICTURE:
        try:
            track = tracker.track(_pictures(source))
        except (RuntimeError, ValueError, OSError) as error:
            _write_failure(sink, str(error))
            return
        points = np.ascontiguousarray(track.landmarks_px[..., :2], "<f4")
        weights = np.ascontiguousarray(track.blendshapes, "<f4")
        sink.write(RESULT + _SIZES.pack(*weights.shape) + points.tobytes() + weights.tobytes())
        sink.flush()
    if first == END:
        _write_failure(sink, "a take without pictures")


def _pictures(source: IO[bytes]) -> Iterator[np.ndarray]:
    """The pictures of a take whose first byte was read already."""
    kind = PICTURE
    while kind == PICTURE:
        height, width = _SIZES.unpack(_exactly(source, _SIZES.size))
        yield np.frombuffer(_exactly(source, height * width * 3), np.uint8).reshape(height, width, 3)
        kind = _exactly(source, 1)


def _read_result(source: IO[bytes]) -> Detection:
    kind = source.read(1)
    if kind == FAILURE:
        (length,) = _COUNT.unpack(_exactly(source, _COUNT.size))
        raise RuntimeError(_exactly(source, length).decode("utf-8", errors="replace"))
    if kind != RESULT:
        raise RuntimeError("the process of the face tracker ended without a word")
    frames, weights = _SIZES.unpack(_exactly(source, _SIZES.size))
    points = np.frombuffer(_exactly(source, frames * LANDMARKS * 2 * 4), "<f4").reshape(frames, LANDMARKS, 2)
    return Detection(points, np.frombuffer(_exactly(source, frames * weights * 4), "<f4").reshape(frames, weights))


def _write_failure(sink: IO[bytes], text: str) -> None:
    message = text.encode("utf-8")
    sink.write(FAILURE + _COUNT.pack(len(message)) + message)
    sink.flush()


def _exactly(source: IO[bytes], count: int) -> bytes:
    data = source.read(count)
    if len(data) != count:
        raise RuntimeError("the process of the face tracker ended in the middle of its answer")
    return data


def _main(model: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and closes the pipe
    # What native code may print must not get between the answers.
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError):  # nobody waits for an answer any more
        try:
            tracker = MediaPipeTracker(model)
        except InputError as error:
            _write_failure(sink, str(error))
            return
        serve(sys.stdin.buffer, sink, tracker)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
