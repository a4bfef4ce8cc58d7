"""The ONNX graphs: plain operators only, and the same numbers as the networks written out in NumPy."""

from __future__ import annotations

import dataclasses

import graph_twin
import numpy as np
import onnx
import onnxruntime
import pytest
from made_bundle import made_avatar, made_bundle
from onnx import TensorProto, helper

from gstalker.export.onnx_graphs import IR_VERSION, OPSET, audio_graph
from gstalker.export.parity import ParityError, check_parity
from gstalker.runtime.errors import InputError
from gstalker.runtime.graph_check import ALLOWED_OPERATORS, check_graph
from gstalker.runtime.infer import AvatarRuntime


@pytest.fixture(scope="module")
def graphs() -> dict[str, bytes]:
    return made_bundle().graphs


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("audio", {"Transpose", "Conv", "LeakyRelu", "Softmax", "Add", "Mul", "ReduceSum"}),
        ("deform", {"MatMul", "Concat", "Add", "Relu"}),
        ("torso", {"Sub", "Div", "MatMul", "Add", "Tanh", "Relu"}),
    ],
)
def test_the_graphs_use_these_plain_operators_of_opset_15_and_no_others(graphs, name: str, operators: set[str]):
    model = onnx.load_model_from_string(graphs[name])
    assert {node.op_type for node in model.graph.node} == operators
    assert operators <= ALLOWED_OPERATORS
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert OPSET <= 15
    assert model.ir_version == IR_VERSION


def test_an_encoder_that_does_not_smooth_is_convolutions_alone():
    avatar = made_avatar(seed=3)
    plain = dataclasses.replace(
        avatar.audio, attention=(), position_bias=np.zeros(1, np.float32), left_mel_frames=15, right_mel_frames=16
    )
    graph = audio_graph(plain, 80)
    assert {node.op_type for node in onnx.load_model_from_string(graph).graph.node} == {
        "Transpose", "Conv", "LeakyRelu", "ReduceSum",
    }  # fmt: skip
    window = np.random.default_rng(0).normal(size=(2, 31, 80)).astype(np.float32)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    codes = np.asarray(session.run(["audio_code"], {"mel_window": window})[0])
    np.testing.assert_allclose(codes, graph_twin.audio_codes(plain, window), atol=1e-4 * np.abs(codes).max())


def test_equal_weights_give_equal_bytes(graphs):
    assert made_bundle().graphs == graphs
    assert made_bundle(seed=1).graphs != graphs


def test_the_graphs_agree_with_the_networks_written_out(graphs):
    """Tolerance: float32 sums of at most 240 products of order 1 round by about 240 * 2^-24 = 1.4e-5 at worst."""
    avatar = made_avatar(seed=2, torso_hears_rigid=True)
    runtime = AvatarRuntime(made_bundle(seed=2, torso_hears_rigid=True))
    rng = np.random.default_rng(5)
    windows = rng.normal(size=(4, 59, 80)).astype(np.float32)
    codes = graph_twin.audio_codes(avatar.audio, windows)
    np.testing.assert_allclose(runtime.codes_of_windows(windows), codes, atol=1.5e-5 * np.abs(codes).max())
    for row in range(4):
        code, expression = codes[row].astype(np.float32), rng.uniform(0, 1, 9).astype(np.float32)
        expected = graph_twin.deltas(avatar.deformation, avatar.first_layer, avatar.gates, code, expression)
        got = runtime.deltas(code, expression)
        for columns in (slice(0, 3), slice(3, 7), slice(7, 10), slice(10, 11)):
            scale = np.abs(expected[:, columns]).max()
            np.testing.assert_allclose(got[:, columns], expected[:, columns], atol=1.5e-5 * scale)
        pose = (rng.normal(size=6) * 0.1).astype(np.float32)
        rigid, moved = graph_twin.torso(avatar.torso, avatar.torso_first_layer, pose)
        got_rigid, got_moved = runtime.torso_motion(pose)
        np.testing.assert_allclose(got_rigid, rigid, atol=1.5e-5 * np.abs(rigid).max())
        np.testing.assert_allclose(got_moved, moved, atol=1.5e-5 * np.abs(moved).max())


def test_the_audio_graph_takes_any_batch(graphs):
    runtime = AvatarRuntime(made_bundle())
    windows = np.random.default_rng(0).normal(size=(7, 59, 80)).astype(np.float32)
    together = runtime.codes_of_windows(windows)
    assert together.shape == (7, 32)
    alone = np.concatenate([runtime.codes_of_windows(windows[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_parity_reports_every_output_with_its_own_allowance():
    report = check_parity(made_bundle())
    assert {o.output for o in report.outputs} == {
        "audio_code",
        "d_mean_m",
        "d_quat_wxyz",
        "d_log_scale",
        "d_opacity_logit",
        "torso_shift_m",
        "torso_angle_rad",
        "torso_d_mean_m",
    }
    assert report.worst.share == max(o.share for o in report.outputs) < 1
    by_name = {o.output: o for o in report.outputs}
    assert by_name["d_mean_m"].allowance == pytest.approx(1e-4 * by_name["d_mean_m"].scale)
    assert by_name["audio_code"].allowance == 1e-4


@pytest.mark.parametrize(
    ("array", "index", "off", "output"),
    [
        ("audio_code", (0, 3), 2e-4, "audio_code"),
        ("deltas", (1, 7, 2), 1e-5, "d_mean_m"),  # below 1e-4 m, but far beyond its own scale's 1e-4
        ("deltas", (1, 7, 10), 2e-4, "d_opacity_logit"),
        ("torso_rigid", (0, 2), 1e-5, "torso_angle_rad"),
        ("torso_deltas", (2, 5, 1), np.nan, "torso_d_mean_m"),
    ],
)
def test_parity_names_the_output_that_differs(array: str, index, off: float, output: str):
    bundle = made_bundle()
    changed = getattr(bundle.golden, array).copy()
    changed[index] += off
    golden = dataclasses.replace(bundle.golden, **{array: changed})
    with pytest.raises(ParityError, match=f"{output} differs by .* No bundle was written"):
        check_parity(dataclasses.replace(bundle, golden=golden))


def test_an_avatar_without_torso_movers_passes_without_them():
    outputs = {o.output for o in check_parity(made_bundle(torso_movers=0)).outputs}
    assert "torso_d_mean_m" not in outputs
    assert "torso_shift_m" in outputs


def one_node_model(node: onnx.NodeProto, **model_arguments) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node], "g", [value], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
    arguments = {"opset_imports": [helper.make_opsetid("", 15)], **model_arguments}
    return helper.make_model(graph, **arguments)


def test_a_plain_graph_is_let_through_with_its_shapes():
    ends = check_graph(one_node_model(helper.make_node("Relu", ["x"], ["y"])).SerializeToString(), "a")
    assert ends.inputs == {"x": (1,)}
    assert ends.outputs == {"y": (1,)}


def test_graphs_that_could_do_more_than_arithmetic_are_refused():
    relu = helper.make_node("Relu", ["x"], ["y"])
    cases = {
        "expected plain operators only, got Loop": one_node_model(helper.make_node("Loop", ["x"], ["y"])),
        "of opset 15 or lower, got {'': 16}": one_node_model(relu, opset_imports=[helper.make_opsetid("", 16)]),
        "operators of opset 15": one_node_model(
            relu, opset_imports=[helper.make_opsetid("", 15), helper.make_opsetid("com.evil", 1)]
        ),
        "got functions": one_node_model(
            relu, functions=[helper.make_function("", "F", ["a"], ["b"], [relu], [helper.make_opsetid("", 15)])]
        ),
    }
    outside = one_node_model(relu)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    outside.graph.initializer.append(tensor)
    cases[r"expected the weights inside the graph, got \['w'\]"] = outside
    for message, model in cases.items():
        with pytest.raises(InputError, match=message.replace("{", r"\{").replace("}", r"\}")):
            check_graph(model.SerializeToString(), "a.onnx")
    with pytest.raises(InputError, match="expected an ONNX graph"):
        check_graph(b"\xff\xff", "a.onnx")
