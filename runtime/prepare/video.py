"""Reading a portrait video: upright pictures at 25 frames a second, one at a time, and its sound at 16 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from gstalker.runtime.dataset import AUDIO_RATE_HZ, FPS
from gstalker.runtime.errors import InputError

SAMPLES_PER_FRAME = AUDIO_RATE_HZ // FPS
TRUNCATED_IF_SHORT_BY_S = 0.25  # the header promises more than was there to decode
SAME_RATE = 1e-3  # relative: 25.000 against 24.99 is the same rate, 24.975 (NTSC film) is not far but said


@dataclass(frozen=True)
class VideoInfo:
    """What the header says, checked.

    Attributes:
        width_px, height_px: of the upright picture.
        rate: frames a second as stored.
        expected_frames: how many pictures at 25 a second the header promises; 1 where it does not say.
        quarter_turns: how many times `numpy.rot90` turns the stored picture upright.
        notes: what reading it changes: resampled, turned.
    """

    path: Path
    width_px: int
    height_px: int
    rate: Fraction
    expected_frames: int
    quarter_turns: int
    notes: tuple[str, ...]


def open_video(path: Path) -> VideoInfo:
    """Read the header and the first picture.

    Raises:
        InputError: not there, not a video, no picture or no sound in it.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected a video file, found none. Check the path.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path}: expected a video with pictures, got none. Give a portrait video.")
            if not container.streams.audio:
                raise InputError(
                    f"{path}: expected a video with sound, got none. "
                    "The avatar learns from speech: give a video in which the person is heard."
                )
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate
            first = next(iter(container.decode(stream)), None)
            if first is None or rate is None or rate <= 0:
                raise InputError(f"{path}: expected pictures with a frame rate, found none. Convert it to MP4 first.")
            promised_s = _promised_s(stream) or (container.duration or 0) / av.time_base
            turns = round(first.rotation / 90) % 4
            width, height = (first.width, first.height) if turns % 2 == 0 else (first.height, first.width)
    except (OSError, FFmpegError) as error:
        raise InputError(
            f"{path}: expected a video, could not read it ({_reason(error)}). It may be cut off or of another format."
        ) from error
    notes = []
    if abs(float(rate) / FPS - 1) > SAME_RATE:
        notes.append(f"resampled from {float(rate):.3f} to {FPS} frames a second")
    if turns:
        notes.append(f"turned upright by {90 * (4 - turns)} degrees clockwise")
    return VideoInfo(path, width, height, Fraction(rate), max(1, round(promised_s * FPS)), turns, tuple(notes))


def read_frames(info: VideoInfo) -> Iterator[np.ndarray]:
    """Upright (H, W, 3) uint8 RGB pictures at 25 frames a second; picture k is the one nearest to k / 25 s.

    Raises:
        InputError: the file ends before its header says, or cannot be decoded to its end.
    """
    emitted = 0
    end_s = 0.0
    held: np.ndarray | None = None
    held_at_s = 0.0
    for picture, at_s in _decode(info):
        if held is not None:
            # The held picture is the nearest for every tick before the middle between it and this one.
            while emitted / FPS < (held_at_s + at_s) / 2:
                yield held
                emitted += 1
        held, held_at_s = picture, at_s
        end_s = at_s + float(1 / info.rate)
    while held is not None and emitted < round(end_s * FPS):
        yield held
        emitted += 1


def _decode(info: VideoInfo) -> Iterator[tuple[np.ndarray, float]]:
    """Pictures as stored, turned upright, with their times from the first one, s."""
    index = 0
    at_s = first_s = 0.0
    heard_s = 0.0  # where the last packet of any kind ends
    try:
        with av.open(str(info.path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for packet in container.demux(stream, container.streams.audio[0]):
                heard_s = max(heard_s, _end_s(packet))
                if packet.stream is not stream:
                    continue
                for frame in packet.decode():
                    if not isinstance(frame, av.VideoFrame):
                        continue
                    stored_s = float(index / info.rate) if frame.time is None else frame.time
                    first_s = stored_s if index == 0 else first_s
                    at_s = stored_s - first_s
                    index += 1
                    picture = frame.to_ndarray(format="rgb24")
                    yield np.ascontiguousarray(np.rot90(picture, info.quarter_turns)), at_s
            promised_s = _promised_s(stream)
            whole_s = (container.duration or 0) / av.time_base
            begin_s = (container.start_time or 0) / av.time_base
    except (OSError, FFmpegError) as error:
        raise InputError(
            f"{info.path}: expected a whole video, it breaks off after {index} frames ({_reason(error)}). "
            "Copy or record it again."
        ) from error
    # Formats with an index say how long the pictures are; others only how long the longest stream is.
    promised_s, found_s = (
        (whole_s, heard_s - begin_s) if promised_s is None else (promised_s, at_s + float(1 / info.rate))
    )
    if found_s < promised_s - TRUNCATED_IF_SHORT_BY_S:
        raise InputError(
            f"{info.path}: expected {promised_s:.2f} s as its header says, found {found_s:.2f} s. "
            "The file is cut off: copy or record it again."
        )


def _promised_s(stream: av.VideoStream) -> float | None:
    """Length of the pictures by the header, s."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None


def _end_s(packet: av.Packet) -> float:
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def read_sound(info: VideoInfo) -> np.ndarray:
    """(S,) float32 mono sound at 16 kHz, -1..1; sample 0 is heard as the first picture is shown.

    Raises:
        InputError: the sound cannot be decoded.
    """
    resampler = av.AudioResampler(format="flt", layout="mono", rate=AUDIO_RATE_HZ)
    blocks: list[np.ndarray] = []
    sound_s: float | None = None
    try:
        with av.open(str(info.path)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            picture_s: float | None = None
            for packet in container.demux(video, audio):
                if packet.stream is video and picture_s is not None:
                    continue
                for frame in packet.decode():
                    if isinstance(frame, av.VideoFrame):
                        picture_s = frame.time if picture_s is None else picture_s
                    elif isinstance(frame, av.AudioFrame):
                        sound_s = frame.time if sound_s is None else sound_s
                        blocks += [f.to_ndarray().ravel() for f in resampler.resample(frame)]
            blocks += [f.to_ndarray().ravel() for f in resampler.resample(None)]
    except (OSError, FFmpegError) as error:
        raise InputError(
            f"{info.path}: expected sound, could not decode it ({_reason(error)}). Convert it to MP4 first."
        ) from error
    samples = np.concatenate(blocks).astype(np.float32) if blocks else np.zeros(0, np.float32)
    late = round(((sound_s or 0.0) - (picture_s or 0.0)) * AUDIO_RATE_HZ)
    return np.concatenate([np.zeros(late, np.float32), samples]) if late > 0 else samples[-late:]


def fit_sound(info: VideoInfo, samples: np.ndarray, frame_count: int) -> np.ndarray:
    """Cut or pad the sound to exactly `frame_count` frames.

    Raises:
        InputError: the sound ends more than one frame before the picture.
    """
    wanted = frame_count * SAMPLES_PER_FRAME
    if len(samples) < wanted - SAMPLES_PER_FRAME:
        raise InputError(
            f"{info.path}: expected sound as long as the picture ({wanted / AUDIO_RATE_HZ:.2f} s), "
            f"got {len(samples) / AUDIO_RATE_HZ:.2f} s. Cut the video to where it has sound."
        )
    return np.pad(samples[:wanted], (0, max(0, wanted - len(samples))))


def _reason(error: Exception) -> str:
    return str(error).replace("\n", " ").strip() or type(error).__name__
