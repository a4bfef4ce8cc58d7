"""The three networks of a bundle written out slowly in float64 NumPy: the referee of every graph and runtime."""

from __future__ import annotations

import numpy as np

from gstalker.export.baked_avatar import BakedAudio, BakedDeformation, BakedTorso, Conv, Dense


def audio_codes(net: BakedAudio, mel_windows: np.ndarray) -> np.ndarray:
    """(B, W, bands) -> (B, A)."""
    return np.stack([audio_code(net, window.astype(np.float64)) for window in mel_windows])


def audio_code(net: BakedAudio, window: np.ndarray) -> np.ndarray:
    rows = window  # (time, channels)
    for layer in net.convolutions:
        rows = leaky(convolve(rows, layer), net.leaky_slope)
    codes = convolve(rows, net.to_code)
    if not net.attention:
        return codes[0]
    scores = codes
    for i, layer in enumerate(net.attention):
        scores = convolve(leaky(scores, net.leaky_slope) if i else scores, layer)
    weights = np.exp(scores[:, 0] + net.position_bias)
    return (weights / weights.sum()) @ codes


def convolve(rows: np.ndarray, layer: Conv) -> np.ndarray:
    weight = layer.weight.astype(np.float64)
    taps = weight.shape[2]
    starts = range(0, len(rows) - taps + 1, layer.stride)
    return np.array([np.einsum("oit,ti->o", weight, rows[s : s + taps]) + layer.bias for s in starts])


def leaky(x: np.ndarray, slope: float) -> np.ndarray:
    return np.where(x > 0, x, slope * x)


def deltas(
    net: BakedDeformation, first_layer: np.ndarray, gates: np.ndarray, code: np.ndarray, expression: np.ndarray
) -> np.ndarray:
    """(Mh, 11) of one audio code (A,) and one expression (E,)."""
    heard = code.astype(np.float64) @ net.w_audio
    seen = expression.astype(np.float64) @ net.w_expression
    hidden = first_layer + gates[:, 0:1] * heard + gates[:, 1:2] * seen
    return dense_layers(np.maximum(hidden, 0), net.layers, lambda x: np.maximum(x, 0))


def torso(net: BakedTorso, first_layer: np.ndarray, head_pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """torso_rigid (3,) and torso_deltas (Mt, 3) of one head pose (6,)."""
    pose = (head_pose.astype(np.float64) - net.pose_mean) / net.pose_scale
    rigid = dense_layers(pose, net.rigid_layers, np.tanh)
    drive = pose @ net.w_pose
    if net.w_rigid is not None:
        drive = drive + rigid @ net.w_rigid
    hidden = np.maximum(first_layer + drive, 0)
    return rigid, dense_layers(hidden, net.layers, lambda x: np.maximum(x, 0))


def dense_layers(x: np.ndarray, layers: tuple[Dense, ...], activation) -> np.ndarray:
    for i, layer in enumerate(layers):
        x = (activation(x) if i else x) @ layer.weight.astype(np.float64) + layer.bias
    return x
