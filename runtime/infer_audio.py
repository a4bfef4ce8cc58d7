"""The audio network for one window at a time, without arrays in between."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from gstalker.runtime.bundle import AvatarBundle


class BoundAudio:
    """audio.onnx for one window at a time, with everything bound beforehand. Callers take turns."""

    def __init__(self, session: Any, bundle: AvatarBundle) -> None:
        """Bind buffers of the bundle's sizes."""
        front = bundle.manifest.audio
        self._window = np.zeros((1, front.window_mel_frames, front.log_mel.mel_bands), np.float32)
        self._code = np.zeros((1, bundle.manifest.sizes.audio_code), np.float32)
        self._session, self._binding, self._lock = session, session.io_binding(), threading.Lock()
        self._binding.bind_input("mel_window", "cpu", 0, np.float32, self._window.shape, self._window.ctypes.data)
        self._binding.bind_output("audio_code", "cpu", 0, np.float32, self._code.shape, self._code.ctypes.data)

    def code_into(self, mel_window: np.ndarray, out: np.ndarray) -> None:
        """See `AvatarRuntime.audio_code_into`."""
        if np.shape(mel_window) != self._window.shape[1:]:
            raise ValueError(f"mel_window: expected shape {self._window.shape[1:]}, got {np.shape(mel_window)}.")
        with self._lock:
            self._window[0] = mel_window
            self._session.run_with_iobinding(self._binding)
            out[:] = self._code[0]
