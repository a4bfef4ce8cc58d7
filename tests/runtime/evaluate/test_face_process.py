"""The face tracker behind two pipes."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import pytest

from gstalker.runtime.dataset import LANDMARKS
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.face_process import END, PICTURE, FaceProcess, _read_result, serve
from gstalker.runtime.prepare.face import FaceTrack, MediaPipeTracker
from gstalker.runtime.regions import lip_opening_px


class BrightnessTracker:
    """Puts every landmark at the picture's mean brightness; cannot stand black."""

    blendshape_names = ("one", "two")

    def track(self, pictures: Iterable[np.ndarray]) -> FaceTrack:
        means = np.array([p.mean() for p in pictures], np.float32)
        if (means == 0).any():
            raise RuntimeError("too dark")
        points = np.broadcast_to(means[:, None, None], (len(means), LANDMARKS, 3))
        weights = np.stack([means, -means], axis=1)
        return FaceTrack(np.ones(len(means), bool), points, weights, np.ones(1))


def sent(*takes: list[np.ndarray]) -> io.BytesIO:
    stream = io.BytesIO()
    for take in takes:
        for picture in take:
            stream.write(PICTURE + struct.pack("<II", *picture.shape[:2]) + picture.tobytes())
        stream.write(END)
    stream.seek(0)
    return stream


def picture(level: int, height: int = 4, width: int = 6) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def answers(source: io.BytesIO) -> io.BytesIO:
    sink = io.BytesIO()
    serve(source, sink, BrightnessTracker())
    sink.seek(0)
    return sink


def test_takes_are_answered_one_by_one_and_depth_is_dropped():
    sink = answers(sent([picture(3), picture(5, 8, 2)], [picture(7)]))
    first, second = _read_result(sink), _read_result(sink)
    assert first.landmarks_px.shape == (2, LANDMARKS, 2)
    np.testing.assert_array_equal(first.landmarks_px[:, 9, 1], [3, 5])
    np.testing.assert_array_equal(first.blendshapes, [[3, -3], [5, -5]])
    np.testing.assert_array_equal(second.landmarks_px[:, 0, 0], [7])
    assert sink.read() == b""


def test_a_failing_tracker_says_why():
    with pytest.raises(RuntimeError, match="too dark"):
        _read_result(answers(sent([picture(0)])))


def test_a_take_without_pictures_is_an_error():
    with pytest.raises(RuntimeError, match="a take without pictures"):
        _read_result(answers(sent([])))


def test_a_parent_that_dies_in_the_middle_of_a_picture_ends_the_child():
    half = io.BytesIO(sent([picture(3)]).getvalue()[:20])
    with pytest.raises(RuntimeError, match="ended in the middle"):
        _read_result(answers(half))


def test_a_child_that_dies_is_noticed():
    with pytest.raises(RuntimeError, match="ended without a word"):
        _read_result(io.BytesIO())
    whole = answers(sent([picture(3)])).getvalue()
    with pytest.raises(RuntimeError, match="ended in the middle of its answer"):
        _read_result(io.BytesIO(whole[:-1]))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path):
    pytest.importorskip("mediapipe")
    broken = tmp_path / "broken.task"
    broken.write_bytes(b"not a model")
    with pytest.raises(InputError, match=r"broken.task: expected MediaPipe's face landmarker, it did not load"):
        FaceProcess(broken)


@pytest.mark.speaker
def test_the_process_finds_what_the_tracker_finds(speaker_data: Path, capfd: pytest.CaptureFixture[str]):
    pytest.importorskip("mediapipe")
    model = speaker_data / "models" / "face_landmarker.task"
    video = sorted((speaker_data / "grid_s1" / "clips").glob("*.mp4"))[0]
    with av.open(str(video)) as container:
        pictures = [f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(6), strict=False)]
    with FaceProcess(model) as process:
        capfd.readouterr()
        found = [process.detect(pictures), process.detect(pictures)]
        assert capfd.readouterr() == ("", ""), "the terminal belongs to the progress bar"
    direct = MediaPipeTracker(model).track(pictures)
    for again in found:
        np.testing.assert_allclose(again.landmarks_px, direct.landmarks_px[..., :2], atol=1e-3)
        np.testing.assert_allclose(again.blendshapes, direct.blendshapes, atol=1e-5)
    assert np.all(lip_opening_px(found[0].landmarks_px) < 60)
