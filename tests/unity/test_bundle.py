"""Bundles as the Unity package reads them, against Python: importing, and what on-device mode does around networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.unity_build import UnityBuild
from made_bundle import write_made_bundle
from PIL import Image

from gstalker.kernels.camera import Camera, intrinsics, project_points
from gstalker.kernels.quantise import pack_movers, unpack_movers
from gstalker.runtime.audio import DEFAULT_LOG_MEL, log_mel
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.graph_check import ALLOWED_OPERATORS, MAX_OPSET, check_graph
from gstalker.runtime.infer import apply_deltas
from gstalker.runtime.poses import head_pose_vector
from gstalker.runtime.session.captures import read_captures

OPERATORS = Path(__file__).with_name("inference_engine_operators.txt")
UNITY_OPSETS = range(7, 16)


@pytest.fixture(scope="module")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "made.gsavatar"
    write_made_bundle(path, zipped=True)
    return path


@pytest.fixture(scope="module")
def read(unity_build: UnityBuild, bundle_path: Path, tmp_path_factory: pytest.TempPathFactory):
    """What the C# program told and wrote of the made bundle, the bundle, and the speech."""
    out = tmp_path_factory.mktemp("read")
    rng = np.random.default_rng(4)
    speech = (0.2 * rng.normal(size=8000) * np.sin(np.arange(8000) / 700) ** 2).astype(np.float32)
    speech.tofile(out / "speech.f32")
    told = unity_build.run_json("Bundle", str(bundle_path), str(out / "speech.f32"), str(out))
    return told, out, AvatarBundle.open(bundle_path), speech


def _array(folder: Path, name: str, *shape: int) -> np.ndarray:
    return np.fromfile(folder / f"{name}.f32", np.float32).reshape(shape)


def test_the_canonical_gaussians_are_those_that_python_reads(read: Any):
    _, out, bundle, _ = read
    canonical = bundle.canonical
    for name in ("means", "quats_wxyz", "scales", "opacities", "sh_coeffs"):
        expected = getattr(canonical, name)
        # Exponentials and logistic functions of float32 in two mathematics libraries: a few units in the last place.
        np.testing.assert_allclose(_array(out, name, *expected.shape), expected, rtol=2e-6, atol=2e-7)


def test_features_of_speech_are_those_of_training(read: Any):
    told, out, _, speech = read
    expected = log_mel(speech)
    got = _array(out, "mel", *expected.shape)
    # Both in double precision to the logarithm, then rounded: equal but where a float32 lies between two.
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert np.abs(expected - DEFAULT_LOG_MEL.silence).max() > 1, "the speech must not be silence"
    assert told["silence"] == pytest.approx(DEFAULT_LOG_MEL.silence, abs=1e-6)


def test_deltas_become_the_movers_that_the_server_would_send(read: Any):
    told, out, bundle, _ = read
    movers = bundle.manifest.counts.movers
    c = bundle.canonical
    opacities = c.opacities[:movers].astype(np.float64)
    frame = apply_deltas(
        c.means[:movers],
        c.quats_wxyz[:movers],
        c.scales[:movers],
        c.opacities[:movers],
        np.log(opacities / (1 - opacities)).astype(np.float32),
        bundle.golden.deltas[0],
        bundle.golden.torso_deltas[0],
    )
    box = bundle.quantisation_box

    got = unpack_movers(np.fromfile(out / "movers.bin", np.uint8).reshape(movers, 16), box)

    assert told["outside"] == 0
    expected = unpack_movers(pack_movers(*frame, box), box)
    # A value that float32 leaves between two codes may be rounded to either: at most one code apart.
    np.testing.assert_allclose(got[0], expected[0], atol=1.01 * max(box.position_step_m))
    np.testing.assert_allclose(np.log(got[2]), np.log(expected[2]), atol=1.01 * box.log_scale_step)
    np.testing.assert_allclose(got[3], expected[3], atol=1.01 / 65535)
    np.testing.assert_allclose(np.abs((got[1] * expected[1]).sum(axis=1)), 1, atol=1e-5)
    same = np.isclose(got[0], expected[0], atol=1e-9).mean()
    assert same > 0.99, f"only {same:.1%} of the coordinates have the same code"


def test_speech_is_heard_ahead_of_its_sound_and_idle_motion_goes_to_and_fro(read: Any):
    told, _, bundle, speech = read
    frames, period = len(bundle.idle), 2 * (len(bundle.idle) - 1)
    assert told["begins_s"] == pytest.approx(3 / 25)
    # Windows reach 31 mel frames back and 28 ahead: 0.5 s of speech is in those of about (0.5 + 0.59) * 25 frames.
    assert len(speech) / 16000 * 25 < told["heard"] - 1 < (0.5 + 0.59 + 0.12) * 25 + 3
    assert told["idle"] == [min(i % period, period - i % period) for i in range(100)]
    assert max(told["idle"]) == frames - 1
    poses = [head_pose_vector(p.astype(np.float64)) for p in bundle.idle.avatar_from_head]
    assert min(np.abs(np.array(told["pose"]) - p).max() for p in poses) < 1e-6


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "could not read it"),
        (lambda p: p.unlink(), "expected an avatar bundle, found nothing"),
    ],
)
def test_a_damaged_bundle_is_refused_with_what_to_do(
    unity_build: UnityBuild, bundle_path: Path, tmp_path: Path, damage: Any, words: str
):
    copy = tmp_path / "copy.gsavatar"
    copy.write_bytes(bundle_path.read_bytes())
    damage(copy)
    done = unity_build.toolchain.run(unity_build.program("Bundle"), [str(copy), "", ""])
    assert done.returncode == 2
    assert words in done.stdout


def test_a_changed_file_of_a_bundle_is_refused_by_its_hash(unity_build: UnityBuild, tmp_path: Path):
    folder = tmp_path / "made.gsavatar"
    write_made_bundle(folder)
    plate = folder / "plate.png"
    plate.write_bytes(plate.read_bytes()[:-1] + b"\0")
    done = unity_build.toolchain.run(unity_build.program("Bundle"), [str(folder), "", ""])
    assert done.returncode == 2
    assert "plate.png: expected" in done.stdout
    assert "changed or damaged" in done.stdout


def test_the_networks_use_only_what_unitys_inference_engine_has(bundle_path: Path):
    bundle = AvatarBundle.open(bundle_path)
    for name, data in bundle.graphs.items():
        check_graph(data, name)
    lines = OPERATORS.read_text(encoding="utf-8").splitlines()
    supported = {line for line in lines if not line.startswith("#")}
    assert supported >= ALLOWED_OPERATORS
    assert "GRU" not in supported, "the manual lists it as not supported"
    assert MAX_OPSET in UNITY_OPSETS


def test_a_captures_camera_reads_back_and_is_the_one_that_unity_is_given(unity_build: UnityBuild, tmp_path: Path):
    width, height, depth_m = 96, 64, 0.6
    told = unity_build.run_json(
        "Camera", str(tmp_path / "x.json"), *map(str, (128.0, width / 2, height / 2, width, height, depth_m))
    )
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(tmp_path / "x.png")

    (capture,) = read_captures(tmp_path)

    assert (capture.frame_index, capture.drawn_by, capture.background_rgb) == (7, 'a "test"', (0.25, 0.5, 0.75))
    turn = np.eye(4)
    turn[0, 0], turn[0, 2], turn[2, 0], turn[2, 2] = np.cos(0.5), np.sin(0.5), -np.sin(0.5), np.cos(0.5)
    place = np.eye(4)
    place[2, 3] = depth_m
    assert np.allclose(capture.camera.viewmat, place @ turn)
    k = intrinsics(128.0, width, height)
    k[0, 2] += 0.2 * width
    k[1, 2] += 0.1 * height
    assert np.allclose(capture.camera.K, k)

    # A point goes through Unity's matrices to the same pixel as through the camera of the JSON.
    in_avatar = np.array([0.03, -0.05, 0.02])
    in_unity = np.array([in_avatar[0], -in_avatar[1], in_avatar[2], 1.0])
    clip = np.array(told["projection"]).reshape(4, 4) @ np.array(told["view"]).reshape(4, 4) @ in_unity
    ndc = clip[:3] / clip[3]
    pixel = [(ndc[0] + 1) / 2 * width, (1 - ndc[1]) / 2 * height]
    camera = Camera(capture.camera.viewmat, capture.camera.K, width, height)
    np.testing.assert_allclose(pixel, project_points(in_avatar, camera), atol=1e-5)
    assert -1 < ndc[2] < 1
