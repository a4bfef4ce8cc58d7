"""The baseline without a model: at each moment, the training picture whose sound was most alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from gstalker.runtime import audio
from gstalker.runtime.dataset import FPS, Clip, Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.subject import NEAREST

LEFT_MEL = RIGHT_MEL = 16  # 320 ms about the frame
POOLED_MEL = 4  # mel frames averaged, and bands too: alike within 40 ms counts as alike
POOLED_BANDS = 4


class NearestByAudio:
    """Pastes real training frames.

    Alike: highest cosine between windows of 320 ms of log-mel features, pooled to 40 ms by 20 bands, each
    feature normalised over the training frames.
    """

    name = NEAREST
    composited = (
        "real training frames pasted whole, chosen by the sound alone; "
        "head pose, torso and backdrop are those of the training frame"
    )

    def __init__(self, dataset: Dataset) -> None:
        """Index the sound of all training clips.

        Raises:
            InputError: the dataset has no training clips.
        """
        self._dataset = dataset
        entries = dataset.clips("train")
        if not entries:
            raise InputError(f"{dataset.folder}: expected training clips to look frames up in, found none.")
        features = [_features(dataset.samples(e.name), e.frame_count) for e in entries]
        self._frames = [(e.name, t) for e in entries for t in range(e.frame_count)]
        stacked = np.concatenate(features)
        self._mean, self._std = stacked.mean(axis=0), stacked.std(axis=0) + 1e-6
        self._index = _unit((stacked - self._mean) / self._std)

    def neighbours(self, samples: np.ndarray, frame_count: int) -> list[tuple[str, int]]:
        """The training clip and frame for each frame of a sound."""
        wanted = _unit((_features(samples, frame_count) - self._mean) / self._std)
        return [self._frames[i] for i in np.argmax(wanted @ self._index.T, axis=1)]

    def pictures(self, clip: Clip, frame_indices: Sequence[int]) -> Iterator[np.ndarray]:
        """See `Subject.pictures`."""
        found = self.neighbours(clip.samples, max(frame_indices, default=-1) + 1)
        wanted = [found[t] for t in frame_indices]
        by_clip: dict[str, set[int]] = {}
        for name, frame in wanted:
            by_clip.setdefault(name, set()).add(frame)
        kept = {
            (name, frame): picture
            for name, frames in by_clip.items()
            for frame, picture in read_frames(self._dataset.clip_folder(name) / "frames.mkv", frames).items()
        }
        for key in wanted:
            yield kept[key].astype(np.float32) / 255.0


def read_frames(path: Path, frames: Iterable[int]) -> dict[int, np.ndarray]:
    """A few frames of a lossless video of `runtime.dataset`, without decoding all of it.

    Returns:
        frame -> (H, W, 3) uint8.

    Raises:
        InputError: the file cannot be read or does not hold a frame.
    """
    found: dict[int, np.ndarray] = {}
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            ticks_per_frame = 1 / (FPS * (stream.time_base or Fraction(1, 1000)))
            for wanted in sorted(set(frames)):
                container.seek(round(wanted * ticks_per_frame), stream=stream)  # to the key frame before it
                for picture in container.decode(stream):
                    if round((picture.pts or 0) / ticks_per_frame) == wanted:
                        found[wanted] = picture.to_ndarray(format="rgb24")
                        break
                else:
                    raise InputError(f"{path}: expected a frame {wanted}, found none. Prepare the dataset again.")
    except (OSError, FFmpegError) as error:
        raise InputError(f"{path}: expected a video, could not read it ({error}). Prepare it again.") from error
    return found


def _features(samples: np.ndarray, frame_count: int) -> np.ndarray:
    """(T, features) pooled log-mel windows."""
    windows = audio.mel_windows(audio.log_mel(samples), frame_count, LEFT_MEL, RIGHT_MEL)
    frames, width, bands = windows.shape
    pooled = windows.reshape(frames, width // POOLED_MEL, POOLED_MEL, bands // POOLED_BANDS, POOLED_BANDS)
    return pooled.mean(axis=(2, 4)).reshape(frames, -1)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)
