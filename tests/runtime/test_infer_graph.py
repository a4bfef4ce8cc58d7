"""The exporter's graphs are recognised and their weights read back; any other graph is named, not guessed."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from made_bundle import made_avatar, made_bundle
from onnx import helper

from gstalker.runtime.infer_graph import NotKnown, deform_weights, torso_weights, with_free_rows

AVATAR, BUNDLE = made_avatar(torso_hears_rigid=True), made_bundle(torso_hears_rigid=True)


def changed(name: str, change) -> bytes:
    model = onnx.load_model_from_string(BUNDLE.graphs[name])
    change(model.graph)
    return model.SerializeToString()


def same_layers(got, dense) -> None:
    assert len(got) == len(dense)
    for (weight, bias), layer in zip(got, dense, strict=True):
        np.testing.assert_array_equal(weight, layer.weight)
        np.testing.assert_array_equal(bias, layer.bias)


def test_the_weights_come_back_as_they_were_written():
    deform = deform_weights(BUNDLE.graphs["deform"])
    np.testing.assert_array_equal(deform.w_audio, AVATAR.deformation.w_audio)
    np.testing.assert_array_equal(deform.w_expression, AVATAR.deformation.w_expression)
    same_layers(deform.layers, AVATAR.deformation.layers)
    torso = torso_weights(BUNDLE.graphs["torso"])
    for name in ("pose_mean", "pose_scale", "w_pose", "w_rigid"):
        np.testing.assert_array_equal(getattr(torso, name), getattr(AVATAR.torso, name))
    same_layers(torso.layers, AVATAR.torso.layers)
    same_layers(torso.rigid_layers, AVATAR.torso.rigid_layers)


def test_a_torso_that_hears_of_the_head_alone_is_known_too():
    torso = torso_weights(made_bundle().graphs["torso"])
    assert not torso.w_rigid.any()
    assert torso.w_rigid.shape == (3, 32)
    np.testing.assert_array_equal(torso.w_pose, AVATAR.torso.w_pose)


def other_motion(graph) -> None:
    next(node for node in graph.node if "w_rigid" in node.input).input[0] = "head_pose"


def test_a_torso_that_hears_of_something_else_is_not_guessed_at():
    with pytest.raises(NotKnown, match="head_pose stands where torso_rigid was expected"):
        torso_weights(changed("torso", other_motion))


def other_activation(graph) -> None:
    next(node for node in graph.node if node.op_type == "Relu").op_type = "Tanh"


def one_node_more(graph) -> None:
    graph.node.append(helper.make_node("Relu", ["gates"], ["unused"]))


def weight_computed(graph) -> None:
    graph.node.append(helper.make_node("Relu", ["w_audio"], ["computed"]))
    next(node for node in graph.node if "w_audio" in node.input and node.op_type == "MatMul").input[1] = "computed"


def expression_first(graph) -> None:
    concat = next(node for node in graph.node if node.op_type == "Concat")
    concat.input[:] = list(reversed(concat.input))


def weight_of_another_type(graph) -> None:
    next(t for t in graph.initializer if t.name == "layer0_bias").data_type = onnx.TensorProto.INT32


def gates_joined_the_other_way(graph) -> None:
    next(node for node in graph.node if node.op_type == "Concat").attribute[0].i = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_activation, r"relu_5 comes from Tanh, not from Relu"),
        (one_node_more, r"12 nodes, not 11"),
        (weight_computed, r"computed is no float32 constant|12 nodes"),
        (expression_first, r"expression stands where audio_code was expected"),
        (weight_of_another_type, r"layer0_bias is no float32 constant"),
        (gates_joined_the_other_way, r"joined along another axis"),
    ],
)
def test_a_deformation_graph_of_another_form_is_not_guessed_at(change, message: str):
    with pytest.raises(NotKnown, match=message):
        deform_weights(changed("deform", change))


def test_a_torso_graph_of_another_form_is_not_guessed_at():
    def pose_not_scaled(graph) -> None:
        next(node for node in graph.node if node.op_type == "Div").op_type = "Mul"

    with pytest.raises(NotKnown, match="comes from Mul, not from Div"):
        torso_weights(changed("torso", pose_not_scaled))


def test_free_rows_give_the_same_deltas_in_pieces():
    ort = pytest.importorskip("onnxruntime", reason="needs the extra cpu or gpu")
    inputs = {"audio_code": BUNDLE.golden.audio_code[:1], "expression": BUNDLE.golden.expression[:1]}
    free = ort.InferenceSession(with_free_rows(BUNDLE.graphs["deform"]), providers=["CPUExecutionProvider"])
    pieces = [
        free.run(["deltas"], inputs | {"first_layer": BUNDLE.first_layer[part], "gates": BUNDLE.gates[part]})[0]
        for part in (slice(0, 100), slice(100, 300))
    ]
    np.testing.assert_allclose(np.concatenate(pieces), BUNDLE.golden.deltas[0], atol=1e-5)
