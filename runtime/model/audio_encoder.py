"""Speech to audio codes: a convolution over feature frames of 10 ms, then, if asked for, attention over neighbours.

The frames are log-mel, or what a frozen encoder makes of the sound (`audio_source`); the look-ahead is chosen in
steps of a video frame, and everything later than it is never seen.

The attention is the temporal smoothing of GSTalker (arXiv:2404.19040); its form, a softmax over eight
neighbouring frames, is that of ER-NeRF (arXiv:2307.09323, sec. 3.3). It is off by default: convolutions that see as
much of the sound tell lips better, and lips that move as quickly as real ones (docs/results.md).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from gstalker.runtime.audio import DEFAULT_LOG_MEL

MEL_FRAMES_PER_VIDEO_FRAME = 4
VIDEO_FRAME_MS = 40
LEAKY_SLOPE = 0.1


@dataclass(frozen=True)
class AudioEncoderConfig:
    """Sizes of the encoder."""

    mel_bands: int = 80  # width of a log-mel frame, or of a frozen encoder's feature frame
    channels: int = 96  # width of the convolutions
    code_size: int = 32  # A, width of an audio code
    context_convolutions: int = 5  # 3-tap layers after the two stride-2 ones; each widens the view by 80 ms
    smoothing_frames: int = 1  # video frames that the attention looks over; 1 for none
    # How many of those lie in the future; below zero even the newest one is so many frames old.
    smoothing_lookahead: int = 0

    def __post_init__(self) -> None:
        if self.smoothing_frames < 1:
            raise ValueError(f"AudioEncoderConfig: expected 1 or more smoothing_frames, got {self.smoothing_frames}.")
        if not 0 <= self.right_mel_frames <= self.window_mel_frames:
            raise ValueError(
                f"AudioEncoderConfig: expected a look-ahead of 0 to {self.window_mel_frames} mel frames, "
                f"got {self.right_mel_frames}."
            )

    @property
    def view_mel_frames(self) -> int:
        """Mel frames that one code sees before smoothing."""
        return 7 + 8 * self.context_convolutions

    @property
    def window_mel_frames(self) -> int:
        """W, mel frames that one smoothed code needs."""
        return self.view_mel_frames + MEL_FRAMES_PER_VIDEO_FRAME * (self.smoothing_frames - 1)

    @property
    def right_mel_frames(self) -> int:
        """Mel frames from the frame's own (4t) on, itself included: the look-ahead in 10 ms."""
        return (self.view_mel_frames + 1) // 2 + MEL_FRAMES_PER_VIDEO_FRAME * self.smoothing_lookahead

    @property
    def left_mel_frames(self) -> int:
        """Mel frames before the frame's own."""
        return self.window_mel_frames - self.right_mel_frames

    @property
    def lookahead_ms(self) -> float:
        """How long after a frame's own time the last sound that its log-mel window holds is over."""
        samples = (self.right_mel_frames - 1) * DEFAULT_LOG_MEL.hop_samples + DEFAULT_LOG_MEL.window_samples // 2
        return 1e3 * samples / DEFAULT_LOG_MEL.sample_rate_hz

    def with_lookahead(self, lookahead_ms: float) -> AudioEncoderConfig:
        """The same encoder with another look-ahead; its window moves, its size stays.

        Args:
            lookahead_ms: in steps of a video frame, 40 ms; 0 means the 2.5 ms that half a spectrum needs.

        Raises:
            ValueError: not a multiple of 40 ms, or beyond the window.
        """
        steps, rest = divmod(lookahead_ms, VIDEO_FRAME_MS)
        own = (self.view_mel_frames + 1) // 2 // MEL_FRAMES_PER_VIDEO_FRAME
        if rest or not 0 <= steps * MEL_FRAMES_PER_VIDEO_FRAME <= self.window_mel_frames:
            longest = self.window_mel_frames // MEL_FRAMES_PER_VIDEO_FRAME * VIDEO_FRAME_MS
            raise ValueError(f"expected a multiple of {VIDEO_FRAME_MS} ms from 0 to {longest}, got {lookahead_ms:g}.")
        return dataclasses.replace(self, smoothing_lookahead=int(steps) - own)


class AudioEncoder(nn.Module):
    """Log-mel windows to audio codes, smoothed or not. Works on whole clips at once: the convolutions share work."""

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.convolutions = nn.ModuleList(
            [
                nn.Conv1d(config.mel_bands, width, 3, stride=2),
                nn.Conv1d(width, width, 3, stride=2),
                *(nn.Conv1d(width, width, 3) for _ in range(config.context_convolutions)),
            ]
        )
        self.to_code = nn.Conv1d(width, config.code_size, 1)
        self.smooths = config.smoothing_frames > 1
        if self.smooths:
            self.attention_hidden = nn.Conv1d(config.code_size, 16, 1)
            self.attention_score = nn.Conv1d(16, 1, 1)
            # Starts on the frame's own code, or on the newest one where that is older: a flat start would average a
            # third of a second of speech.
            newest = config.smoothing_frames - 1
            offsets = torch.arange(config.smoothing_frames) - min(newest, newest - config.smoothing_lookahead)
            self.position_bias = nn.Parameter(-0.5 * offsets.float() ** 2)

    def raw_codes(self, mel: Tensor, dropout: float = 0.0) -> Tensor:
        """Unsmoothed codes.

        Args:
            mel: (B, L, mel_bands) log-mel frames.
            dropout: share of channels dropped between layers, each for the whole passage; for training only.

        Returns:
            (B, code_size, 1 + (L - view_mel_frames) // 4)
        """
        hidden = mel.transpose(1, 2)
        for convolution in self.convolutions:
            hidden = functional.leaky_relu(convolution(hidden), LEAKY_SLOPE)
            if dropout:
                hidden = functional.dropout1d(hidden, dropout)
        return self.to_code(hidden)

    def forward(self, mel: Tensor, dropout: float = 0.0) -> Tensor:
        """Codes, smoothed if the settings say so.

        Args:
            mel: (B, L, mel_bands); L = window_mel_frames gives one code, every 4 more give another.
            dropout: as in `raw_codes`.

        Returns:
            (B, T, code_size)
        """
        codes = self.raw_codes(mel, dropout)
        if not self.smooths:
            return codes.transpose(1, 2)
        scores = self.attention_score(functional.leaky_relu(self.attention_hidden(codes), LEAKY_SLOPE))
        span = self.config.smoothing_frames
        windows = codes.unfold(2, span, 1)  # (B, code_size, T, span)
        weights = torch.softmax(scores.unfold(2, span, 1) + self.position_bias, dim=-1)
        return (windows * weights).sum(-1).transpose(1, 2)
