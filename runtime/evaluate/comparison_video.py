"""The report's videos: real | rendered | difference with the sound of the clips, and another voice's."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from PIL import Image, ImageDraw

from gstalker.runtime.bundle_manifest import SYNTHETIC_NOTICE
from gstalker.runtime.dataset import AUDIO_RATE_HZ, FPS
from gstalker.runtime.evaluate.font import label_font

DIFFERENCE_GAIN = 4
CAPTION_PX = 20
_SOUND_BLOCK = 1024


def difference(rendered: np.ndarray, real: np.ndarray) -> np.ndarray:
    """|rendered - real| x DIFFERENCE_GAIN of two (H, W, 3) uint8 pictures, as uint8."""
    gap = np.abs(rendered.astype(np.int16) - real.astype(np.int16)) * DIFFERENCE_GAIN
    return np.minimum(gap, 255).astype(np.uint8)


class ComparisonVideo:
    """An MP4 (H.264, AAC) that grows clip by clip; pictures lie side by side under a caption.

    Use as a context manager. Sound and picture of each clip start together: a clip's sound is cut or padded
    with silence to the length of its pictures.
    """

    def __init__(self, path: Path, panels: int, height_px: int, width_px: int) -> None:
        """Open the file for pictures of height_px x width_px, so many beside one another."""
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        self._container.metadata["comment"] = SYNTHETIC_NOTICE
        self._video = self._container.add_stream("libx264", rate=FPS, options={"crf": "18", "preset": "veryfast"})
        self._height, self._width = height_px + CAPTION_PX, panels * width_px
        self._video.height = self._height + self._height % 2  # 4:2:0 needs even sides
        self._video.width = self._width + self._width % 2
        self._video.pix_fmt = "yuv420p"
        self._sound = self._container.add_stream("aac", rate=AUDIO_RATE_HZ, layout="mono")
        self._frames = 0
        self._pending = np.zeros(0, np.float32)
        self._sound_at = 0
        self._clip_frames = 0

    def add(self, pictures: list[np.ndarray], caption: str) -> None:
        """Append one frame: (H, W, 3) uint8 pictures from left to right."""
        canvas = np.full((self._video.height, self._video.width, 3), 24, np.uint8)
        row = np.concatenate(pictures, axis=1)
        canvas[CAPTION_PX : CAPTION_PX + row.shape[0], : row.shape[1]] = row
        image = Image.fromarray(canvas)
        ImageDraw.Draw(image).text((6, 3), caption, fill=(225, 225, 225), font=label_font(13))
        frame = av.VideoFrame.from_image(image)
        frame.pts, frame.time_base = self._frames, Fraction(1, FPS)
        self._container.mux(self._video.encode(frame))
        self._frames += 1
        self._clip_frames += 1

    def end_clip(self, samples: np.ndarray) -> None:
        """Append the sound (S,) of the frames added since the last call."""
        wanted = self._clip_frames * (AUDIO_RATE_HZ // FPS)
        sound = np.zeros(wanted, np.float32)
        count = min(wanted, len(samples))
        sound[:count] = samples[:count]
        self._clip_frames = 0
        self._pending = np.concatenate([self._pending, sound])
        self._mux_sound(len(self._pending) // _SOUND_BLOCK * _SOUND_BLOCK)

    def close(self) -> None:
        """Flush both streams and finish the file."""
        self._mux_sound(len(self._pending))
        self._container.mux(self._sound.encode(None))
        self._container.mux(self._video.encode(None))
        self._container.close()

    def _mux_sound(self, count: int) -> None:
        for start in range(0, count, _SOUND_BLOCK):
            block = np.clip(self._pending[start : min(start + _SOUND_BLOCK, count)], -1.0, 1.0)
            frame = av.AudioFrame.from_ndarray(block[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate = AUDIO_RATE_HZ
            frame.pts, frame.time_base = self._sound_at, Fraction(1, AUDIO_RATE_HZ)
            self._sound_at += len(block)
            self._container.mux(self._sound.encode(frame))
        self._pending = self._pending[count:]

    def __enter__(self) -> ComparisonVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if value is None:
            self.close()
        else:
            self._container.close()
