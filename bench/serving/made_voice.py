"""A voice-like sound, made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gstalker.runtime.dataset import AUDIO_RATE_HZ, write_wav


def tone(seconds: float) -> np.ndarray:
    """(S,) float32 at 16 kHz: a voice-like tone that swells twice a second."""
    time_s = np.arange(round(seconds * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    voice = sum(np.sin(2 * np.pi * 130 * k * time_s) / k for k in range(1, 15))
    return (0.1 * (1 - np.cos(4 * np.pi * time_s)) * voice).astype(np.float32)


def write_tone(path: Path, seconds: float) -> Path:
    """The tone as a WAV file."""
    write_wav(path, tone(seconds))
    return path
