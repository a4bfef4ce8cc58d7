from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare.face import BLENDSHAPE_NAMES, MediaPipeTracker, faces_of_note, without_log_noise


def face(width: float) -> list[SimpleNamespace]:
    return [SimpleNamespace(x=0.5 - width / 2), SimpleNamespace(x=0.5 + width / 2)]


def test_without_mediapipe_the_extra_to_install_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(
        InputError, match=r"expected MediaPipe, it is not installed. Run `pip install gstalker\[train\]`"
    ):
        MediaPipeTracker(tmp_path / "face_landmarker.task")


def test_only_faces_of_size_count():
    assert faces_of_note([]) == 0
    assert faces_of_note([face(0.3)]) == 1
    assert faces_of_note([face(0.3), face(0.05), face(0.11)]) == 1, "pictures on the wall"
    assert faces_of_note([face(0.3), face(0.25)]) == 2


def test_native_log_noise_is_held_back_and_the_rest_comes_out(capfd: pytest.CaptureFixture[str]):
    with without_log_noise():
        os.write(2, b"W0000 00:00:1795374910.894423   12324 graph.cc:181] Sets acceleration.\n")
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"cannot map the model: out of memory\n")
    assert capfd.readouterr().err == "cannot map the model: out of memory\n"
    os.write(2, b"W0000 later\n")
    assert capfd.readouterr().err == "W0000 later\n", "stderr is back"


def test_noise_or_not_an_exception_passes(capfd: pytest.CaptureFixture[str]):
    @without_log_noise()
    def track() -> None:
        os.write(2, b"E0000 the graph stopped\n")
        raise RuntimeError("the graph stopped")

    with pytest.raises(RuntimeError, match="graph"):
        track()
    assert capfd.readouterr().err == "E0000 the graph stopped\n"


@pytest.mark.speaker
def test_the_tracker_s_columns_are_the_model_s_own_names(speaker_data: Path):
    pytest.importorskip("mediapipe", reason="no MediaPipe: the extra train brings it")
    import av
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    model = speaker_data / "models" / "face_landmarker.task"
    with av.open(str(speaker_data / "grid_s1" / "clips" / "bbal9a.mp4")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    options = vision.FaceLandmarkerOptions(BaseOptions(model_asset_path=str(model)), output_face_blendshapes=True)
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        big = np.ascontiguousarray(picture.repeat(2, axis=0).repeat(2, axis=1))
        seen = landmarker.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=big))
    assert tuple(b.category_name for b in seen.face_blendshapes[0]) == BLENDSHAPE_NAMES


@pytest.mark.speaker
def test_no_frame_is_lost_and_two_takes_do_not_know_of_each_other(speaker_data: Path):
    pytest.importorskip("mediapipe", reason="no MediaPipe: the extra train brings it")
    from gstalker.runtime.prepare.video import open_video, read_frames

    tracker = MediaPipeTracker(speaker_data / "models" / "face_landmarker.task")
    info = open_video(speaker_data / "grid_s1" / "clips" / "bbal9a.mp4")
    pictures = [p for _, p in zip(range(5), read_frames(info), strict=False)]
    first, again = tracker.track(pictures), tracker.track(pictures)
    assert first.found.all(), "the first frame is there as well"
    np.testing.assert_array_equal(first.landmarks_px, again.landmarks_px)
    assert first.face_counts.tolist() == [1]
    oval = first.landmarks_px[0, :468, :2]
    assert oval.min() > 0
    assert oval[:, 0].max() < 360
    assert oval[:, 1].max() < 288
