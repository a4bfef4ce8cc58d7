"""Face tracks of one take: 478 landmarks with depth and 52 blendshape weights a frame."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gstalker.runtime.dataset import FPS, LANDMARKS
from gstalker.runtime.errors import InputError

# Pictures whose shorter side is below this are enlarged twice: the detector then finds small lips better.
ENLARGE_BELOW_PX = 480
NOISE = re.compile(r"[IW]\d{4} |INFO: |WARNING: (Logging before|All log messages)")  # of glog, absl and TFLite
CROWD_CHECK_EVERY = 12  # frames between looks for a second face


@dataclass(frozen=True)
class FaceTrack:
    """What a tracker saw in T consecutive pictures.

    Attributes:
        found: (T,) bool, whether a face was seen. The other arrays are NaN where not.
        landmarks_px: (T, 478, 3) float32 x and y in pixels of the picture given (centre of the first pixel at
            0.5), z in the same unit, away from the camera, from an origin inside the head.
        blendshapes: (T, 52) float32, 0..1.
        face_counts: faces of note in each picture that was looked at for several.
    """

    found: np.ndarray
    landmarks_px: np.ndarray
    blendshapes: np.ndarray
    face_counts: np.ndarray


class FaceTracker(Protocol):
    """Anything that follows one face through a take."""

    @property
    def blendshape_names(self) -> tuple[str, ...]:
        """The 52 columns of FaceTrack.blendshapes."""
        ...

    def track(self, pictures: Iterable[np.ndarray]) -> FaceTrack:
        """Follow the face through consecutive (H, W, 3) uint8 pictures."""
        ...


class MediaPipeTracker:
    """MediaPipe's Face Landmarker in its VIDEO mode, a new one for every take.

    Args:
        model: the file face_landmarker.task.

    Raises:
        InputError: MediaPipe is not installed, or the model cannot be loaded.
    """

    def __init__(self, model: Path) -> None:
        try:
            import mediapipe  # noqa: F401 (loaded again where it is used: a tracker travels to other processes)
        except ImportError as error:
            raise InputError(
                "tracking a face: expected MediaPipe, it is not installed. Run `pip install gstalker[train]`."
            ) from error
        self._model = model
        self.blendshape_names = BLENDSHAPE_NAMES

    def track(self, pictures: Iterable[np.ndarray]) -> FaceTrack:
        """See FaceTracker."""
        from mediapipe.tasks.python import vision

        found: list[bool] = []
        landmarks: list[np.ndarray] = []
        blendshapes: list[np.ndarray] = []
        counts: list[int] = []
        follow_options = self._options(vision.RunningMode.VIDEO, faces=1, blendshapes=True)
        crowd_options = self._options(vision.RunningMode.IMAGE, faces=3, blendshapes=False)
        create = vision.FaceLandmarker.create_from_options
        with without_log_noise(), create(follow_options) as follower, create(crowd_options) as crowd:
            for index, picture in enumerate(pictures):
                image, scale = _image(picture)
                if index == 0:
                    follower.detect_for_video(image, 0)  # the first picture of a take is lost on it: show it twice
                seen = follower.detect_for_video(image, (index + 1) * 1000 // FPS)
                if index % CROWD_CHECK_EVERY == 0:
                    counts.append(faces_of_note(crowd.detect(image).face_landmarks))
                found.append(bool(seen.face_landmarks))
                if seen.face_landmarks:
                    unit = np.array([[p.x, p.y, p.z] for p in seen.face_landmarks[0]], np.float32)
                    width, height = image.width / scale, image.height / scale
                    landmarks.append(unit * np.array([width, height, width], np.float32))
                    blendshapes.append(np.array([b.score for b in seen.face_blendshapes[0]], np.float32))
                else:
                    landmarks.append(np.full((LANDMARKS, 3), np.nan, np.float32))
                    blendshapes.append(np.full(len(BLENDSHAPE_NAMES), np.nan, np.float32))
        return FaceTrack(np.array(found), np.stack(landmarks), np.stack(blendshapes), np.array(counts))

    def _options(self, mode: Any, faces: int, blendshapes: bool) -> Any:
        from mediapipe.tasks.python import BaseOptions, vision

        return vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=self._model.read_bytes()),
            running_mode=mode,
            num_faces=faces,
            output_face_blendshapes=blendshapes,
        )


@contextlib.contextmanager
def without_log_noise() -> Iterator[None]:
    """Hold back what MediaPipe's native code prints about itself; anything else comes out at the end.

    It writes to the process's stderr past Python, and no option of it turns that off.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            said = file.read().decode(errors="replace").splitlines()
            for line in said:
                if not NOISE.match(line):
                    print(line, file=sys.stderr)


def _image(picture: np.ndarray) -> tuple[Any, int]:
    """MediaPipe's picture, and how many times it was enlarged."""
    import cv2
    import mediapipe as mp

    scale = 2 if min(picture.shape[:2]) < ENLARGE_BELOW_PX else 1
    if scale == 2:
        picture = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture)), scale


def faces_of_note(faces: list) -> int:
    """How many faces are at least 40 % as wide as the widest: others are pictures on the wall."""
    widths = [max(p.x for p in face) - min(p.x for p in face) for face in faces]
    return sum(w >= 0.4 * max(widths) for w in widths)


# MediaPipe's order; a test holds it against the model's own names.
BLENDSHAPE_NAMES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft",
    "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft",
    "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft",
    "jawOpen", "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft",
    "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
