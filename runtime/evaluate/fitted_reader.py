"""Reads lips and lids off pictures with no face model: a regression fitted to the dataset's training clips.

It stands in for the detector where none is installed, or where the person is a made character with exact tracks.
Pixels go linearly to landmarks, in two looks: the small whole picture tells about where mouth and eyes are, then
a box about each is looked at twice, from where the first look put it. Being linear, it reads a blurred, averaged
mouth as one of average opening. Its error on held-out real pictures stands in the report as its noise.

Source: the cascade of linear looks is that of Xiong and De la Torre 2013, 'Supervised descent method', with
principal components of raw pixels in place of their features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.linalg import eigh

from gstalker.runtime import regions
from gstalker.runtime.dataset import LANDMARKS, Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.detection import Detection
from gstalker.runtime.evaluate.face_measures import BLINK_BLENDSHAPES
from gstalker.runtime.evaluate.nearest import read_frames
from gstalker.runtime.landmarks import LEFT_LIDS, LIPS, RIGHT_LIDS

FEWEST_FRAMES = 60
MOST_FRAMES = 900
WHOLE_PX = 24  # side of the whole picture in the first look
PATCH_PX = (24, 18)  # width, height of a box in the second look
BOX_WIDENED = 1.25
COMPONENTS = 90
JITTER_PX = 2.0  # at 256 px: how far off the first look may be
COPIES = 3  # of each training picture, each jittered differently
LOOKS = 2
RIDGE = 3e-3  # of the mean variance of the kept components


@dataclass(frozen=True)
class _Part:
    """A part of the face: its landmarks, the size of its box at 256 px, and whether it tells of blinks."""

    indices: tuple[int, ...]
    box_px: tuple[int, int]
    blink: str | None


PARTS = (
    _Part(LIPS, regions.MOUTH_BOX_PX, None),
    _Part(RIGHT_LIDS, regions.EYE_BOX_PX, "eyeBlinkRight"),
    _Part(LEFT_LIDS, regions.EYE_BOX_PX, "eyeBlinkLeft"),
)


@dataclass(frozen=True)
class _Linear:
    """values = (pixels - mean) @ weights + offset."""

    mean: np.ndarray
    weights: np.ndarray
    offset: np.ndarray

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return (pixels - self.mean) @ self.weights + self.offset


class FittedReader:
    """A `Detector` made from a dataset."""

    name = "reader fitted to the training clips"
    blendshape_names = BLINK_BLENDSHAPES

    def __init__(self, dataset: Dataset, tell: Callable[[], object] | None = None) -> None:
        """Fit to the training clips.

        Args:
            tell: called after each clip read.

        Raises:
            InputError: too few training frames.
        """
        entries = dataset.clips("train")
        total = sum(e.frame_count for e in entries)
        if total < FEWEST_FRAMES:
            raise InputError(
                f"{dataset.folder}: expected at least {FEWEST_FRAMES} training frames to fit a lip reader to, "
                f"got {total}. Give --face-model, or prepare more video."
            )
        self._scale = dataset.manifest.size_px / regions.REFERENCE_SIZE_PX
        pictures, landmarks, blinks = [], [], []
        columns = [dataset.manifest.blendshape_names.index(p.blink) for p in PARTS if p.blink]
        every = max(1, -(-total // MOST_FRAMES))
        for number, entry in enumerate(entries):
            frames = list(range(number % every, entry.frame_count, every))
            found = read_frames(dataset.clip_folder(entry.name) / "frames.mkv", frames)
            tracks = dataset.tracks(entry.name)
            sure = [t for t in frames if tracks.pose_confidence[t] > 0]
            pictures += [found[t] for t in sure]
            landmarks.append(tracks.landmarks_px[sure])
            blinks.append(tracks.blendshapes[sure][:, columns])
            if tell:
                tell()
        self._fit(pictures, np.concatenate(landmarks), np.concatenate(blinks))

    def detect(self, pictures: Iterable[np.ndarray]) -> Detection:
        """See `Detector.detect`. Finds a face in every picture: it knows no picture without one."""
        points, blinks = [], []
        for picture in pictures:
            found = np.full((LANDMARKS, 2), np.nan, np.float32)
            closed = {}
            centres = self._whole(_whole_pixels(picture)).reshape(len(PARTS), 2)
            for part, centre, look in zip(PARTS, centres, self._looks, strict=True):
                count = 2 * len(part.indices)
                values = look(self._patch(picture, part, centre))
                for _ in range(LOOKS - 1):
                    centre = centre + values[:count].reshape(-1, 2).mean(axis=0)
                    values = look(self._patch(picture, part, centre))
                found[list(part.indices)] = centre + values[:count].reshape(-1, 2)
                if part.blink:
                    closed[part.blink] = np.clip(values[-1], 0.0, 1.0)
            points.append(found)
            blinks.append([closed[name] for name in self.blendshape_names])
        return Detection(np.stack(points), np.array(blinks, np.float32))

    def _fit(self, pictures: list[np.ndarray], landmarks: np.ndarray, blinks: np.ndarray) -> None:
        """Fit all looks to pictures, (N, 478, 2) landmarks and (N, 2) blink weights."""
        rng = np.random.default_rng(0)
        centres = np.stack([landmarks[:, list(p.indices)].mean(axis=1) for p in PARTS], axis=1)
        whole = np.stack([_whole_pixels(p) for p in pictures])
        self._whole = _fit_linear(whole, centres.reshape(len(pictures), -1))
        self._looks = []
        eyes = iter(range(blinks.shape[1]))
        for number, part in enumerate(PARTS):
            targets, patches = [], []
            shapes = landmarks[:, list(part.indices)].astype(np.float64)
            blink = blinks[:, next(eyes)] if part.blink else None
            for _ in range(COPIES):
                guessed = centres[:, number] + rng.normal(0, JITTER_PX * self._scale, (len(pictures), 2))
                patches += [self._patch(p, part, c) for p, c in zip(pictures, guessed, strict=True)]
                values = (shapes - guessed[:, None]).reshape(len(pictures), -1)
                targets.append(values if blink is None else np.column_stack([values, blink]))
            self._looks.append(_fit_linear(np.stack(patches), np.concatenate(targets)))

    def _patch(self, picture: np.ndarray, part: _Part, centre: np.ndarray) -> np.ndarray:
        """The box of a part about a point, resampled: (PATCH_PX * 3,) float32 0..1."""
        width, height = PATCH_PX
        steps = [BOX_WIDENED * self._scale * b / n for b, n in zip(part.box_px, PATCH_PX, strict=True)]
        # Pixel centres lie at halves (docs/conventions.md); map_coordinates counts them from zero.
        x = centre[0] - 0.5 + (np.arange(width) - (width - 1) / 2) * steps[0]
        y = centre[1] - 0.5 + (np.arange(height) - (height - 1) / 2) * steps[1]
        grid = np.stack(np.broadcast_arrays(y[:, None], x[None, :]))
        channels = [
            ndimage.map_coordinates(picture[..., c], grid, np.float32, order=1, mode="nearest") for c in range(3)
        ]
        return np.stack(channels).ravel() / 255.0


def _whole_pixels(picture: np.ndarray) -> np.ndarray:
    """The picture at WHOLE_PX x WHOLE_PX by averaging, (WHOLE_PX^2 * 3,) float32 0..1."""
    height, width = picture.shape[:2]
    rows = (np.arange(WHOLE_PX) * height) // WHOLE_PX
    columns = (np.arange(WHOLE_PX) * width) // WHOLE_PX
    sums = np.add.reduceat(np.add.reduceat(picture.astype(np.float32), rows, axis=0), columns, axis=1)
    counts = np.diff([*rows, height])[:, None, None] * np.diff([*columns, width])[None, :, None]
    return (sums / counts / 255.0).ravel()


def _fit_linear(pixels: np.ndarray, targets: np.ndarray) -> _Linear:
    """Ridge regression on the first principal components of (N, P) pixels to (N, V) targets."""
    mean, offset = pixels.mean(axis=0), targets.mean(axis=0)
    centred = pixels - mean
    count, size = centred.shape
    components = min(COMPONENTS, count // 3)
    if count < size:  # the smaller of the two symmetric matrices has the same leading values
        last = (count - components, count - 1)
        squares, sides = eigh(centred @ centred.T, subset_by_index=last)
        vectors = centred.T @ (sides / np.sqrt(np.maximum(squares, 1e-12)))
    else:
        squares, vectors = eigh(centred.T @ centred, subset_by_index=(size - components, size - 1))
    variances = np.maximum(squares, 0.0) / count
    codes = centred @ vectors
    ridge = RIDGE * float(variances.mean())
    weights = (codes.T @ (targets - offset)) / (len(codes) * (variances + ridge))[:, None]
    return _Linear(mean.astype(np.float32), (vectors @ weights).astype(np.float32), offset)
