from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.portrait_video import Drawing, SkinTracker, draw, write_video
from onnx import TensorProto, helper

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare.matte_model import MatteModel, plate_behind, psnr_where_clear
from gstalker.runtime.prepare.pipeline import PrepareConfig, prepare

pytest.importorskip("onnxruntime", reason="no ONNX Runtime: the extras cpu or gpu bring it")


def red_keeper(path: Path, size: int | str = 64, channels: int = 3, out_channels: int = 1) -> Path:
    """A stand-in network: the matte is how much redder than blue a pixel is, times 4."""
    weights = np.tile(
        np.array([4.0, 0.0, -4.0], np.float32)[:channels].reshape(1, channels, 1, 1), (out_channels, 1, 1, 1)
    )
    nodes = [
        helper.make_node("Conv", ["picture", "weights"], ["redness"]),
        helper.make_node("Clip", ["redness", "zero", "one"], ["matte"]),
    ]
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, channels, size, size])],
        [helper.make_tensor_value_info("matte", TensorProto.FLOAT, [1, out_channels, size, size])],
        [
            onnx.numpy_helper.from_array(weights, "weights"),
            onnx.numpy_helper.from_array(np.array(0.0, np.float32), "zero"),
            onnx.numpy_helper.from_array(np.array(1.0, np.float32), "one"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), path)
    return path


@pytest.mark.parametrize("size", [64, "side"])
def test_the_network_sees_values_as_documented_and_its_matte_fits_the_picture(tmp_path: Path, size: int | str):
    model = MatteModel(red_keeper(tmp_path / "red.onnx", size))
    picture = np.zeros((48, 80, 3), np.uint8)
    picture[..., 0], picture[..., 2] = 100, 68  # ((100 - 128) - (68 - 128)) / 256 * 4 = 0.5
    matte = model.matte(picture)
    assert matte.shape == (48, 80)
    assert matte.dtype == np.uint8
    assert np.unique(matte).tolist() == [128]


def test_a_busy_backdrop_is_matted_by_the_network(tmp_path: Path):
    pictures = [draw(Drawing(face_px=(60 + i / 2, 56.0), backdrop="bricks")) for i in range(60)]
    video = write_video(tmp_path / "a.mp4", pictures)
    config = PrepareConfig(
        (video,), tmp_path / "data", size_px=64, jobs=1, matte_model=red_keeper(tmp_path / "red.onnx")
    )
    dataset = Dataset(prepare(config, face_tracker=SkinTracker()))
    assert dataset.manifest.backdrop == "matte"
    clip = dataset.load("a_000")
    face = clip.tracks.landmarks_px[0].mean(axis=0).astype(int)
    assert clip.matte[0, face[1], face[0]] == 255


def test_a_missing_or_unreadable_network_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="--matte-model: expected an ONNX file, found none at"):
        MatteModel(tmp_path / "none.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(InputError, match="--matte-model: expected an ONNX file, could not load"):
        MatteModel(tmp_path / "junk.onnx")


def test_a_network_of_another_shape_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"expected an input \(1, 3, S, S\), got \[1, 1, 64, 64\]"):
        MatteModel(red_keeper(tmp_path / "grey.onnx", channels=1))
    model = MatteModel(red_keeper(tmp_path / "two.onnx", out_channels=2))
    with pytest.raises(InputError, match=r"expected an output \(1, 1, S, S\), got \(1, 2, 64, 64\)"):
        model.matte(np.zeros((64, 64, 3), np.uint8))


def test_the_plate_is_what_is_seen_past_the_person_and_painted_in_behind():
    behind = np.random.default_rng(seed=8).integers(40, 200, (32, 48, 3), np.uint8)
    pictures, mattes = behind[None].repeat(9, axis=0), np.zeros((9, 32, 48), np.uint8)
    for t in range(9):
        mattes[t, 10:20, 2 * t : 2 * t + 12] = 255  # walks through
        mattes[t, 24:, 40:44] = 255  # never leaves
    pictures[mattes > 0] = 255
    plate, _ = plate_behind(pictures, mattes)
    always = (mattes > 0).all(axis=0)
    near = np.zeros_like(always)
    near[22:, 37:47] = True  # the matte's rim is kept out as well
    np.testing.assert_array_equal(plate[~near], behind[~near])
    assert np.isfinite(plate[always]).all()
    assert 20 < plate[always].mean() < 220, "behind the person: neither black nor the person's white"
    away = np.where(near, np.uint8(255), mattes)
    assert psnr_where_clear(pictures, away, plate) == float("inf")
    # One grey level of error everywhere is 20 log10(255) = 48.13 dB.
    assert psnr_where_clear(pictures, away, plate + 1) == pytest.approx(48.13, abs=0.01)


def test_a_person_who_fills_the_picture_leaves_a_grey_plate():
    plate, _ = plate_behind(np.zeros((3, 8, 8, 3), np.uint8), np.full((3, 8, 8), 255, np.uint8))
    assert np.unique(plate).tolist() == [128]
