"""From a video to takes: uninterrupted stretches of one person, tracked.

A video is cut where the picture changes at once (a cut in the edit) and where the face jumps. Long takes are
written in pieces, so that no file has to be held in memory whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from gstalker.runtime.dataset import FPS
from gstalker.runtime.errors import InputError
from gstalker.runtime.landmarks import FACE_OVAL
from gstalker.runtime.prepare.chroma import measure_backdrop
from gstalker.runtime.prepare.face import FaceTrack, FaceTracker
from gstalker.runtime.prepare.splits import SHORTEST_FRAMES
from gstalker.runtime.prepare.video import SAMPLES_PER_FRAME, VideoInfo, fit_sound, read_frames, read_sound

LONGEST_FRAMES = 20 * FPS
CUT_DISTANCE = 0.45  # share of the colour histogram that changes from one frame to the next at a cut
JUMP_FACE_WIDTHS = 0.3  # the face moves further than this between two frames only at a cut ...
CALM_FACE_WIDTHS = 0.1  # ... when it hardly moved in the frames before and after
FACELESS_SHARE = 0.5  # of a take's frames without a face that make it useless
CROWDED_SHARE = 0.2  # of the looks that saw several faces
THUMBNAIL_PX = 160
THUMBNAIL_EVERY = FPS


@dataclass(frozen=True)
class Take:
    """An uninterrupted stretch of a video.

    Attributes:
        start, count: its frames, at 25 a second, in the video.
        track: of its frames, in pixels of the upright video.
        samples: (640 count,) float32 sound.
        notes: what was changed on the way.
        backdrop: spread and saturation as `chroma.measure_backdrop` gives them.
    """

    info: VideoInfo
    start: int
    count: int
    track: FaceTrack
    samples: np.ndarray
    notes: tuple[str, ...]
    backdrop: tuple[float, float]

    def cut(self, at: int, note: str) -> tuple[Take, Take]:
        """Two takes of one, the second from its frame `at` on, each with its own sound."""
        edge, notes = at * SAMPLES_PER_FRAME, (*self.notes, note)
        first, rest = _slice(self.track, 0, at), _slice(self.track, at, self.count - at)
        return (
            replace(self, count=at, track=first, samples=self.samples[:edge], notes=notes),
            replace(
                self,
                start=self.start + at,
                count=self.count - at,
                track=rest,
                samples=self.samples[edge:],
                notes=notes,
            ),
        )


def find_takes(info: VideoInfo, tracker: FaceTracker, on_frame: Callable[[int], None] | None = None) -> list[Take]:
    """Track a video and cut it into takes.

    Args:
        on_frame: called with the number of frames done so far.

    Raises:
        InputError: no face, several faces, too short, sound too short, or a file that breaks off.
    """
    splitter = _CutSplitter(read_frames(info), on_frame)
    tracks: list[tuple[int, FaceTrack, list[tuple[int, np.ndarray]]]] = []
    while splitter.more:
        start = splitter.position
        pictures = splitter.next_take()
        track = tracker.track(pictures)
        tracks.append((start, track, splitter.thumbnails))
    frames = splitter.position
    if frames < SHORTEST_FRAMES:
        raise InputError(
            f"{info.path}: expected at least {SHORTEST_FRAMES / FPS:.0f} s of video, got {frames / FPS:.2f} s. "
            "Give a longer one; minutes are better than seconds."
        )
    samples = fit_sound(info, read_sound(info), frames)
    _check_faces(info, [t for _, t, _ in tracks])
    pieces = [
        (start + first, _slice(track, first, count), thumbs)
        for start, track, thumbs in tracks
        for first, count in _pieces(track)
    ]
    takes, left_out = [], 0
    for start, track, thumbs in pieces:
        count = len(track.found)
        if count < SHORTEST_FRAMES or track.found.mean() <= 1 - FACELESS_SHARE:
            left_out += count
            continue
        sound = samples[start * SAMPLES_PER_FRAME : (start + count) * SAMPLES_PER_FRAME]
        backdrop = _measure(track, [(i - start, p) for i, p in thumbs if start <= i < start + count], info)
        takes.append(Take(info, start, count, track, sound, info.notes, backdrop))
    if not takes:
        raise InputError(
            f"{info.path}: expected a second without a cut and with a face, found none. Give an uncut take."
        )
    if len(takes) > 1 or left_out:
        takes = [replace(t, notes=(*t.notes, *_piece_notes(t, frames, left_out))) for t in takes]
    return takes


def _piece_notes(take: Take, frames: int, left_out: int) -> list[str]:
    notes = [f"frames {take.start} to {take.start + take.count - 1} of {frames}"]
    if left_out:
        notes.append(f"{left_out / FPS:.2f} s of the video left out: too short between cuts, or no face")
    return notes


def _check_faces(info: VideoInfo, tracks: list[FaceTrack]) -> None:
    if not any(t.found.any() for t in tracks):
        raise InputError(
            f"{info.path}: expected a face, found none in {sum(len(t.found) for t in tracks)} frames. "
            "Give a video of one person, looking roughly at the camera, the face at least a fifth of the height."
        )
    counts = np.concatenate([t.face_counts for t in tracks])
    if len(counts) and (counts > 1).mean() > CROWDED_SHARE:
        raise InputError(
            f"{info.path}: expected one face, found {counts.max()} in {(counts > 1).mean():.0%} of the frames "
            "looked at. Crop the video to one person."
        )


class _CutSplitter:
    """Hands out the frames of one take after another, looking one frame ahead for a cut."""

    def __init__(self, frames: Iterator[np.ndarray], on_frame: Callable[[int], None] | None) -> None:
        self._frames = frames
        self._on_frame = on_frame
        self._held = next(frames, None)
        self._held_colours = None if self._held is None else _colours(self._held)
        self.position = 0
        self.thumbnails: list[tuple[int, np.ndarray]] = []

    @property
    def more(self) -> bool:
        return self._held is not None

    def next_take(self) -> Iterator[np.ndarray]:
        """The frames up to the next cut; `thumbnails` fills with (frame, small picture) on the way."""
        self.thumbnails = []
        return self._take(self.thumbnails)

    def _take(self, thumbnails: list[tuple[int, np.ndarray]]) -> Iterator[np.ndarray]:
        first = self.position
        while self._held is not None:
            picture, colours = self._held, self._held_colours
            assert colours is not None
            if (self.position - first) % THUMBNAIL_EVERY == 0:
                thumbnails.append((self.position, _thumbnail(picture)))
            self._held = next(self._frames, None)
            self._held_colours = None if self._held is None else _colours(self._held)
            self.position += 1
            if self._on_frame is not None:
                self._on_frame(self.position)
            yield picture
            if self._held_colours is not None and np.minimum(colours, self._held_colours).sum() < 1 - CUT_DISTANCE:
                return


def _colours(picture: np.ndarray) -> np.ndarray:
    """Normalised 8 x 8 x 8 histogram of a small version of the picture."""
    small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.int64) >> 5
    bins = small[:, 0] * 64 + small[:, 1] * 8 + small[:, 2]
    return np.bincount(bins, minlength=512) / len(bins)


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = THUMBNAIL_PX / max(height, width)
    return cv2.resize(
        picture, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
    )


def _pieces(track: FaceTrack) -> list[tuple[int, int]]:
    """(first, count) of the stretches between face jumps, none longer than LONGEST_FRAMES."""
    edges = [0, *_jumps(track), len(track.found)]
    pieces = []
    for first, end in itertools.pairwise(edges):
        parts = max(1, -(-(end - first) // LONGEST_FRAMES))
        cuts = np.linspace(first, end, parts + 1).round().astype(int)
        pieces += [(int(a), int(b - a)) for a, b in itertools.pairwise(cuts)]
    return pieces


def _jumps(track: FaceTrack) -> list[int]:
    """Frames at which the face is suddenly elsewhere."""
    oval = track.landmarks_px[:, list(FACE_OVAL), :2]
    width = np.nanmedian(np.ptp(oval[..., 0], axis=1)) if track.found.any() else 1.0
    step = np.linalg.norm(np.diff(oval, axis=0), axis=-1).mean(axis=-1) / width  # NaN where a face is missing
    jumps = []
    for i in np.flatnonzero(step > JUMP_FACE_WIDTHS):
        around = [step[j] for j in (i - 1, i + 1) if 0 <= j < len(step) and np.isfinite(step[j])]
        if all(s < CALM_FACE_WIDTHS for s in around):
            jumps.append(int(i) + 1)
    return jumps


def _slice(track: FaceTrack, first: int, count: int) -> FaceTrack:
    part = slice(first, first + count)
    return FaceTrack(track.found[part], track.landmarks_px[part], track.blendshapes[part], track.face_counts)


def _measure(track: FaceTrack, thumbs: list[tuple[int, np.ndarray]], info: VideoInfo) -> tuple[float, float]:
    thumbs = [(i, p) for i, p in thumbs if track.found[i]]
    if not thumbs:
        return float("inf"), 0.0
    scale = thumbs[0][1].shape[1] / info.width_px
    landmarks = np.stack([track.landmarks_px[i] * scale for i, _ in thumbs])
    return measure_backdrop(np.stack([p for _, p in thumbs]), landmarks)
