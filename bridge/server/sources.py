"""Where a stream's frames and sound come from: a bundle, run on a recorded speech."""

from __future__ import annotations

import numpy as np

from gstalker.kernels.frame import Frame
from gstalker.kernels.quantise import QuantisationBox
from gstalker.runtime.audio import SAMPLES_PER_VIDEO_FRAME, log_mel, mel_windows, video_frame_count
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.infer import AvatarRuntime


class BundleFrames:
    """`bridge.server.stream.FrameMaker` over an avatar bundle: the voice moves the mouth, the idle stretch the rest."""

    def __init__(self, bundle: AvatarBundle, speech: np.ndarray | None, *, threads: int = 1) -> None:
        """Load the networks and the speech's features.

        Args:
            bundle: the avatar.
            speech: (S,) float32, 16 kHz mono; None for an avatar that only idles.
            threads: of ONNX Runtime.

        Raises:
            InputError: ONNX Runtime is missing or cannot load a graph.
        """
        manifest = bundle.manifest
        self.bundle = bundle
        self.fps = manifest.frame_rate_hz
        self.mover_count = manifest.counts.movers
        self.box: QuantisationBox = bundle.quantisation_box
        self._runtime = AvatarRuntime(bundle, threads=threads)
        self._front = manifest.audio
        samples = np.zeros(0, np.float32) if speech is None else speech
        self.speech_frame_count = video_frame_count(len(samples))
        self._mel = log_mel(samples, self._front.log_mel)
        self._pcm = np.zeros(self.speech_frame_count * SAMPLES_PER_VIDEO_FRAME, "<i2")
        self._pcm[: len(samples)] = np.clip(np.round(samples * 32767), -32768, 32767)
        nothing = np.zeros((0, self._front.log_mel.mel_bands), np.float32)
        self._silent_code = self._audio_code(nothing, 0)

    def frame(self, index: int, time_s: float, speech_frame: int | None) -> Frame:
        controls = self._runtime.idle_controls(index)
        code = self._silent_code if speech_frame is None else self._audio_code(self._mel, speech_frame)
        return self._runtime.frame(
            code, controls.expression, controls.avatar_from_head, index, time_s, controls.avatar_from_torso
        )

    def sound(self, speech_frame: int) -> np.ndarray:
        first = speech_frame * SAMPLES_PER_VIDEO_FRAME
        return self._pcm[first : first + SAMPLES_PER_VIDEO_FRAME]

    def _audio_code(self, mel: np.ndarray, frame: int) -> np.ndarray:
        left, right = self._front.left_mel_frames, self._front.right_mel_frames
        window = mel_windows(mel, 1, left, right, first_frame=frame, config=self._front.log_mel)
        return self._runtime.codes_of_windows(window)[0]
