"""A field with random weights of the sizes that are trained, and a head-like cloud for it to move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.export.baked_avatar import BakedDeformation, Dense
from gstalker.export.onnx_graphs import deform_graph
from gstalker.kernels.fused_field import FieldNetwork, Movers
from gstalker.kernels.quantise import QuantisationBox

AUDIO_CODE, EXPRESSION, HIDDEN = 32, 9, 64
OUTPUT_SCALE = [2e-3] * 3 + [0.03] * 4 + [0.05] * 3 + [0.3]
FLOPS_A_GAUSSIAN = 2 * (2 * HIDDEN + HIDDEN * HIDDEN + HIDDEN * 11)  # gates, hidden layer, output layer
BOX = QuantisationBox((-0.2, -0.25, -0.2), (0.2, 0.25, 0.2), -8.5, -2.5)


@dataclass(frozen=True)
class MadeField:
    """The baked field of an avatar, all of whose Gaussians are the head's and move.

    Attributes:
        movers: the canonical Gaussians, means on a head-sized ellipsoid.
        first_layer (M, 64), gates (M, 2), deformation: as a bundle has them.
        audio_code (1, 32), expression (1, 9): one frame's input.
    """

    movers: Movers
    first_layer: np.ndarray
    gates: np.ndarray
    deformation: BakedDeformation
    audio_code: np.ndarray
    expression: np.ndarray

    @property
    def network(self) -> FieldNetwork:
        layers = [(layer.weight, layer.bias) for layer in self.deformation.layers]
        return FieldNetwork(self.first_layer, self.gates, layers)

    @property
    def drive(self) -> np.ndarray:
        """(2, 64) what the frame's input contributes behind the gates."""
        return np.concatenate(
            [self.audio_code @ self.deformation.w_audio, self.expression @ self.deformation.w_expression]
        )

    @property
    def graph(self) -> bytes:
        """deform.onnx."""
        return deform_graph(self.deformation, len(self.first_layer))


def made_field(gaussians: int, seed: int = 0) -> MadeField:
    """Random, and the same for the same arguments."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    scale = np.array(OUTPUT_SCALE, np.float32)
    directions = rng.normal(size=(gaussians, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return MadeField(
        movers=Movers(
            means=(directions * [0.075, 0.11, 0.09]).astype(np.float32),
            quats_wxyz=normal(gaussians, 4),
            scales=np.exp(rng.uniform(-6.5, -5.0, (gaussians, 3))).astype(np.float32),
            opacities=rng.uniform(0.2, 0.98, gaussians).astype(np.float32),
            head_count=gaussians,
        ),
        first_layer=normal(gaussians, HIDDEN),
        gates=rng.uniform(0, 1, (gaussians, 2)).astype(np.float32),
        deformation=BakedDeformation(
            w_audio=normal(AUDIO_CODE, HIDDEN) * np.float32(0.3),
            w_expression=normal(EXPRESSION, HIDDEN) * np.float32(0.5),
            layers=(
                Dense(normal(HIDDEN, HIDDEN) / np.float32(8), normal(HIDDEN) * np.float32(0.1)),
                Dense(normal(HIDDEN, 11) / np.float32(8) * scale, normal(11) * np.float32(0.1) * scale),
            ),
        ),
        audio_code=normal(1, AUDIO_CODE),
        expression=rng.uniform(0, 1, (1, EXPRESSION)).astype(np.float32),
    )
