"""An avatar in memory once, whatever the number of its sessions: bundle, networks, buffers, what a frame costs."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from gstalker.bridge.server.admission import FrameCost
from gstalker.kernels.quantise import BYTES_PER_MOVER, QuantisationBox, pack_movers
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.errors import InputError
from gstalker.runtime.infer import AUTO, AvatarRuntime, Controls

WARM_UP_FRAMES = 5  # after the first, which loads and compiles


@dataclass(frozen=True)
class Moved:
    """The movers at one moment, in memory that the next frame overwrites.

    Attributes:
        packed: (M, 16) uint8, as the wire carries them.
        means (M, 3), quats_wxyz (M, 4), scales (M, 3), opacities (M,): float32; valid where they were asked for.
        poses: (2, 4, 4) float64: avatar_from_head, avatar_from_torso.
    """

    packed: np.ndarray
    means: np.ndarray
    quats_wxyz: np.ndarray
    scales: np.ndarray
    opacities: np.ndarray
    poses: np.ndarray

    @classmethod
    def empty(cls, mover_count: int) -> Moved:
        return cls(
            packed=np.empty((mover_count, BYTES_PER_MOVER), np.uint8),
            means=np.empty((mover_count, 3), np.float32),
            quats_wxyz=np.empty((mover_count, 4), np.float32),
            scales=np.empty((mover_count, 3), np.float32),
            opacities=np.empty(mover_count, np.float32),
            poses=np.empty((2, 4, 4)),
        )

    @property
    def values(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self.means, self.quats_wxyz, self.scales, self.opacities


class LoadedAvatar:
    """What sessions share. One thread uses it."""

    def __init__(self, bundle: AvatarBundle, *, threads: int = 1, backend: str = AUTO) -> None:
        """Load the networks.

        Args:
            bundle: the avatar.
            threads: that share the work of a frame.
            backend: what computes frames, as `runtime.infer.AvatarRuntime` takes it.

        Raises:
            InputError: ONNX Runtime is missing or cannot load a graph; no such back end.
        """
        self.bundle = bundle
        self.name = bundle.manifest.name
        self.fps = bundle.manifest.frame_rate_hz
        self.mover_count = bundle.manifest.counts.movers
        self.box: QuantisationBox = bundle.quantisation_box
        self.cost = FrameCost()
        self.moved = Moved.empty(self.mover_count)
        self._runtime = AvatarRuntime(bundle, threads=threads, backend=backend)
        front = bundle.manifest.audio
        self._code = np.zeros(bundle.manifest.sizes.audio_code, np.float32)
        window = (front.window_mel_frames, front.log_mel.mel_bands)
        self._silence = np.full(window, front.log_mel.silence, np.float32)
        self.silent_code = self.code(self._silence).copy()

    @property
    def backend(self) -> str:
        """What computes frames, as `stats` says it."""
        return self._runtime.backend.name

    def code(self, window: np.ndarray) -> np.ndarray:
        """The audio code (A,) of a window (W, bands) of features; overwritten by the next call."""
        self._runtime.audio_code_into(window, self._code)
        return self._code

    def move(self, code: np.ndarray, controls: Controls, *, values: bool) -> Moved:
        """The avatar at a moment, overwritten by the next call.

        Args:
            code: the voice.
            controls: the rest.
            values: whether the numbers are wanted, too, and not only their packed form.

        Raises:
            ValueError: a value lies outside the box.
        """
        moved, torso = self.moved, controls.avatar_from_torso
        expression, head = controls.expression, controls.avatar_from_head
        if values:
            self._runtime.value_frame(code, expression, head, moved.values, moved.poses, torso)
            pack_movers(*moved.values, self.box, out=moved.packed)
        else:
            self._runtime.packed_frame(code, expression, head, moved.packed, moved.poses, torso)
        return moved

    def torso_from_head(self, avatar_from_head: np.ndarray) -> np.ndarray:
        """(4, 4) avatar_from_torso with which the torso follows a head (4, 4), as in training."""
        return self._runtime.torso_from_head(avatar_from_head)

    def warm_up(self) -> None:
        """Compute frames that nobody gets: what compiles or loads lazily does so now, and the cost is known.

        Raises:
            InputError: the idle motion has no code in the avatar's box.
        """
        self._runtime.warm_up()
        controls = self._runtime.idle_controls(0)
        for number in range(1 + WARM_UP_FRAMES):
            began_s = time.perf_counter()
            try:
                self.move(self.code(self._silence), controls, values=False)
            except ValueError as error:
                raise InputError(
                    f"{self.name}: expected a frame that fits the bundle's box, {error} Export it again."
                ) from error
            if number:
                self.cost.add(time.perf_counter() - began_s)
