"""An avatar's field from controls to records: the back end that was chosen, and buffers that every frame reuses."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from gstalker.kernels.fused_field import FieldNetwork, FusedField, Movers
from gstalker.kernels.quantise import BYTES_PER_MOVER
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.errors import InputError
from gstalker.runtime.infer_backends import (
    AUTO,
    CHUNK_ROWS,
    FUSED,
    PROVIDERS,
    TIE,
    BackendChoice,
    OrtField,
    Trial,
    check_backend_name,
    medians_ms,
    offered_providers,
    open_session,
)
from gstalker.runtime.infer_graph import (
    DeformWeights,
    NotKnown,
    TorsoWeights,
    deform_weights,
    torso_weights,
    with_free_rows,
)
from gstalker.runtime.infer_pose import fill_head_pose


class AvatarField:
    """Computes the movers of one avatar into arrays of the caller.

    Threads: any may call; callers take turns. In the steady state nothing is allocated but views and numbers.

    Attributes:
        bundle: the avatar.
        not_fused: why deform.onnx cannot be fused; empty where it can.
    """

    def __init__(
        self, bundle: AvatarBundle, deform_session: Any, torso_session: Any, *, threads: int, backend: str = AUTO
    ) -> None:
        """Prepare; nothing is measured before the first frame or `choose`.

        Args:
            bundle: the avatar.
            deform_session, torso_session: its graphs on the CPU.
            threads: that share a frame's work.
            backend: one of `infer_backends.BACKENDS`, or "auto" for the fastest.

        Raises:
            InputError: no such back end.
            ValueError: threads < 1.
        """
        check_backend_name(backend)
        self.bundle, self._threads, self._backend = bundle, threads, backend
        counts, sizes = bundle.manifest.counts, bundle.manifest.sizes
        self._deform, self.not_fused = _known_deform(bundle.graphs["deform"])
        self._torso = _known_torso(bundle.graphs["torso"])
        canonical, movers = bundle.canonical, counts.movers
        self._fused = FusedField(
            Movers(
                canonical.means[:movers],
                canonical.quats_wxyz[:movers],
                canonical.scales[:movers],
                canonical.opacities[:movers],
                counts.head_movers,
            ),
            None if self._deform is None else FieldNetwork(bundle.first_layer, bundle.gates, self._deform.layers),
            None
            if self._torso is None
            else FieldNetwork(
                bundle.torso_first_layer, np.ones((counts.torso_movers, 1), np.float32), self._torso.layers
            ),
            bundle.quantisation_box,
            threads=threads,
        )
        self._lock = threading.Lock()
        self._code = np.zeros((1, sizes.audio_code), np.float32)
        self._expression = np.zeros((1, sizes.expression), np.float32)
        self._head_drive = np.zeros((2, sizes.hidden), np.float32)
        self._torso_drive = np.zeros((1, sizes.torso_hidden), np.float32)
        self._pose = np.zeros((1, 6), np.float32)
        self._rigid = np.zeros((1, 3), np.float32)
        self._deform_session = deform_session
        self._ort: OrtField | None = None
        self._deltas = np.zeros((0, 11), np.float32)  # of ONNX Runtime, if it is chosen
        self._torso_deltas: np.ndarray | None = None
        if self._torso is None:
            self._torso_deltas = np.zeros((counts.torso_movers, 3), np.float32)
            self._torso_session = torso_session
            self._torso_binding = self._bound_torso(torso_session, self._torso_deltas)
        self._choice: BackendChoice | None = None

    @property
    def choice(self) -> BackendChoice:
        """What computes the frames; measured at the first call.

        Raises:
            InputError: the back end that was asked for does not run here.
        """
        with self._lock:
            return self._chosen()

    def pack(
        self, audio_code: np.ndarray, expression: np.ndarray, avatar_from_head: np.ndarray, out: np.ndarray
    ) -> np.ndarray:
        """Records of the movers.

        Args:
            audio_code: (A,), expression: (E,), avatar_from_head: (4, 4) rigid.
            out: (M, 16) uint8, contiguous. Undefined after an error.

        Returns:
            torso_rigid (3,) float32.

        Raises:
            ValueError: a value with no code in the bundle's box, as `kernels.quantise.pack_movers` says it.
        """
        with self._lock:
            self._chosen()
            deltas = self._drive(audio_code, expression, avatar_from_head)
            self._pack(deltas, out)
            return self._rigid[0].copy()

    def values(
        self,
        audio_code: np.ndarray,
        expression: np.ndarray,
        avatar_from_head: np.ndarray,
        means: np.ndarray,
        quats_wxyz: np.ndarray,
        scales: np.ndarray,
        opacities: np.ndarray,
    ) -> np.ndarray:
        """The same before quantisation, into (M, 3), (M, 4), (M, 3), (M,) float32; returns as `pack`."""
        with self._lock:
            self._chosen()
            deltas = self._drive(audio_code, expression, avatar_from_head)
            self._fused.values(
                means,
                quats_wxyz,
                scales,
                opacities,
                head_drive=self._head_drive,
                torso_drive=self._torso_drive,
                head_deltas=deltas,
                torso_deltas=self._torso_deltas,
            )
            return self._rigid[0].copy()

    def torso_rigid(self, avatar_from_head: np.ndarray) -> np.ndarray:
        """torso_rigid (3,) float32 of a head pose (4, 4): how the torso as a whole follows it."""
        with self._lock:
            fill_head_pose(avatar_from_head, self._pose[0])
            self._drive_torso()
            return self._rigid[0].copy()

    def _pack(self, deltas: np.ndarray | None, out: np.ndarray) -> None:
        self._fused.pack(
            out,
            head_drive=self._head_drive,
            torso_drive=self._torso_drive,
            head_deltas=deltas,
            torso_deltas=self._torso_deltas,
        )

    def _drive(self, audio_code: np.ndarray, expression: np.ndarray, avatar_from_head: np.ndarray) -> np.ndarray | None:
        """Fill what a frame starts from; the head's deltas where ONNX Runtime computes them."""
        self._code[0], self._expression[0] = audio_code, expression
        fill_head_pose(avatar_from_head, self._pose[0])
        self._drive_torso()
        if self._ort is not None:
            self._ort.run()
            return self._deltas
        if self._deform is not None:
            np.dot(self._code[0], self._deform.w_audio, out=self._head_drive[0])
            np.dot(self._expression[0], self._deform.w_expression, out=self._head_drive[1])
        return None

    def _drive_torso(self) -> None:
        if self._torso is None:
            self._torso_session.run_with_iobinding(self._torso_binding)
            return
        pose = (self._pose[0] - self._torso.pose_mean) / self._torso.pose_scale
        x = pose
        for i, (weight, bias) in enumerate(self._torso.rigid_layers):
            x = (np.tanh(x) if i else x) @ weight + bias
        self._rigid[0] = x
        self._torso_drive[0] = pose @ self._torso.w_pose + self._rigid[0] @ self._torso.w_rigid

    def _chosen(self) -> BackendChoice:
        if self._choice is None:
            self._choice = self._choose()
        return self._choice

    def _choose(self) -> BackendChoice:
        """Time what was asked for, or everything there is, on a golden input of the bundle; keep the fastest."""
        asked = self._backend
        names = [FUSED, *offered_providers()] if asked == AUTO else [asked]
        self._deltas = np.zeros((self.bundle.manifest.counts.head_movers, 11), np.float32)
        if not len(self._deltas):
            names = [FUSED]  # nothing for a network to do
        forms: list[tuple[str, OrtField | None, str]] = []
        out_of_use: list[Trial] = []
        for name in names:
            try:
                forms += [(name, ort, detail) for ort, detail in self._forms(name)]
            except InputError as error:
                out_of_use.append(Trial(name, None, str(error)))
        if not forms:
            raise InputError(f"backend {asked}: it does not run this avatar here. {out_of_use[0].detail}")
        times_ms = medians_ms([self._trial_frame(ort) for _, ort, _ in forms])
        order = sorted(range(len(forms)), key=lambda k: times_ms[k] / (TIE if forms[k][0] == FUSED else 1.0))
        trials = [Trial(forms[k][0], times_ms[k], forms[k][2]) for k in order]
        name, self._ort, detail = forms[order[0]]
        if self._ort is None:
            self._deltas = np.zeros((0, 11), np.float32)
        return BackendChoice(name, times_ms[order[0]], detail, (*trials, *out_of_use))

    def _forms(self, name: str) -> list[tuple[OrtField | None, str]]:
        """The ways a back end can run this avatar, each ready to be timed.

        Raises:
            InputError: it does not run here.
        """
        threads = f"{self._threads} thread{'s' if self._threads > 1 else ''}"
        rows = len(self._deltas)
        if name == FUSED:
            if self._deform is None and rows:
                raise InputError(
                    f"deform.onnx: expected the exporter's form for the fused kernel, got another "
                    f"({self.not_fused}). Choose cpu."
                )
            return [(None, f"numba, {threads}")]
        if name != "cpu":
            session = open_session(self.bundle.graphs["deform"], "deform.onnx", self._threads, PROVIDERS[name])
            device = "cuda" if name in ("cuda", "tensorrt") else "cpu"
            return [(self._bound(session, rows, device), f"ONNX Runtime, {PROVIDERS[name]}")]
        forms: list[tuple[OrtField | None, str]] = [
            (self._bound(self._deform_session, rows, "cpu"), f"ONNX Runtime, {threads}")
        ]
        if self._deform is not None and rows > CHUNK_ROWS[0]:
            free = open_session(with_free_rows(self.bundle.graphs["deform"]), "deform.onnx", self._threads)
            for chunk in CHUNK_ROWS:
                if chunk < rows:
                    forms.append((self._bound(free, chunk, "cpu"), f"ONNX Runtime, {threads}, {chunk} at a time"))
        return forms

    def _bound(self, session: Any, rows: int, device: str) -> OrtField:
        bundle = self.bundle
        return OrtField(
            session,
            self._code,
            self._expression,
            bundle.first_layer,
            bundle.gates,
            self._deltas,
            rows=rows,
            device=device,
        )

    def _trial_frame(self, ort: OrtField | None) -> Callable[[], None]:
        """A frame of golden input by one form of a back end."""
        out = np.empty((self.bundle.manifest.counts.movers, BYTES_PER_MOVER), np.uint8)
        golden, head = self.bundle.golden, self.bundle.idle.avatar_from_head[0]

        def frame() -> None:
            self._ort = ort
            deltas = self._drive(golden.audio_code[0], golden.expression[0], head)
            with contextlib.suppress(ValueError):  # a box too small for this is for the first real frame to report
                self._pack(deltas, out)

        return frame

    def _bound_torso(self, session: Any, torso_deltas: np.ndarray) -> Any:
        binding = session.io_binding()
        for name, array in (("head_pose", self._pose), ("torso_first_layer", self.bundle.torso_first_layer)):
            binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for name, array in (("torso_rigid", self._rigid), ("torso_deltas", torso_deltas)):
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return binding


def _known_deform(data: bytes) -> tuple[DeformWeights | None, str]:
    try:
        return deform_weights(data), ""
    except NotKnown as reason:
        return None, str(reason)


def _known_torso(data: bytes) -> TorsoWeights | None:
    try:
        return torso_weights(data)
    except NotKnown:
        return None
