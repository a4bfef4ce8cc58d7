"""The weights inside a bundle's graphs, where they have the form that the exporter writes.

A graph of that form can be run by the fused kernel instead of by a general runtime, and in pieces. Any other graph is
left to ONNX Runtime as it is: `NotKnown` says why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

Layers = tuple[tuple[np.ndarray, np.ndarray], ...]


class NotKnown(Exception):
    """The graph has another form; the text says where it differs."""


@dataclass(frozen=True)
class DeformWeights:
    """deform.onnx: layers(relu(first_layer + gates @ [audio_code @ w_audio; expression @ w_expression])).

    Attributes:
        w_audio: (A, H), w_expression: (E, H) float32.
        layers: (weight (I, O), bias (O,)) float32 each, ReLU between.
    """

    w_audio: np.ndarray
    w_expression: np.ndarray
    layers: Layers


@dataclass(frozen=True)
class TorsoWeights:
    """torso.onnx, with pose = (head_pose - pose_mean) / pose_scale.

    Attributes:
        pose_mean, pose_scale: (6,) float32.
        w_pose: (6, H), w_rigid: (3, H) float32; torso_deltas = layers(relu(torso_first_layer + pose @ w_pose +
            torso_rigid @ w_rigid)), ReLU between. w_rigid is zero where deltas do not hear of the rigid motion.
        rigid_layers: torso_rigid = rigid_layers(pose), tanh between.
    """

    pose_mean: np.ndarray
    pose_scale: np.ndarray
    w_pose: np.ndarray
    w_rigid: np.ndarray
    layers: Layers
    rigid_layers: Layers


def deform_weights(data: bytes) -> DeformWeights:
    """Of a serialised deform.onnx.

    Raises:
        NotKnown: it computes something else, or in other steps.
    """
    graph = _Graph(data)
    layers, x = graph.dense_layers("deltas", "Relu")
    one, other = graph.operands(graph.operands(x, "Relu")[0], "Add")
    first, product = _named_first(one, other, "first_layer")
    gates, both = graph.operands(product, "MatMul")
    heard, seen = graph.operands(both, "Concat")
    code, w_audio = graph.operands(heard, "MatMul")
    expression, w_expression = graph.operands(seen, "MatMul")
    _expect((first, gates, code, expression), ("first_layer", "gates", "audio_code", "expression"))
    graph.expect_node_count(6 + 3 * len(layers) - 1)
    if graph.attribute(both, "axis") != 0:
        raise NotKnown("audio and expression are joined along another axis")
    return DeformWeights(graph.constant(w_audio), graph.constant(w_expression), layers)


def torso_weights(data: bytes) -> TorsoWeights:
    """Of a serialised torso.onnx.

    Raises:
        NotKnown: it computes something else, or in other steps.
    """
    graph = _Graph(data)
    layers, x = graph.dense_layers("torso_deltas", "Relu")
    one, other = graph.operands(graph.operands(x, "Relu")[0], "Add")
    first, moved = _named_first(one, other, "torso_first_layer")
    w_rigid = None
    if graph.comes_from(moved, "Add"):
        moved, with_torso = graph.operands(moved, "Add")
        rigid, name = graph.operands(with_torso, "MatMul")
        _expect((rigid,), ("torso_rigid",))
        w_rigid = graph.constant(name)
    pose, w_pose_name = graph.operands(moved, "MatMul")
    rigid_layers, rigid_pose = graph.dense_layers("torso_rigid", "Tanh")
    centred, scale = graph.operands(pose, "Div")
    head_pose, mean = graph.operands(centred, "Sub")
    _expect((first, rigid_pose, head_pose), ("torso_first_layer", pose, "head_pose"))
    of_rigid = 0 if w_rigid is None else 2
    graph.expect_node_count(5 + of_rigid + 3 * len(layers) - 1 + 3 * len(rigid_layers) - 1)
    w_pose = graph.constant(w_pose_name)
    return TorsoWeights(
        pose_mean=graph.constant(mean).reshape(-1),
        pose_scale=graph.constant(scale).reshape(-1),
        w_pose=w_pose,
        w_rigid=np.zeros((3, w_pose.shape[1]), np.float32) if w_rigid is None else w_rigid,
        layers=layers,
        rigid_layers=rigid_layers,
    )


def with_free_rows(data: bytes) -> bytes:
    """A deform.onnx of known form that takes any number of Gaussians at once: they do not see each other."""
    model = onnx.load_model_from_string(data)
    for value in (*model.graph.input, *model.graph.output):
        if value.name in ("first_layer", "gates", "deltas"):
            value.type.tensor_type.shape.dim[0].dim_param = "rows"
    return model.SerializeToString()


class _Graph:
    """A graph read backwards, from what it gives to what it takes."""

    def __init__(self, data: bytes) -> None:
        graph = onnx.load_model_from_string(data).graph
        self._nodes = {name: node for node in graph.node for name in node.output}
        self._count = len(graph.node)
        self._constants = {tensor.name: tensor for tensor in graph.initializer}

    def operands(self, name: str, operator: str) -> list[str]:
        """What the node that gives `name` takes, if it is that operator."""
        node = self._nodes.get(name)
        if node is None or node.op_type != operator:
            raise NotKnown(f"{name} comes from {node.op_type if node else 'outside'}, not from {operator}")
        return list(node.input)

    def comes_from(self, name: str, operator: str) -> bool:
        """Whether the node that gives `name` is that operator."""
        return name in self._nodes and self._nodes[name].op_type == operator

    def attribute(self, name: str, attribute: str) -> int | None:
        return next((a.i for a in self._nodes[name].attribute if a.name == attribute), None)

    def constant(self, name: str) -> np.ndarray:
        tensor = self._constants.get(name)
        if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT:
            raise NotKnown(f"{name} is no float32 constant")
        return np.ascontiguousarray(numpy_helper.to_array(tensor))

    def dense_layers(self, output: str, activation: str) -> tuple[Layers, str]:
        """The dense layers that end in `output`, first layer first, and what goes into them."""
        layers: list[tuple[np.ndarray, np.ndarray]] = []
        x = output
        while True:
            product, bias = self.operands(x, "Add")
            x, weight = self.operands(product, "MatMul")
            layers.insert(0, (self.constant(weight), self.constant(bias)))
            node = self._nodes.get(x)
            before = self._nodes.get(node.input[0]) if node and node.op_type == activation else None
            if node is None or before is None or before.op_type != "Add" or before.input[1] not in self._constants:
                return tuple(layers), x
            x = node.input[0]

    def expect_node_count(self, count: int) -> None:
        if self._count != count:
            raise NotKnown(f"{self._count} nodes, not {count}")


def _named_first(one: str, other: str, name: str) -> tuple[str, str]:
    """A sum may name its parts either way round."""
    return (other, one) if other == name else (one, other)


def _expect(got: tuple[str, ...], expected: tuple[str, ...]) -> None:
    for a, b in zip(got, expected, strict=True):
        if a != b:
            raise NotKnown(f"{a} stands where {b} was expected")
