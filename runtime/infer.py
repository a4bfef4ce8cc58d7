"""Runs a bundle's networks: speech and controls in, frames of moved Gaussians out. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.kernels.frame import Frame
from gstalker.runtime.audio import log_mel, mel_windows, video_frame_count
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.infer_apply import apply_deltas
from gstalker.runtime.infer_audio import BoundAudio
from gstalker.runtime.infer_backends import AUTO, BackendChoice, open_session
from gstalker.runtime.infer_field import AvatarField
from gstalker.runtime.poses import head_pose_vector as head_pose_vector  # for the bridge, which sees this module alone

AUDIO_BATCH = 128  # video frames of audio at once: bounds the memory of a long recording


def avatar_from_torso_rigid(torso_rigid: np.ndarray, torso_origin_avatar_m: np.ndarray) -> np.ndarray:
    """(..., 4, 4) float64 of (..., 3) dx_m, dy_m, angle_rad: a turn about z, then origin + (dx, dy, 0)."""
    rigid = np.asarray(torso_rigid, np.float64)
    pose = np.zeros((*rigid.shape[:-1], 4, 4))
    cos, sin = np.cos(rigid[..., 2]), np.sin(rigid[..., 2])
    pose[..., 0, 0], pose[..., 0, 1] = cos, -sin
    pose[..., 1, 0], pose[..., 1, 1] = sin, cos
    pose[..., 2, 2] = pose[..., 3, 3] = 1.0
    pose[..., :3, 3] = torso_origin_avatar_m
    pose[..., :2, 3] += rigid[..., :2]
    return pose


@dataclass(frozen=True)
class Controls:
    """What drives one frame besides the voice.

    Attributes:
        avatar_from_head: (4, 4) rigid.
        expression: (E,) weights in 0..1, in the order of the bundle's controls.
        avatar_from_torso: (4, 4) rigid, or None to let the torso follow the head.
    """

    avatar_from_head: np.ndarray
    expression: np.ndarray
    avatar_from_torso: np.ndarray | None


class AvatarRuntime:
    """A bundle loaded for inference.

    Frames for the wire come from `packed_frame` and `value_frame`, which write into arrays of the caller and
    allocate nothing; the other methods return new arrays. Threads: any may call any method; `packed_frame`,
    `value_frame`, `frame` and `audio_code_into` use common buffers, and callers take turns there. The
    interpreter's lock is free while a frame is computed.
    """

    def __init__(self, bundle: AvatarBundle, *, threads: int = 1, backend: str = AUTO) -> None:
        """Load the graphs.

        Args:
            bundle: the avatar.
            threads: that share the work of a frame; more than 2 gain little at the sizes of an avatar.
            backend: what computes frames: "auto" for the fastest here, or one of `infer_backends.BACKENDS`. It is
                chosen at the first frame or by `warm_up`.

        Raises:
            InputError: ONNX Runtime is not installed, or cannot load a graph; no such back end.
            ValueError: threads < 1.
        """
        if threads < 1:
            raise ValueError(f"AvatarRuntime: expected threads >= 1, got {threads}.")
        self.bundle = bundle
        self._sessions = {name: open_session(data, f"{name}.onnx", threads) for name, data in bundle.graphs.items()}
        movers = bundle.manifest.counts.movers
        canonical = bundle.canonical
        quats = canonical.quats_wxyz[:movers]
        self._quats_wxyz = quats / np.linalg.norm(quats, axis=1, keepdims=True)
        opacities = np.clip(canonical.opacities[:movers].astype(np.float64), 1e-9, 1 - 1e-9)
        self._opacity_logits = np.log(opacities / (1 - opacities)).astype(np.float32)
        self._torso_origin_m = np.array(bundle.manifest.torso_origin_avatar_m)
        self._field = AvatarField(
            bundle, self._sessions["deform"], self._sessions["torso"], threads=threads, backend=backend
        )
        self._hearing = BoundAudio(self._sessions["audio"], bundle)

    def warm_up(self) -> BackendChoice:
        """Choose the back end by timing a few frames of each, and load or compile what is loaded lazily.

        Raises:
            InputError: the back end that was asked for does not run here.
        """
        return self._field.choice

    @property
    def backend(self) -> BackendChoice:
        """What computes frames here and how fast it was in the trial; measured at the first call, as `warm_up`."""
        return self._field.choice

    def audio_code_into(self, mel_window: np.ndarray, out: np.ndarray) -> None:
        """The audio code of one mel window (W, bands) into `out` (A,) float32; allocates nothing.

        Raises:
            ValueError: the window has another shape.
        """
        self._hearing.code_into(mel_window, out)

    def packed_frame(
        self,
        audio_code: np.ndarray,
        expression: np.ndarray,
        avatar_from_head: np.ndarray,
        out: np.ndarray,
        poses: np.ndarray,
        avatar_from_torso: np.ndarray | None = None,
    ) -> None:
        """One frame as the wire carries it, into arrays of the caller; allocates nothing that grows with the avatar.

        Args:
            audio_code: (A,)
            expression: (E,) weights in 0..1.
            avatar_from_head: (4, 4) rigid.
            out: (M, 16) uint8, contiguous: receives the movers' records. Any alignment: a message's payload will do.
            poses: (2, 4, 4) float64: receives avatar_from_head and avatar_from_torso.
            avatar_from_torso: (4, 4) rigid; None lets the torso follow the head as in training. Its small deltas follow
                what the head tells in both cases.

        Raises:
            ValueError: an input of the wrong shape, or not finite; a value that has no code in the bundle's box, in
                the words of `kernels.quantise.pack_movers`. `out` is undefined then.
        """
        self._check_controls(audio_code, expression, avatar_from_head, avatar_from_torso)
        rigid = self._field.pack(audio_code, expression, np.asarray(avatar_from_head), out)
        self._fill_poses(poses, avatar_from_head, avatar_from_torso, rigid)

    def value_frame(
        self,
        audio_code: np.ndarray,
        expression: np.ndarray,
        avatar_from_head: np.ndarray,
        values: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
        poses: np.ndarray,
        avatar_from_torso: np.ndarray | None = None,
    ) -> None:
        """The same frame before quantisation; `pack_movers` of it gives what `packed_frame` writes, bit for bit.

        Args:
            values: means (M, 3), quats_wxyz (M, 4), scales (M, 3), opacities (M,), float32 and contiguous.

        The others, and Raises: see `packed_frame`.
        """
        self._check_controls(audio_code, expression, avatar_from_head, avatar_from_torso)
        rigid = self._field.values(audio_code, expression, np.asarray(avatar_from_head), *values)
        self._fill_poses(poses, avatar_from_head, avatar_from_torso, rigid)

    def torso_from_head(self, avatar_from_head: np.ndarray) -> np.ndarray:
        """(4, 4) avatar_from_torso with which the torso follows a head (4, 4), as in training."""
        return avatar_from_torso_rigid(self._field.torso_rigid(np.asarray(avatar_from_head)), self._torso_origin_m)

    def _fill_poses(
        self, poses: np.ndarray, avatar_from_head: np.ndarray, avatar_from_torso: np.ndarray | None, rigid: np.ndarray
    ) -> None:
        poses[0] = avatar_from_head
        poses[1] = (
            avatar_from_torso_rigid(rigid, self._torso_origin_m) if avatar_from_torso is None else avatar_from_torso
        )

    def _check_controls(
        self,
        audio_code: np.ndarray,
        expression: np.ndarray,
        avatar_from_head: np.ndarray,
        avatar_from_torso: np.ndarray | None,
    ) -> None:
        sizes = self.bundle.manifest.sizes
        _check("audio_code", audio_code, (sizes.audio_code,))
        _check("expression", expression, (sizes.expression,))
        _check("avatar_from_head", avatar_from_head, (4, 4))
        if avatar_from_torso is not None:
            _check("avatar_from_torso", avatar_from_torso, (4, 4))

    def audio_codes(self, samples: np.ndarray) -> np.ndarray:
        """Audio codes (T, A) float32 of a whole recording (S,), 16 kHz mono; T = ceil(S / 640) video frames."""
        front = self.bundle.manifest.audio
        mel = log_mel(samples, front.log_mel)
        count = video_frame_count(len(samples))
        codes = [np.zeros((0, self.bundle.manifest.sizes.audio_code), np.float32)]
        for first in range(0, count, AUDIO_BATCH):
            windows = mel_windows(
                mel,
                min(AUDIO_BATCH, count - first),
                front.left_mel_frames,
                front.right_mel_frames,
                first_frame=first,
                config=front.log_mel,
            )
            codes.append(self.codes_of_windows(windows))
        return np.concatenate(codes)

    def codes_of_windows(self, windows: np.ndarray) -> np.ndarray:
        """Audio codes (B, A) float32 of mel windows (B, W, bands)."""
        (codes,) = self._sessions["audio"].run(["audio_code"], {"mel_window": windows})
        return codes

    def deltas(self, audio_code: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """deform.onnx: (Mh, 11) of an audio code (A,) and expression weights (E,)."""
        if not self.bundle.manifest.counts.head_movers:
            return np.zeros((0, 11), np.float32)
        inputs = {
            "audio_code": np.asarray(audio_code, np.float32)[None],
            "expression": np.asarray(expression, np.float32)[None],
            "first_layer": self.bundle.first_layer,
            "gates": self.bundle.gates,
        }
        (deltas,) = self._sessions["deform"].run(["deltas"], inputs)
        return deltas

    def torso_motion(self, head_pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """torso.onnx: torso_rigid (3,) and torso_deltas (Mt, 3) of a head pose (6,)."""
        inputs = {
            "head_pose": np.asarray(head_pose, np.float32)[None],
            "torso_first_layer": self.bundle.torso_first_layer,
        }
        rigid, deltas = self._sessions["torso"].run(["torso_rigid", "torso_deltas"], inputs)
        return rigid[0], deltas

    def frame(
        self,
        audio_code: np.ndarray,
        expression: np.ndarray,
        avatar_from_head: np.ndarray,
        index: int,
        time_s: float,
        avatar_from_torso: np.ndarray | None = None,
    ) -> Frame:
        """One frame.

        Args:
            audio_code: (A,)
            expression: (E,) weights in 0..1.
            avatar_from_head: (4, 4) rigid.
            index: frame number.
            time_s: presentation time, seconds.
            avatar_from_torso: (4, 4) rigid; None lets the torso follow the head as in training.

        Raises:
            ValueError: an input of the wrong shape, or not finite.
        """
        count = self.bundle.manifest.counts.movers
        means, quats = np.empty((count, 3), np.float32), np.empty((count, 4), np.float32)
        scales, opacities = np.empty((count, 3), np.float32), np.empty(count, np.float32)
        poses = np.empty((2, 4, 4))
        self.value_frame(
            audio_code, expression, avatar_from_head, (means, quats, scales, opacities), poses, avatar_from_torso
        )
        return Frame(index, time_s, means, quats, scales, opacities, poses[0], poses[1])

    def apply(
        self,
        deltas: np.ndarray,
        torso_deltas: np.ndarray,
        *,
        index: int,
        time_s: float,
        avatar_from_head: np.ndarray,
        avatar_from_torso: np.ndarray,
    ) -> Frame:
        """The movers' state from the networks' outputs (Mh, 11) and (Mt, 3): what the fused kernel must agree with."""
        counts, canonical = self.bundle.manifest.counts, self.bundle.canonical
        means, quats, scales, opacities = apply_deltas(
            canonical.means[: counts.movers],
            self._quats_wxyz,
            canonical.scales[: counts.movers],
            canonical.opacities[: counts.movers],
            self._opacity_logits,
            deltas,
            torso_deltas,
        )
        return Frame(
            index=index,
            time_s=time_s,
            means=means,
            quats_wxyz=quats,
            scales=scales,
            opacities=opacities,
            avatar_from_head=np.asarray(avatar_from_head, np.float64),
            avatar_from_torso=np.asarray(avatar_from_torso, np.float64),
        )

    def idle_controls(self, index: int) -> Controls:
        """Natural motion for frame `index` >= 0: the bundle's idle stretch played to and fro for ever."""
        idle = self.bundle.idle
        at = to_and_fro(index, len(idle))
        return Controls(idle.avatar_from_head[at], idle.expression[at], idle.avatar_from_torso[at])

    def golden_outputs(self) -> dict[str, np.ndarray]:
        """What this runtime makes of the golden input; compare with `bundle.golden`."""
        golden = self.bundle.golden
        codes = self.codes_of_windows(golden.mel_window)
        torsos = [self.torso_motion(pose) for pose in golden.head_pose]
        return {
            "audio_code": codes,
            "deltas": np.stack([self.deltas(c, e) for c, e in zip(codes, golden.expression, strict=True)]),
            "torso_rigid": np.stack([rigid for rigid, _ in torsos]),
            "torso_deltas": np.stack([deltas for _, deltas in torsos]),
        }


def to_and_fro(index: int, count: int) -> int:
    """Position in a stretch of `count` frames that is played forwards, then backwards, ends shown once."""
    if count == 1:
        return 0
    at = index % (2 * (count - 1))
    return at if at < count else 2 * (count - 1) - at


def _check(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if np.shape(array) != shape:
        raise ValueError(f"AvatarRuntime.frame: {name}: expected shape {shape}, got {np.shape(array)}.")
    if not np.isfinite(array).all():
        raise ValueError(f"AvatarRuntime.frame: {name}: expected finite values, got NaN or infinity.")
