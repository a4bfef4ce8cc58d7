"""Speech to audio codes: a convolution over log-mel frames, then attention over neighbouring codes.

The attention is the temporal smoothing of GSTalker (arXiv:2404.19040); its form, a softmax over eight
neighbouring frames, is that of ER-NeRF (arXiv:2307.09323, sec. 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

MEL_FRAMES_PER_VIDEO_FRAME = 4
LEAKY_SLOPE = 0.1


@dataclass(frozen=True)
class AudioEncoderConfig:
    """Sizes of the encoder."""

    mel_bands: int = 80  # width of a log-mel frame
    channels: int = 96  # width of the convolutions
    code_size: int = 32  # A, width of an audio code
    context_convolutions: int = 3  # 3-tap layers after the two stride-2 ones; each widens the view by 80 ms
    smoothing_frames: int = 8  # video frames that the attention looks over
    smoothing_lookahead: int = 3  # how many of those lie in the future

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


class AudioEncoder(nn.Module):
    """Log-mel windows to smoothed audio codes. Works on whole clips at once: the convolutions share work."""

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
        self.attention_hidden = nn.Conv1d(config.code_size, 16, 1)
        self.attention_score = nn.Conv1d(16, 1, 1)
        # Starts on the frame's own code: a flat start would average a third of a second of speech.
        offsets = torch.arange(config.smoothing_frames) - (config.smoothing_frames - 1 - config.smoothing_lookahead)
        self.position_bias = nn.Parameter(-0.5 * offsets.float() ** 2)

    def raw_codes(self, mel: Tensor, dropout: float = 0.0) -> Tensor:
        """Unsmoothed codes.

        Args:
            mel: (B, L, mel_bands) log-mel frames.
            dropout: share of channels dropped between layers, for training only.

        Returns:
            (B, code_size, 1 + (L - view_mel_frames) // 4)
        """
        hidden = mel.transpose(1, 2)
        for convolution in self.convolutions:
            hidden = functional.leaky_relu(convolution(hidden), LEAKY_SLOPE)
            if dropout:
                hidden = functional.dropout(hidden, dropout)
        return self.to_code(hidden)

    def forward(self, mel: Tensor, dropout: float = 0.0) -> Tensor:
        """Smoothed codes.

        Args:
            mel: (B, L, mel_bands); L = window_mel_frames gives one code, every 4 more give another.
            dropout: as in `raw_codes`.

        Returns:
            (B, T, code_size)
        """
        codes = self.raw_codes(mel, dropout)
        scores = self.attention_score(functional.leaky_relu(self.attention_hidden(codes), LEAKY_SLOPE))
        span = self.config.smoothing_frames
        windows = codes.unfold(2, span, 1)  # (B, code_size, T, span)
        weights = torch.softmax(scores.unfold(2, span, 1) + self.position_bias, dim=-1)
        return (windows * weights).sum(-1).transpose(1, 2)
