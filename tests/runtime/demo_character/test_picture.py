"""The picture shows what the tracks say: landmarks lie on what is drawn, poses project exactly."""

from __future__ import annotations

import numpy as np
import pytest

from gstalker.kernels.camera import project_points
from gstalker.runtime.demo_character.blendshapes import BLENDSHAPE_NAMES, blendshapes
from gstalker.runtime.demo_character.character import build_character
from gstalker.runtime.demo_character.controls import CharacterPose, FaceControls, MouthControls
from gstalker.runtime.demo_character.make_clips import clip_camera
from gstalker.runtime.demo_character.motion import head_pose, torso_pivot_px
from gstalker.runtime.demo_character.picture import (
    FOCAL_IN_SIZES,
    TORSO_DEPTH_M,
    Picture,
    render_picture,
    torso_from_rest_head,
)
from gstalker.runtime.landmarks import GROUPS, LEFT_LIDS, RIGHT_LIDS, RIGID
from gstalker.runtime.poses import camera_from_torso

SIZE = 512


def pose_of(
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    mouth: MouthControls | None = None,
    face: FaceControls | None = None,
    torso_motion: tuple[float, float, float] = (0.0, 0.0, 0.0),
    size: int = SIZE,
) -> CharacterPose:
    torso = camera_from_torso(np.array(torso_motion), torso_pivot_px(size), TORSO_DEPTH_M, FOCAL_IN_SIZES * size, size)
    head = head_pose(np.radians(yaw_deg), np.radians(pitch_deg), 0.0)
    return CharacterPose(head, torso, mouth or MouthControls(), face or FaceControls())


def drawn(size: int = SIZE, plate: np.ndarray | None = None, **pose) -> Picture:
    return render_picture(pose_of(size=size, **pose), clip_camera(size), plate)


@pytest.fixture(scope="module")
def rest() -> Picture:
    return drawn()


def colour_at(picture: Picture, xy: np.ndarray) -> np.ndarray:
    """(3,) mean colour of the 3 x 3 pixels around a position."""
    col, row = np.floor(xy).astype(int)
    return picture.rgb[row - 1 : row + 2, col - 1 : col + 2].reshape(-1, 3).mean(axis=0)


def brightness(picture: Picture, xy: np.ndarray) -> float:
    return float(colour_at(picture, xy).mean())


def test_every_named_group_is_known_at_forty_five_degrees_too():
    for yaw in (-45.0, 0.0, 45.0):
        landmarks = drawn(size=128, yaw_deg=yaw).landmarks_px
        for name, indices in {**GROUPS, "rigid": RIGID}.items():
            assert np.isfinite(landmarks[list(indices)]).all(), f"{name} at yaw {yaw}"
        assert ((landmarks[np.isfinite(landmarks)] > 0) & (landmarks[np.isfinite(landmarks)] < 128)).all()


@pytest.mark.parametrize("yaw_deg", [0.0, -20.0, 30.0])
def test_pupil_is_dark_and_the_white_beside_the_iris_is_bright_where_the_track_says(yaw_deg: float):
    # The eyes stay on the camera, or the far iris would leave the opening.
    picture = drawn(yaw_deg=yaw_deg, face=FaceControls(gaze_rad=(np.radians(0.85 * yaw_deg), 0.0)))
    px = picture.landmarks_px
    for middle, edges, corners in ((468, (469, 471), (133, 33)), (473, (474, 476), (263, 362))):
        pupil = brightness(picture, px[middle])
        whites = [
            brightness(picture, 0.5 * (px[edge] + px[corner])) for edge, corner in zip(edges, corners, strict=True)
        ]
        assert pupil < 60, f"pupil {pupil:.0f} at landmark {middle}"
        assert max(whites) > pupil + 60, f"white {whites} against pupil {pupil:.0f}"


def test_the_line_between_closed_lips_is_darkest_at_the_tracked_line(rest: Picture):
    px = rest.landmarks_px
    for upper in (81, 13, 311):
        col, row = np.floor(px[upper]).astype(int)
        profile = rest.rgb[row - 8 : row + 9, col].mean(axis=1)
        assert abs(int(np.argmin(profile)) - 8) <= 1, f"landmark {upper}: darkest {np.argmin(profile) - 8} px off"


@pytest.mark.parametrize("mouth", [MouthControls(), MouthControls(jaw_open=0.6), MouthControls(pucker=0.8)])
def test_the_red_of_the_lips_begins_at_the_tracked_border(mouth: MouthControls):
    picture = drawn(mouth=mouth)
    px = picture.landmarks_px
    middle = 0.5 * (px[13] + px[14])

    def redness(xy: np.ndarray) -> float:
        r, g, _ = colour_at(picture, xy)
        return r / max(g, 1.0)

    for index in (37, 267, 84, 17, 314):
        inward = (middle - px[index]) / np.linalg.norm(middle - px[index])
        inside, outside = redness(px[index] + 3.5 * inward), redness(px[index] - 4.0 * inward)
        assert inside > 1.12 * outside, f"landmark {index}: redness {inside:.2f} in, {outside:.2f} out"


def test_an_open_mouth_is_darker_between_the_tracked_lips_than_on_them():
    picture = drawn(mouth=MouthControls(jaw_open=0.8))
    px = picture.landmarks_px
    between = brightness(picture, 0.65 * px[13] + 0.35 * px[14])
    assert between < 0.6 * brightness(picture, 0.5 * (px[14] + px[17]))


def test_brows_are_drawn_between_their_tracked_edges(rest: Picture):
    px = rest.landmarks_px
    for lower, upper in ((65, 66), (52, 105), (295, 296), (282, 334)):
        hair, forehead = 0.5 * (px[lower] + px[upper]), px[upper] - [0.0, 14.0]
        assert brightness(rest, hair) < 0.8 * brightness(rest, forehead), f"brow between {lower} and {upper}"


def test_resting_landmarks_project_to_the_tracks_at_any_head_pose():
    head_m = build_character().landmarks_head_m(MouthControls(), FaceControls())[list(RIGID)]
    for yaw, pitch in ((0.0, 0.0), (25.0, -6.0), (-45.0, 8.0)):
        pose = pose_of(yaw, pitch)
        expected = project_points(
            head_m @ pose.camera_from_head[:3, :3].T + pose.camera_from_head[:3, 3], clip_camera(SIZE)
        )
        got = render_picture(pose, clip_camera(SIZE), supersample=1).landmarks_px[list(RIGID)]
        # Both are float64; 1e-3 px is what a reader of the float32 tracks may expect.
        assert np.abs(got - expected).max() < 1e-3


def test_head_space_has_its_origin_at_the_mean_of_the_known_landmarks():
    head_m = build_character().landmarks_head_m(MouthControls(), FaceControls())
    assert np.abs(np.nanmean(head_m, axis=0)).max() < 1e-9


def test_the_jumper_moves_as_the_torso_pose_and_not_with_the_head():
    who = build_character()
    jumper = who.starts["jumper"]
    pose = pose_of(yaw_deg=40.0, torso_motion=(7.0, -3.0, 0.05))
    sculpt, _ = who.deformed(MouthControls(), FaceControls())
    got = who.posed(sculpt, pose, torso_from_rest_head())[jumper]
    at_rest = pose_of()
    in_torso = who.posed(sculpt, at_rest, torso_from_rest_head())[jumper] - at_rest.camera_from_torso[:3, 3]
    torso = pose.camera_from_torso
    assert np.abs(got - (in_torso @ torso[:3, :3].T + torso[:3, 3])).max() < 1e-12


def test_the_face_belongs_to_the_head_alone():
    who = build_character()
    known = who.landmark_vertices[who.landmark_vertices >= 0]
    assert np.abs(who.torso_weight[known]).max() == 0.0


def test_matte_composites_exactly_over_any_backdrop():
    black, white = np.zeros((96, 96, 3), np.float32), np.ones((96, 96, 3), np.float32)
    on_black, on_white = drawn(size=96, plate=black), drawn(size=96, plate=white)
    assert np.array_equal(on_black.matte, on_white.matte)
    shining = (on_white.rgb.astype(float) - on_black.rgb) / 255
    # Three roundings to 8 bits: half a step each.
    assert np.abs(shining - (1 - on_black.matte / 255)[..., None]).max() <= 1.5 / 255 + 1e-9
    assert {0, 255} < set(np.unique(on_black.matte).tolist()), "soft edges between none and all"


def test_the_same_pose_gives_the_same_bytes():
    one, again = drawn(size=96, yaw_deg=10.0), drawn(size=96, yaw_deg=10.0)
    assert np.array_equal(one.rgb, again.rgb)


def test_a_shut_eye_brings_its_own_lids_together_and_its_own_weight_up():
    who, shut_left = build_character(), FaceControls(blink=(0.0, 1.0))  # the person's left is picture right
    points = 100 * who.landmarks_head_m(MouthControls(), shut_left)

    def opening_cm(lids: tuple[int, int]) -> float:
        return float(np.linalg.norm(points[lids[0]] - points[lids[1]]))

    assert opening_cm(LEFT_LIDS) < 0.05
    assert opening_cm(RIGHT_LIDS) > 0.8
    weights = dict(zip(BLENDSHAPE_NAMES, blendshapes(MouthControls(), shut_left), strict=True))
    assert weights["eyeBlinkLeft"] == 1.0
    assert weights["eyeBlinkRight"] == 0.0
    assert points[386, 0] > 0, "the person's left eye is on picture right"


def test_blendshapes_are_the_52_and_stay_in_range():
    full = MouthControls.from_vector(np.ones(11))
    weights = blendshapes(full, FaceControls(gaze_rad=(0.9, -0.9)))
    assert weights.shape == (52,)
    assert weights.min() >= 0.0
    assert weights.max() <= 1.0
    named = dict(zip(BLENDSHAPE_NAMES, weights, strict=True))
    assert named["eyeLookOutLeft"] == named["eyeLookInRight"] == named["eyeLookUpLeft"] == 1.0
    assert named["eyeLookDownLeft"] == named["_neutral"] == 0.0


def test_gaze_moves_the_iris_the_way_it_says():
    who = build_character()
    straight, aside = (
        who.landmarks_head_m(MouthControls(), FaceControls(gaze_rad=g))[[468, 473]] for g in ((0.0, 0.0), (0.2, 0.1))
    )
    assert (aside[:, 0] > straight[:, 0] + 0.002).all()
    assert (aside[:, 1] > straight[:, 1] + 0.001).all()


def test_lids_cover_the_eyeball_at_every_stage_of_a_blink():
    """No vertex of a lid's plate sinks into the eyeball, where the eye would show through."""
    from gstalker.runtime.demo_character import eyelids
    from gstalker.runtime.demo_character.sculpt import EYE_CENTRE_CM, EYE_RADIUS_CM

    lids = eyelids.build_eyelids()
    for blink in np.linspace(0, 1, 6):
        plate = lids.deformed(float(blink), 0.0, 0.0)[eyelids.CREASE + 1 : eyelids.MARGIN + 1]
        assert np.linalg.norm(plate - EYE_CENTRE_CM, axis=-1).min() > EYE_RADIUS_CM
