"""Small made ONNX files in the layouts of HuBERT, wav2vec 2.0 and DeepSpeech, with their settings beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH = 12


def made_waveform_encoder(folder: Path, *, normalise: str, stride: int = 320, mask: bool = False) -> Path:
    """A strided convolution over samples, as the first layer of HuBERT is; (1, S) -> (1, T, 12)."""
    rng = np.random.default_rng(0)
    weight = (0.1 * rng.normal(size=(WIDTH, 1, 400))).astype(np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["sound", "axis"], ["wide"]),
        helper.make_node("Conv", ["wide", "weight"], ["rows"], strides=[stride]),
        helper.make_node("Transpose", ["rows"], ["features" if not mask else "plain"], perm=[0, 2, 1]),
    ]
    inputs = [helper.make_tensor_value_info("sound", TensorProto.FLOAT, [1, "samples"])]
    if mask:  # used, as a real one is: one that were not given as ones would change everything
        inputs.append(helper.make_tensor_value_info("heard", TensorProto.INT64, [1, "samples"]))
        nodes += [
            helper.make_node("Cast", ["heard"], ["heard_float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMin", ["heard_float"], ["all_heard"], keepdims=0),
            helper.make_node("Mul", ["plain", "all_heard"], ["features"]),
        ]
    constants = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(np.array([1], np.int64), "axis")]
    output = helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, "rows", WIDTH])
    return _write(folder / "encoder.onnx", nodes, inputs, output, constants, "waveform", normalise)


def made_mfcc_encoder(folder: Path) -> Path:
    """A dense layer over each row and its neighbours, as DeepSpeech's first is; (1, T, 19, 26) -> (T, 1, 12)."""
    weight = (0.01 * np.random.default_rng(1).normal(size=(19 * 26, WIDTH))).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["cepstra", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weight"], ["logits"]),
    ]
    inputs = [helper.make_tensor_value_info("cepstra", TensorProto.FLOAT, [1, "steps", 19, 26])]
    shape = numpy_helper.from_array(np.array([-1, 1, 19 * 26], np.int64), "flat")
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["steps", 1, WIDTH])
    constants = [shape, numpy_helper.from_array(weight, "weight")]
    return _write(folder / "encoder.onnx", nodes, inputs, output, constants, "mfcc", "none")


def write_settings(model: Path, **fields: object) -> None:
    """The settings beside a model, complete unless told otherwise."""
    settings = {"layout": "waveform", "sample_rate_hz": 16000, "normalise": "none", **fields}
    model.with_suffix(".json").write_text(json.dumps({k: v for k, v in settings.items() if v is not None}))


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    output: onnx.ValueInfoProto,
    constants: list[TensorProto],
    layout: str,
    normalise: str,
) -> Path:
    graph = helper.make_graph(nodes, "made", inputs, [output], constants)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 15)])
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    write_settings(path, layout=layout, normalise=normalise)
    return path
