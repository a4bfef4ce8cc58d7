"""The same field as it is before baking: tri-plane look-ups in the graph, for every Gaussian in every frame.

Each of three planes has several resolutions, whose four nearest entries are blended (`kernels.triplane`); a first
layer and a gate network read what was found. `baked` evaluates the same once, for the graph to be checked against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gstalker.bench.contenders.made_field import AUDIO_CODE, EXPRESSION, HIDDEN, MadeField

PLANE_AXES = ((0, 1), (1, 2), (2, 0))
HALF_BOX_M = 0.2  # the encoded box, around the origin
GATE_HIDDEN = 16
OPSET, IR_VERSION = 15, 8


@dataclass(frozen=True)
class LookupSizes:
    """Sides of the grids on each plane, in vertices, and values in an entry."""

    resolutions: tuple[int, ...]
    features: int


OURS = LookupSizes((16, 32, 64), 4)
"""What is trained here (`runtime.model.deformation.DeformationConfig`)."""
PUBLISHED = LookupSizes(tuple(round(16 * (38 / 16) ** (k / 11)) for k in range(12)), 1)
"""The face network of TalkingGaussian (arXiv:2404.15264, its published code): 12 levels of one value, 16 to 38."""


@dataclass(frozen=True)
class Lookup:
    """Random grids and the two small networks that read them.

    Attributes:
        tables: one (side^2, F) float32 a plane and level, planes outermost.
        from_space: weight (3 L F, 64) and bias; gate: two dense layers, the last through a sigmoid.
    """

    sizes: LookupSizes
    tables: list[np.ndarray]
    from_space: tuple[np.ndarray, np.ndarray]
    gate: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def made_lookup(sizes: LookupSizes, seed: int = 1) -> Lookup:
    """Random."""
    rng = np.random.default_rng(seed)

    def dense(inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
        weight = rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)
        return weight.astype(np.float32), (rng.normal(size=outputs) * 0.1).astype(np.float32)

    width = 3 * len(sizes.resolutions) * sizes.features
    tables = [rng.normal(size=(r * r, sizes.features)).astype(np.float32) for _ in range(3) for r in sizes.resolutions]
    return Lookup(sizes, tables, dense(width, HIDDEN), (dense(width, GATE_HIDDEN), dense(GATE_HIDDEN, 2)))


def baked(lookup: Lookup, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First layer (M, 64) and gates (M, 2), float32, of positions (M, 3): what the exporter would store."""
    found, tables = [], iter(lookup.tables)
    unit = (means / HALF_BOX_M + 1) / 2
    for axes in PLANE_AXES:
        for side in lookup.sizes.resolutions:
            at = unit[:, axes] * (side - 1)
            cell = np.floor(at).astype(np.int64)
            part = at - cell
            table = next(tables)
            total = np.zeros((len(means), lookup.sizes.features))
            for j in (0, 1):
                for i in (0, 1):
                    weight = (part[:, 0] if i else 1 - part[:, 0]) * (part[:, 1] if j else 1 - part[:, 1])
                    entry = np.minimum(cell[:, 0] + i + (cell[:, 1] + j) * side, side * side - 1)
                    total += weight[:, None] * table[entry]
            found.append(total)
    x = np.concatenate(found, axis=1)
    (gate_weight, gate_bias), (out_weight, out_bias) = lookup.gate
    gates = np.maximum(x @ gate_weight + gate_bias, 0) @ out_weight + out_bias
    first = x @ lookup.from_space[0] + lookup.from_space[1]
    return first.astype(np.float32), (1 / (1 + np.exp(-gates))).astype(np.float32)


def lookup_graph(lookup: Lookup, field: MadeField) -> bytes:
    """means (M, 3), audio_code, expression -> deltas (M, 11), the field's own layers behind the look-ups."""
    g = _Graph()
    unit = g.node("Add", [g.node("Mul", ["means", g.constant(np.float32(0.5 / HALF_BOX_M))]), g.constant(0.5)])
    found, tables = [], iter(lookup.tables)
    for axes in PLANE_AXES:
        plane = g.node("Gather", [unit, g.constant(np.array(axes))], axis=1)
        found += [_level(g, plane, side, next(tables)) for side in lookup.sizes.resolutions]
    x = g.node("Concat", found, axis=1)
    first = g.dense(x, lookup.from_space)
    gates = g.node("Sigmoid", [g.dense(g.node("Relu", [g.dense(x, lookup.gate[0])]), lookup.gate[1])])
    deformation = field.deformation
    heard = g.node("MatMul", ["audio_code", g.constant(deformation.w_audio)])
    seen = g.node("MatMul", ["expression", g.constant(deformation.w_expression)])
    gated = g.node("MatMul", [gates, g.node("Concat", [heard, seen], axis=0)])
    x = g.node("Relu", [g.node("Add", [first, gated])])
    hidden, out = deformation.layers
    x = g.node("Relu", [g.dense(x, (hidden.weight, hidden.bias))])
    g.node("Identity", [g.dense(x, (out.weight, out.bias))], output="deltas")
    count = len(field.first_layer)
    inputs = {"means": (count, 3), "audio_code": (1, AUDIO_CODE), "expression": (1, EXPRESSION)}
    return g.serialise(inputs, {"deltas": (count, 11)})


def _level(g: _Graph, plane: str, side: int, table: np.ndarray) -> str:
    """(M, F) blended from the four entries around (M, 2) coordinates in 0..1."""
    at = g.node("Mul", [plane, g.constant(np.float32(side - 1))])
    cell = g.node("Floor", [at])
    part = g.node("Sub", [at, cell])
    corner = g.node("Cast", [g.node("MatMul", [cell, g.constant(np.array([[1.0], [side]]))])], to=TensorProto.INT64)
    entries = g.node("Add", [corner, g.constant(np.array([[0, 1, side, side + 1]]))])  # (M, 4)
    entries = g.node("Min", [entries, g.constant(np.array(side * side - 1))])
    rest = g.node("Sub", [g.constant(1.0), part])
    # (M, 4) of (1-x)(1-y), x(1-y), (1-x)y, xy
    first = g.node("Gather", [g.node("Concat", [rest, part], axis=1), g.constant(np.array([0, 2, 0, 2]))], axis=1)
    second = g.node("Gather", [g.node("Concat", [rest, part], axis=1), g.constant(np.array([1, 1, 3, 3]))], axis=1)
    weights = g.node("Unsqueeze", [g.node("Mul", [first, second]), g.constant(np.array([2]))])
    values = g.node("Gather", [g.constant(table), entries], axis=0)  # (M, 4, F)
    return g.node("ReduceSum", [g.node("Mul", [values, weights]), g.constant(np.array([1]))], keepdims=0)


class _Graph:
    """Collects nodes and constants."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[TensorProto] = []

    def constant(self, value: Any) -> str:
        array = np.asarray(value)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, operator: str, inputs: list[str], *, output: str | None = None, **attributes: Any) -> str:
        result = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [result], **attributes))
        return result

    def dense(self, x: str, layer: tuple[np.ndarray, np.ndarray]) -> str:
        return self.node("Add", [self.node("MatMul", [x, self.constant(layer[0])]), self.constant(layer[1])])

    def serialise(self, inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]) -> bytes:
        def values(shapes: dict[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

        graph = helper.make_graph(self._nodes, "lookup", values(inputs), values(outputs), self._constants)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opset)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()
