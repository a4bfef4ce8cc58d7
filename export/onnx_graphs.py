"""The three ONNX graphs of a bundle, written node by node with operators that every engine's runtime has.

torch's own exporter would name and order things by its version and bring operators that Unity's Inference
Engine or Unreal's NNE lack; these graphs are the same bytes for the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gstalker.export.baked_avatar import BakedAudio, BakedDeformation, BakedTorso, Conv, Dense
from gstalker.runtime.graph_check import check_graph

OPSET = 15
IR_VERSION = 8  # what ONNX 1.10, the release of opset 15, writes; older runtimes refuse newer ones

Shape = Sequence[int | str]


def audio_graph(net: BakedAudio, mel_bands: int) -> bytes:
    """audio.onnx: mel_window (B, W, bands) -> audio_code (B, A)."""
    graph = _Graph()
    window = net.left_mel_frames + net.right_mel_frames
    x = graph.node("Transpose", ["mel_window"], perm=[0, 2, 1])
    for i, layer in enumerate(net.convolutions):
        x = graph.leaky_relu(graph.conv(x, layer, f"conv{i}"), net.leaky_slope)
    codes = graph.conv(x, net.to_code, "to_code")  # (B, A, n)
    axes = graph.constant("frames_axis", np.array([2], np.int64))
    attended = _attended(graph, codes, net) if net.attention else codes  # (B, A, 1) as it is
    graph.node("ReduceSum", [attended, axes], output="audio_code", keepdims=0)
    return graph.serialise(
        "audio",
        inputs={"mel_window": ("batch", window, mel_bands)},
        outputs={"audio_code": ("batch", len(net.to_code.bias))},
    )


def _attended(graph: _Graph, codes: str, net: BakedAudio) -> str:
    """Codes (B, A, n), each times its share."""
    scores = codes
    for i, layer in enumerate(net.attention):
        if i:
            scores = graph.leaky_relu(scores, net.leaky_slope)
        scores = graph.conv(scores, layer, f"attention{i}")
    bias = graph.constant("position_bias", net.position_bias.reshape(1, 1, -1))
    weights = graph.node("Softmax", [graph.node("Add", [scores, bias])], axis=2)  # (B, 1, n)
    return graph.node("Mul", [codes, weights])


def deform_graph(net: BakedDeformation, head_mover_count: int) -> bytes:
    """deform.onnx: audio_code (1, A), expression (1, E), first_layer, gates -> deltas (Mh, 11)."""
    graph = _Graph()
    heard = graph.node("MatMul", ["audio_code", graph.constant("w_audio", net.w_audio)])
    seen = graph.node("MatMul", ["expression", graph.constant("w_expression", net.w_expression)])
    # One product of (Mh, 2) by (2, H) is both gates times both inputs.
    both = graph.node("Concat", [heard, seen], axis=0)
    x = graph.node("Add", ["first_layer", graph.node("MatMul", ["gates", both])])
    graph.dense_layers(graph.node("Relu", [x]), net.layers, "Relu", "layer", output="deltas")
    return graph.serialise(
        "deform",
        inputs={
            "audio_code": (1, net.w_audio.shape[0]),
            "expression": (1, net.w_expression.shape[0]),
            "first_layer": (head_mover_count, net.w_audio.shape[1]),
            "gates": (head_mover_count, 2),
        },
        outputs={"deltas": (head_mover_count, 11)},
    )


def torso_graph(net: BakedTorso, torso_mover_count: int) -> bytes:
    """torso.onnx: head_pose (1, 6), torso_first_layer -> torso_rigid (1, 3), torso_deltas (Mt, 3)."""
    graph = _Graph()
    centred = graph.node("Sub", ["head_pose", graph.constant("pose_mean", net.pose_mean.reshape(1, 6))])
    pose = graph.node("Div", [centred, graph.constant("pose_scale", net.pose_scale.reshape(1, 6))])
    graph.dense_layers(pose, net.rigid_layers, "Tanh", "rigid", output="torso_rigid")
    moved = graph.node("MatMul", [pose, graph.constant("w_pose", net.w_pose)])
    if net.w_rigid is not None:
        with_torso = graph.node("MatMul", ["torso_rigid", graph.constant("w_rigid", net.w_rigid)])
        moved = graph.node("Add", [moved, with_torso])
    x = graph.node("Relu", [graph.node("Add", ["torso_first_layer", moved])])
    graph.dense_layers(x, net.layers, "Relu", "layer", output="torso_deltas")
    return graph.serialise(
        "torso",
        inputs={"head_pose": (1, 6), "torso_first_layer": (torso_mover_count, net.w_pose.shape[1])},
        outputs={"torso_rigid": (1, 3), "torso_deltas": (torso_mover_count, 3)},
    )


class _Graph:
    """Collects nodes and constants; names are counted, so equal weights give equal bytes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, array: np.ndarray) -> str:
        if array.dtype != np.int64:
            array = np.asarray(array, np.float32)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, operator: str, inputs: Sequence[str], *, output: str | None = None, **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        result = output or name
        self.nodes.append(helper.make_node(operator, list(inputs), [result], name=name, **attributes))
        return result

    def leaky_relu(self, x: str, slope: float) -> str:
        return self.node("LeakyRelu", [x], alpha=slope)

    def conv(self, x: str, layer: Conv, name: str) -> str:
        inputs = [x, self.constant(f"{name}_weight", layer.weight), self.constant(f"{name}_bias", layer.bias)]
        taps = layer.weight.shape[2]
        return self.node(
            "Conv", inputs, kernel_shape=[taps], strides=[layer.stride], pads=[0, 0], dilations=[1], group=1
        )

    def dense_layers(self, x: str, layers: Sequence[Dense], activation: str, name: str, *, output: str) -> str:
        for i, layer in enumerate(layers):
            product = self.node("MatMul", [x, self.constant(f"{name}{i}_weight", layer.weight)])
            bias = self.constant(f"{name}{i}_bias", layer.bias)
            last = i == len(layers) - 1
            x = self.node("Add", [product, bias], output=output if last else None)
            if not last:
                x = self.node(activation, [x])
        return x

    def serialise(self, name: str, *, inputs: dict[str, Shape], outputs: dict[str, Shape]) -> bytes:
        def values(shapes: dict[str, Shape]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(s)) for n, s in shapes.items()]

        graph = helper.make_graph(self.nodes, name, values(inputs), values(outputs), self.constants)
        model = helper.make_model(
            graph,
            producer_name="gstalker",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)  # infers every shape and compares
        data = model.SerializeToString(deterministic=True)
        check_graph(data, f"{name}.onnx")
        return data
