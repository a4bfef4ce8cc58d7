"""From a training run to a bundle: ONNX graphs, canonical PLY, parity check."""
