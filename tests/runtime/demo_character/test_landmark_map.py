"""Our exact landmarks are where MediaPipe's landmarker sees them, so tools made for real faces work on this one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gstalker.runtime.demo_character.controls import CharacterPose, FaceControls, MouthControls
from gstalker.runtime.demo_character.landmark_map import anchor_chart, mirror_landmark
from gstalker.runtime.demo_character.make_clips import clip_camera
from gstalker.runtime.demo_character.motion import head_pose, torso_pivot_px
from gstalker.runtime.demo_character.picture import FOCAL_IN_SIZES, TORSO_DEPTH_M, render_picture
from gstalker.runtime.landmarks import FACE_OVAL, LEFT_IRIS, LIPS, NOSE, RIGHT_IRIS
from gstalker.runtime.poses import camera_from_torso

SIZE = 256


def test_the_map_is_symmetric():
    chart = anchor_chart()
    for index, other in mirror_landmark().items():
        (u, v), (mirrored_u, mirrored_v) = chart[index], chart[other]
        assert (u, v) == pytest.approx((-mirrored_u, mirrored_v), abs=1e-9), f"{index} and {other}"


@pytest.mark.speaker
def test_mediapipe_finds_the_face_and_agrees_with_the_exact_lips(speaker_data: Path):
    """Mean errors in px at 256 x 256, measured 0.7 to 1.7 (lips, yaw 0 to 45); the limits leave half as much again."""
    vision = pytest.importorskip("mediapipe.tasks.python.vision", reason="mediapipe is not installed")
    mediapipe = pytest.importorskip("mediapipe")
    options = vision.FaceLandmarkerOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(speaker_data / "models" / "face_landmarker.task"))
    )
    torso = camera_from_torso(np.zeros(3), torso_pivot_px(SIZE), TORSO_DEPTH_M, FOCAL_IN_SIZES * SIZE, SIZE)
    limits = {0.0: 1.2, 15.0: 1.4, -30.0: 1.9, 45.0: 2.8, -45.0: 2.8}
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for yaw, limit_px in limits.items():
            for mouth in (MouthControls(), MouthControls(jaw_open=0.5)):
                pose = CharacterPose(head_pose(np.radians(yaw), 0.0, 0.0), torso, mouth, FaceControls())
                picture = render_picture(pose, clip_camera(SIZE))
                image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture.rgb)
                faces = landmarker.detect(image).face_landmarks
                assert len(faces) == 1, f"no face at yaw {yaw}"
                seen = np.array([[p.x * SIZE, p.y * SIZE] for p in faces[0]])
                error = np.linalg.norm(seen - picture.landmarks_px, axis=1)
                assert error[list(LIPS)].mean() < limit_px, f"lips {error[list(LIPS)].mean():.2f} px at yaw {yaw}"
                if yaw == 0.0:
                    assert error[list(RIGHT_IRIS + LEFT_IRIS)].mean() < 1.2
                    assert error[list(NOSE)].mean() < 1.6
                    assert error[list(FACE_OVAL)].mean() < 2.0
