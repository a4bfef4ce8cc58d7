"""Running a bundle: frames from codes and controls, the torso's own motion, idle motion, a missing runtime."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import graph_twin
import numpy as np
import pytest
from made_bundle import TORSO_ORIGIN_M, made_avatar, made_bundle

from gstalker.kernels.camera import rotation_from_quat_wxyz
from gstalker.runtime import infer
from gstalker.runtime.audio import log_mel, mel_windows
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.errors import InputError
from gstalker.runtime.infer import AvatarRuntime, avatar_from_torso_rigid, to_and_fro

pytest.importorskip("onnxruntime", reason="needs the extra cpu or gpu")


@pytest.fixture(scope="module")
def bundle() -> AvatarBundle:
    return made_bundle()


@pytest.fixture(scope="module")
def runtime(bundle: AvatarBundle) -> AvatarRuntime:
    return AvatarRuntime(bundle)


def still() -> np.ndarray:
    return np.eye(4)


@pytest.mark.parametrize("torso_hears_rigid", [False, True])
def test_a_frame_is_the_canonical_state_plus_the_deltas_written_out(*, torso_hears_rigid: bool):
    """One Gaussian at a time in float64. Tolerance: float32 networks, 1e-5 of each output's size."""
    avatar = made_avatar(torso_hears_rigid=torso_hears_rigid)
    bundle = made_bundle(torso_hears_rigid=torso_hears_rigid)
    runtime = AvatarRuntime(bundle)
    rng = np.random.default_rng(1)
    code, expression = rng.normal(size=32).astype(np.float32), rng.uniform(0, 1, 9).astype(np.float32)
    pose = np.array([0, 0, 0, 0.01, -0.004, 0.02], np.float32)
    avatar_from_head = np.eye(4)
    avatar_from_head[:3, 3] = pose[3:]
    frame = runtime.frame(code, expression, avatar_from_head, 7, 0.28)
    deltas = graph_twin.deltas(avatar.deformation, avatar.first_layer, avatar.gates, code, expression)
    rigid, torso_deltas = graph_twin.torso(avatar.torso, avatar.torso_first_layer, pose)
    canonical = avatar.canonical
    for i in range(0, 300, 37):
        d = deltas[i]
        np.testing.assert_allclose(frame.means[i], canonical.means[i] + d[:3], atol=1e-6)
        turned = canonical.quats_wxyz[i] / np.linalg.norm(canonical.quats_wxyz[i]) + d[3:7]
        np.testing.assert_allclose(frame.quats_wxyz[i], turned / np.linalg.norm(turned), atol=1e-5)
        np.testing.assert_allclose(frame.scales[i], canonical.scales[i] * np.exp(d[7:10]), rtol=1e-5)
        logit = np.log(canonical.opacities[i] / (1 - canonical.opacities[i])) + d[10]
        np.testing.assert_allclose(frame.opacities[i], 1 / (1 + np.exp(-logit)), atol=1e-5)
    torso = slice(300, 400)
    np.testing.assert_allclose(frame.means[torso], canonical.means[torso] + torso_deltas, atol=1e-6)
    np.testing.assert_allclose(frame.quats_wxyz[torso], canonical.quats_wxyz[torso], atol=1e-6)
    np.testing.assert_array_equal(frame.scales[torso], bundle.canonical.scales[torso])
    np.testing.assert_array_equal(frame.opacities[torso], bundle.canonical.opacities[torso])
    np.testing.assert_allclose(frame.avatar_from_torso[:2, 3], TORSO_ORIGIN_M[:2] + rigid[:2], atol=1e-6)
    assert frame.avatar_from_torso[1, 0] == pytest.approx(np.sin(rigid[2]), abs=1e-6)
    assert (frame.index, frame.time_s) == (7, 0.28)
    assert {a.dtype for a in (frame.means, frame.quats_wxyz, frame.scales, frame.opacities)} == {np.dtype("f4")}


def test_every_input_of_a_frame_matters(runtime: AvatarRuntime):
    quiet = runtime.frame(np.zeros(32), np.zeros(9), still(), 0, 0.0)
    spoken = runtime.frame(np.ones(32), np.zeros(9), still(), 0, 0.0)
    blinking = runtime.frame(np.zeros(32), np.eye(9)[0], still(), 0, 0.0)
    turned_pose = np.eye(4)
    turned_pose[:3, :3] = rotation_from_quat_wxyz(np.array([1, 0, 0.05, 0]))
    turned = runtime.frame(np.zeros(32), np.zeros(9), turned_pose, 0, 0.0)
    held = runtime.frame(np.zeros(32), np.zeros(9), turned_pose, 0, 0.0, avatar_from_torso=still())
    head, torso = slice(0, 300), slice(300, 400)
    for other in (spoken, blinking):
        assert np.abs(other.means[head] - quiet.means[head]).max() > 1e-3
        np.testing.assert_array_equal(other.means[torso], quiet.means[torso])
    assert np.abs(turned.means[torso] - quiet.means[torso]).max() > 1e-5
    np.testing.assert_array_equal(turned.means[head], quiet.means[head])
    assert np.abs(turned.avatar_from_torso - quiet.avatar_from_torso).max() > 1e-4
    np.testing.assert_array_equal(held.avatar_from_torso, still())
    np.testing.assert_array_equal(held.means, turned.means)


def test_a_recording_gives_one_code_a_video_frame_however_it_is_cut(runtime: AvatarRuntime, monkeypatch):
    samples = (np.random.default_rng(0).normal(size=640 * 9 + 1) * 0.1).astype(np.float32)
    whole = runtime.audio_codes(samples)
    assert whole.shape == (10, 32)
    assert whole.dtype == np.float32
    monkeypatch.setattr(infer, "AUDIO_BATCH", 3)
    np.testing.assert_allclose(runtime.audio_codes(samples), whole, atol=1e-5)
    window = mel_windows(log_mel(samples), 10, 31, 28)[4:5]
    np.testing.assert_allclose(runtime.codes_of_windows(window)[0], whole[4], atol=1e-5)


def test_the_golden_rows_come_out_as_they_were_stored(runtime: AvatarRuntime, bundle: AvatarBundle):
    for name, got in runtime.golden_outputs().items():
        expected = getattr(bundle.golden, name)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, atol=1e-4)


def test_a_frame_of_an_avatar_that_nothing_moves_is_its_canonical_state():
    bundle = made_bundle(head_movers=0, torso_movers=0)
    frame = AvatarRuntime(bundle).frame(np.zeros(32), np.zeros(9), still(), 0, 0.0)
    assert len(frame.means) == 0


def test_opacities_of_exactly_0_and_1_are_moved_without_nan(bundle: AvatarBundle):
    opacities = bundle.canonical.opacities.copy()
    opacities[:2] = [0, 1]
    canonical = dataclasses.replace(bundle.canonical, opacities=opacities)
    runtime = AvatarRuntime(dataclasses.replace(bundle, canonical=canonical))
    frame = runtime.frame(np.ones(32), np.zeros(9), still(), 0, 0.0)
    np.testing.assert_allclose(frame.opacities[:2], [0, 1], atol=1e-6)


def test_idle_motion_plays_to_and_fro_for_ever(runtime: AvatarRuntime, bundle: AvatarBundle):
    assert [to_and_fro(i, 4) for i in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [to_and_fro(i, 1) for i in range(3)] == [0, 0, 0]
    far = runtime.idle_controls(10**9)
    assert far.expression in bundle.idle.expression
    for index in (3, 38, 40):
        controls = runtime.idle_controls(index)
        at = to_and_fro(index, 40)
        np.testing.assert_array_equal(controls.avatar_from_head, bundle.idle.avatar_from_head[at])
        np.testing.assert_array_equal(controls.expression, bundle.idle.expression[at])
        np.testing.assert_array_equal(controls.avatar_from_torso, bundle.idle.avatar_from_torso[at])


def test_the_torsos_rigid_motion_turns_about_its_origin():
    pose = avatar_from_torso_rigid(np.array([0.01, -0.02, np.pi / 2]), np.array([0.0, 0.12, 0.02]))
    np.testing.assert_allclose(pose @ [0.1, 0, 0, 1], [0.01, 0.12 - 0.02 + 0.1, 0.02, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio_code": np.zeros(31)}, r"audio_code: expected shape \(32,\), got \(31,\)"),
        ({"expression": np.zeros((1, 9))}, r"expression: expected shape \(9,\)"),
        ({"expression": np.full(9, np.nan)}, "expression: expected finite values"),
        ({"avatar_from_head": np.eye(3)}, r"avatar_from_head: expected shape \(4, 4\)"),
        ({"avatar_from_torso": np.full((4, 4), np.inf)}, "avatar_from_torso: expected finite values"),
    ],
)
def test_inputs_of_the_wrong_shape_are_refused_by_name(runtime: AvatarRuntime, change, message: str):
    inputs = {"audio_code": np.zeros(32), "expression": np.zeros(9), "avatar_from_head": np.eye(4)}
    with pytest.raises(ValueError, match=message):
        runtime.frame(**{**inputs, **change}, index=0, time_s=0.0)


def test_threads_below_one_are_refused(bundle: AvatarBundle):
    with pytest.raises(ValueError, match="expected threads >= 1"):
        AvatarRuntime(bundle, threads=0)


def test_without_onnx_runtime_the_error_says_what_to_install(bundle: AvatarBundle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'gstalker\[cpu\]'"):
        AvatarRuntime(bundle)


def test_a_graph_that_the_runtime_refuses_is_named(bundle: AvatarBundle):
    broken = dataclasses.replace(bundle, graphs={**bundle.graphs, "deform": bundle.graphs["deform"][:-40]})
    with pytest.raises(InputError, match=r"deform\.onnx: expected a graph that ONNX Runtime loads"):
        AvatarRuntime(broken)


def test_waiting_threads_do_not_spin(bundle: AvatarBundle):
    session = infer.open_session(bundle.graphs["deform"], "deform.onnx", 2)
    options = session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.speaker
def test_real_speech_moves_a_made_mouth(runtime: AvatarRuntime, speaker_data: Path):
    from gstalker.runtime.audio import load_wav

    samples = load_wav(speaker_data / "audio" / "two_cities_44s_16k.wav")[: 16_000 * 4]
    codes = runtime.audio_codes(samples)
    assert codes.shape == (100, 32)
    assert np.isfinite(codes).all()
    assert codes.std(axis=0).min() > 1e-3
