"""What an avatar hears with: the features that its trained encoder sees, one interface for all of them.

A source turns 16 kHz speech into feature frames every 10 ms, so that one window rule, one trained network behind it
and one measure of delay serve log-mel, a pretrained encoder out of a package and any ONNX file alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from gstalker.runtime.audio import DEFAULT_LOG_MEL, LogMelConfig, log_mel
from gstalker.runtime.errors import InputError
from gstalker.runtime.model.audio_encoder import AudioEncoderConfig
from gstalker.runtime.model.settings import config_from_json

LOG_MEL, MOONSHINE, ONNX = "log_mel", "moonshine", "onnx"
SOURCES = (LOG_MEL, MOONSHINE, ONNX)
FRAMES_TRIED = 400  # blocks of up to 4 s, in steps of 10 ms, repeat against video frames within so many


@dataclass(frozen=True)
class HearingConfig:
    """Which source, and how much sound a frozen encoder is given at once; saved with the run."""

    source: str = LOG_MEL  # one of SOURCES
    model: str = ""  # the encoder's file where `source` is "onnx"; its settings lie beside it as .json
    model_sha256: str = ""  # of that file, so that a run is never heard with another one
    left_ms: int = 1500  # sound before a block that a frozen encoder is given with it
    block_ms: int = 160  # sound whose features are taken from one pass of it
    right_ms: int = 120  # sound after the block that it is given


class AudioSource(Protocol):
    """Speech to feature frames.

    Attributes:
        name: for people.
        width: numbers a frame, as read from the graph.
        native_rate_hz: frames a second before they are laid on the common 10 ms.
        left_ms, right_ms: sound before and after its own time that a feature frame may depend on.
    """

    @property
    def name(self) -> str: ...

    @property
    def width(self) -> int: ...

    @property
    def native_rate_hz(self) -> float: ...

    @property
    def left_ms(self) -> float: ...

    @property
    def right_ms(self) -> float: ...

    def known_at_ms(self, row: int) -> float:
        """How much of the sound must be there to make a row of `features`."""
        ...

    def features(self, samples: np.ndarray) -> np.ndarray:
        """(ceil(S / 160), width) float32 of (S,) 16 kHz speech; row m stands at sample 160 m."""
        ...

    def windows(self, samples: np.ndarray, frame_count: int, left: int, right: int) -> np.ndarray:
        """(T, left + right, width) float32: what the encoder sees for each video frame (`audio.mel_windows`)."""
        ...

    def bundle_front_end(self) -> LogMelConfig:
        """How a bundle's readers compute the features.

        Raises:
            InputError: a bundle cannot carry this source; says why and what to do.
        """
        ...


class LogMelSource:
    """The log-mel features of `runtime.audio`: no weights, streams frame by frame, goes into every bundle."""

    name = "log-mel"
    width = DEFAULT_LOG_MEL.mel_bands
    native_rate_hz = DEFAULT_LOG_MEL.sample_rate_hz / DEFAULT_LOG_MEL.hop_samples
    left_ms = right_ms = 1e3 * DEFAULT_LOG_MEL.window_samples / 2 / DEFAULT_LOG_MEL.sample_rate_hz

    def known_at_ms(self, row: int) -> float:
        """See `AudioSource.known_at_ms`."""
        return 10.0 * row + self.right_ms

    def features(self, samples: np.ndarray) -> np.ndarray:
        """See `AudioSource.features`."""
        return log_mel(samples)

    def windows(self, samples: np.ndarray, frame_count: int, left: int, right: int) -> np.ndarray:
        """See `AudioSource.windows`; outside of the recording stands silence."""
        return feature_windows(log_mel(samples), frame_count, left, right, DEFAULT_LOG_MEL.silence)

    def bundle_front_end(self) -> LogMelConfig:
        """See `AudioSource.bundle_front_end`."""
        return DEFAULT_LOG_MEL


def feature_windows(
    features: np.ndarray, frame_count: int, left: int, right: int, outside: float | np.ndarray
) -> np.ndarray:
    """(T, left + right, width) float32 stretches of feature frames about each video frame.

    Args:
        features: (M, width), one every 10 ms.
        outside: what stands before and after the recording, a number or (width,).
    """
    wanted = 4 * np.arange(frame_count)[:, None] + np.arange(-left, right)
    inside = (wanted >= 0) & (wanted < len(features))
    result = np.empty((frame_count, left + right, features.shape[1]), np.float32)
    result[:] = outside
    result[inside] = features[wanted[inside]]
    return result


def algorithmic_delay_ms(source: AudioSource, encoder: AudioEncoderConfig) -> float:
    """How much later than it is spoken a sample can be seen at the earliest, all computing left out: in the worst
    frame of a few seconds, as blocks of a frozen encoder begin anew at some frames."""
    newest = encoder.right_mel_frames - 1
    return max(source.known_at_ms(4 * t + newest) - 40.0 * t for t in range(10, 10 + FRAMES_TRIED))


def open_source(config: HearingConfig) -> AudioSource:
    """The source that a run is trained and heard with.

    Raises:
        InputError: no such source; its package or its file is missing, is another one, or does not fit.
    """
    if config.source == LOG_MEL:
        return LogMelSource()
    from gstalker.runtime.model.frozen_encoder import Blocks, FrozenEncoder  # loads ONNX Runtime
    from gstalker.runtime.model.frozen_graph import moonshine_graph, user_graph

    blocks = Blocks(config.left_ms, config.block_ms, config.right_ms)
    if config.source == MOONSHINE:
        return FrozenEncoder(moonshine_graph(), blocks)
    if config.source == ONNX:
        return FrozenEncoder(user_graph(Path(config.model), config.model_sha256), blocks)
    raise InputError(f"audio source: expected one of {', '.join(SOURCES)}, got {config.source!r}.")


def hearing_of(settings: dict[str, object], where: str) -> HearingConfig:
    """The hearing of a run's saved settings; runs older than the choice were trained on log-mel.

    Raises:
        InputError: fields are missing or unknown.
    """
    fields = settings.get("hearing")
    if not isinstance(fields, dict):
        return HearingConfig()
    return config_from_json(HearingConfig, fields, f"{where}: hearing")
