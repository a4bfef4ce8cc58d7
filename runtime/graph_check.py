"""Refuse an ONNX graph that could do more than arithmetic on its inputs, before any runtime loads it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx
from google.protobuf.message import DecodeError

from gstalker.runtime.errors import InputError

MAX_OPSET = 15
# Plain arithmetic that ONNX Runtime, Unity's Inference Engine and Unreal's NNE all run.
ALLOWED_OPERATORS = frozenset(
    {
        "Add", "Concat", "Conv", "Div", "LeakyRelu", "MatMul", "Mul", "ReduceSum", "Relu", "Reshape", "Slice",
        "Softmax", "Sub", "Tanh", "Transpose",
    }
)  # fmt: skip


@dataclass(frozen=True)
class GraphEnds:
    """Shapes by name of what goes in and comes out; -1 stands for a free size."""

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]


def check_graph(data: bytes, where: str) -> GraphEnds:
    """Check a serialised model and say what it takes and gives.

    Raises:
        InputError: not ONNX, a newer or foreign operator set, an operator that is not plain arithmetic,
            functions, or weights kept in another file.
    """
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise InputError(f"{where}: expected an ONNX graph, could not read it ({error}).") from error
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if set(opsets) != {""} or not 1 <= opsets[""] <= MAX_OPSET:
        raise InputError(f"{where}: expected ONNX's own operators of opset {MAX_OPSET} or lower, got {opsets}.")
    used = {str(node.op_type) for node in model.graph.node}  # bytes where a damaged file's name is no UTF-8
    if model.functions or not used <= ALLOWED_OPERATORS:
        foreign = sorted(used - ALLOWED_OPERATORS) or ["functions"]
        raise InputError(f"{where}: expected plain operators only, got {', '.join(foreign)}.")
    outside = [t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    if outside or model.graph.sparse_initializer:
        raise InputError(f"{where}: expected the weights inside the graph, got {outside or 'sparse ones'}.")
    return GraphEnds(_shapes(model.graph.input), _shapes(model.graph.output))


def _shapes(values: Iterable[onnx.ValueInfoProto]) -> dict[str, tuple[int, ...]]:
    return {
        v.name: tuple(d.dim_value if d.HasField("dim_value") else -1 for d in v.type.tensor_type.shape.dim)
        for v in values
    }
