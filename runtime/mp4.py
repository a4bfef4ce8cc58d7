"""An MP4 of pictures with sound, written so that the file is either complete or not there."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Colorspace, VideoReformatter

from gstalker.runtime.errors import InputError

AAC_RATES_HZ = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
AAC_BITS_PER_CHANNEL = 96_000
H264_CRF = "16"  # visually lossless on faces at this size, about 0.15 bit a pixel
BT709 = 1  # code point of ITU-T H.273 for primaries, transfer and matrix


class Mp4Writer:
    """H.264 pictures and AAC sound; use it as a context manager and leave it normally to keep the file."""

    def __init__(self, path: Path, *, width_px: int, height_px: int, fps: int, metadata: dict[str, str]) -> None:
        """Begin a file beside `path`; it takes the name when it is complete.

        Raises:
            InputError: the folder cannot be written.
        """
        self._path = Path(path)
        self._partial = self._path.parent / f".{self._path.name}.{uuid.uuid4().hex[:12]}.mp4"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(str(self._partial), "w", format="mp4", options={"movflags": "+faststart"})
        except OSError as error:
            raise InputError(f"{path}: expected a place to write the video, could not ({error}).") from error
        self._container.metadata.update(metadata)
        self._video = self._container.add_stream("libx264", rate=fps, options={"crf": H264_CRF, "preset": "fast"})
        self._video.width, self._video.height = width_px, height_px
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.color_primaries = context.color_trc = context.colorspace = BT709
        self._reformatter = VideoReformatter()
        self._audio: av.AudioStream | None = None
        self._next_picture = 0

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._container.mux(self._video.encode(None))
                if self._audio is not None:
                    self._container.mux(self._audio.encode(None))
            self._container.close()
            if kind is None:
                os.replace(self._partial, self._path)
        except OSError as failure:
            raise InputError(f"{self._path}: expected room for the video, could not write it ({failure}).") from failure
        finally:
            self._partial.unlink(missing_ok=True)

    def add_sound_of(self, path: Path) -> None:
        """Copy the whole sound of another file, mono or stereo, at its own rate where AAC has it. Before pictures."""
        with av.open(str(path)) as source:
            track = source.streams.audio[0]
            rate = track.rate if track.rate in AAC_RATES_HZ else 48_000
            layout = "mono" if track.channels == 1 else "stereo"
            self._audio = self._container.add_stream("aac", rate=rate, layout=layout)
            self._audio.bit_rate = AAC_BITS_PER_CHANNEL * (1 if layout == "mono" else 2)
            resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
            written = 0
            for frame in _resampled(source, resampler):
                frame.pts, frame.time_base = written, Fraction(1, rate)
                written += frame.samples
                self._container.mux(self._audio.encode(frame))

    def add_picture(self, rgb: np.ndarray) -> None:
        """Append one (H, W, 3) uint8 picture."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame = self._reformatter.reformat(frame, format="yuv420p", dst_colorspace=Colorspace.ITU709)
        frame.pts, frame.time_base = self._next_picture, Fraction(1, int(self._video.codec_context.framerate))
        self._next_picture += 1
        self._container.mux(self._video.encode(frame))


def _resampled(source: InputContainer, resampler: av.AudioResampler) -> Iterable[av.AudioFrame]:
    for frame in source.decode(audio=0):
        frame.pts = None  # a file's own clock may have gaps; samples follow one another
        yield from resampler.resample(frame)
    yield from resampler.resample(None)
