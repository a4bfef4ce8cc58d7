"""Face and head of a session: idle life by seed, and what was asked for over it."""

from __future__ import annotations

import dataclasses

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_bundle import made_bundle

from gstalker.bridge.errors import ControlRefused, RequestRefused
from gstalker.bridge.server.controls import GAZE_FULL_RAD, FaceControls
from gstalker.bridge.server.head_pose import (
    SOFT_SHARE,
    head_matrix,
    head_vector,
    soft_clamp,
    torso_matrix,
    torso_vector,
)
from gstalker.bridge.server.idle_life import IdleLife
from gstalker.runtime.bundle import IdleMotion
from gstalker.runtime.bundle_manifest import BundleManifest, Control
from gstalker.runtime.infer import AvatarRuntime, Controls
from gstalker.runtime.seen import Emotion, Seen, SeenRange

BUNDLE = made_bundle()
NAMES = [c.name for c in BUNDLE.manifest.controls]
HIGH = 0.9  # of every control of the made bundle; the low ends are 0
BROW, SQUINT = NAMES.index("browInnerUp"), NAMES.index("eyeSquintLeft")


def face(seed: int = 0) -> FaceControls:
    return FaceControls(BUNDLE.manifest, BUNDLE.idle, seed)


def same(a: Controls, b: Controls) -> bool:
    return (
        np.array_equal(a.expression, b.expression)
        and np.array_equal(a.avatar_from_head, b.avatar_from_head)
        and a.avatar_from_torso is not None
        and b.avatar_from_torso is not None
        and np.array_equal(a.avatar_from_torso, b.avatar_from_torso)
    )


def with_controls(*names: str) -> tuple[BundleManifest, IdleMotion]:
    """The made avatar with other controls, all of the range 0 to 0.9."""
    manifest = dataclasses.replace(BUNDLE.manifest, controls=tuple(Control(n, 0.0, HIGH) for n in names))
    return manifest, dataclasses.replace(BUNDLE.idle, expression=np.full((40, len(names)), 0.1, np.float32))


# Idle life.


def test_seed_0_is_exactly_the_bundles_idle_stretch():
    runtime = AvatarRuntime(BUNDLE)
    for frame in (0, 1, 39, 40, 77, 78, 79, 1000):
        assert same(face().at(frame), runtime.idle_controls(frame))


@pytest.mark.parametrize("seed", [1, 7, 2**32 - 1])
def test_idle_life_is_a_function_of_frame_and_seed(seed: int):
    one, other = IdleLife(BUNDLE.manifest, BUNDLE.idle, seed), IdleLife(BUNDLE.manifest, BUNDLE.idle, seed)
    frames = [0, 5, 1499, 1500, 90_000, 5]
    expected = {frame: one.controls(frame) for frame in frames}
    for frame in reversed(frames):
        assert same(other.controls(frame), expected[frame])


def test_other_seeds_move_otherwise():
    moves = [[IdleLife(BUNDLE.manifest, BUNDLE.idle, s).life(f).head for f in range(50)] for s in (1, 2, 3)]
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        assert np.abs(np.array(moves[a]) - np.array(moves[b])).max() > 1e-3


@pytest.mark.parametrize("seed", [1, 7])
def test_idle_life_stays_within_what_was_trained_and_moves_without_jumps(seed: int):
    """Weights in their ranges, the head at most its soft margin beyond; steps as the idle stretch itself makes."""
    life = IdleLife(BUNDLE.manifest, BUNDLE.idle, seed)
    moments = [life.life(frame) for frame in range(2000)]
    weights, heads = np.array([m.expression for m in moments]), np.array([m.head for m in moments])
    assert weights.min() >= 0
    assert weights.max() <= HIGH + 1e-6
    low, high = np.array(BUNDLE.manifest.head_pose_range.low), np.array(BUNDLE.manifest.head_pose_range.high)
    margin = SOFT_SHARE * (high - low)
    assert (heads >= low - margin).all()
    assert (heads <= high + margin).all()
    own = np.abs(np.diff([head_vector(p) for p in BUNDLE.idle.avatar_from_head], axis=0)).max(axis=0)
    # Added motion: 0.1 of the range, at most 0.29 Hz; breathing 0.6 mm at 0.23 Hz.
    added = 0.1 * (high - low) * 2 * np.pi * 0.29 / 25 + np.array([0, 0, 0, 0, 0.0006 * 2 * np.pi * 0.24 / 25, 0])
    assert (np.abs(np.diff(heads, axis=0)).max(axis=0) <= own + added + 1e-9).all()


def blink_starts(seed: int, minutes: int) -> np.ndarray:
    life = IdleLife(BUNDLE.manifest, BUNDLE.idle, seed)
    return np.concatenate([1500 * m + np.array(life._draw_blinks(m), int) for m in range(minutes)])


def test_blinks_come_as_often_as_people_blink_and_never_two_at_once():
    """17 a minute at rest (Bentivoglio et al. 1997); over an hour the rate's own scatter is 4 standard errors wide."""
    starts = blink_starts(7, 60)
    pauses_s = np.diff(starts) / 25
    assert 17 * 0.9 < len(starts) / 60 < 17 * 1.1
    assert pauses_s.min() >= 0.5 - 0.04
    assert 0.4 < np.log(pauses_s).std() < 0.7, "log-normal with a spread of 0.55"
    assert pauses_s.max() < 30


def test_every_blink_shuts_the_eyes_on_a_frame_and_opens_them_again():
    life = IdleLife(BUNDLE.manifest, BUNDLE.idle, 7)
    for start in blink_starts(7, 3):
        closing = [life.blink(int(start) + i) for i in range(-1, 9)]
        assert max(closing) == 1.0
        assert closing[0] == closing[-1] == 0.0
        shut = life.life(int(start) + 2).expression
        assert shut[NAMES.index("eyeBlinkLeft")] == pytest.approx(HIGH)


def test_between_its_own_blinks_a_seeded_avatar_has_its_eyes_open():
    """The stretch's own blink, at its frame 12, is taken out."""
    life = IdleLife(BUNDLE.manifest, BUNDLE.idle, 7)
    open_frames = [f for f in range(3000) if life.blink(f) == 0.0]
    lids = np.array([life.life(f).expression[:2] for f in open_frames])
    assert lids.max() <= 0.31, "as far as the stretch shuts them apart from its blink"


def test_an_avatar_without_controls_still_moves_its_head():
    manifest, idle = with_controls()
    controls = FaceControls(manifest, idle, 3).at(10)
    assert controls.expression.shape == (0,)
    assert not same(controls, FaceControls(manifest, idle, 3).at(60))


def test_switched_off_the_avatar_rests_with_open_eyes_and_comes_back():
    controls = face(7)
    controls.set_idle(100, enabled=False, seed=7)
    rest = controls.at(130)
    assert same(controls.at(5000), rest)
    assert rest.expression[:2].max() < 0.3
    np.testing.assert_allclose(
        head_vector(rest.avatar_from_head), np.mean([head_vector(p) for p in BUNDLE.idle.avatar_from_head], axis=0)
    )
    controls.set_idle(200, enabled=True, seed=7)
    assert same(controls.at(220), face(7).at(220))


@pytest.mark.parametrize("change", [(False, 7), (True, 0), (True, 8)])
def test_idle_life_changes_without_a_jump(change: tuple[bool, int]):
    controls = face(7)
    before = controls.at(99)
    controls.set_idle(100, enabled=change[0], seed=change[1])
    heads = [head_vector(c.avatar_from_head) for c in (before, *(controls.at(f) for f in range(100, 120)))]
    assert np.abs(np.diff(heads, axis=0)).max() < 0.03, "rad; the made stretch itself moves 0.008 a frame"


# Held values.


def test_held_weights_blend_in_stay_and_blend_out():
    controls = face()
    weights, held = np.zeros(9), np.zeros(9, bool)
    weights[BROW], held[BROW] = 0.8, True
    assert controls.set_expression(50, weights, held, blend_s=0.4) == ""
    values = [float(controls.at(f).expression[BROW]) for f in range(48, 80)]
    own = [float(face().at(f).expression[BROW]) for f in range(48, 80)]
    assert values[:3] == pytest.approx(own[:3])
    assert values[12:] == pytest.approx([0.8] * 20)
    assert 0.8 > values[7] > own[7]
    others = [i for i in range(9) if i != BROW]
    np.testing.assert_allclose(controls.at(70).expression[others], face().at(70).expression[others], atol=1e-6)
    controls.set_expression(100, weights, np.zeros(9, bool), blend_s=0.0)
    np.testing.assert_allclose(controls.at(101).expression, face().at(101).expression, atol=1e-6)


def test_a_weight_beyond_the_trained_range_is_limited_and_said():
    controls = face()
    said = controls.set_expression(0, np.full(9, 0.95), np.arange(9) == SQUINT, blend_s=0.0)
    assert said == "limited to what the avatar was trained on: eyeSquintLeft 0.95 to 0.9"
    assert controls.at(5).expression[SQUINT] == pytest.approx(HIGH)


def test_emotions_move_only_what_they_are_about_and_end():
    controls = face()
    assert {"happy", "sad", "angry", "surprised"} <= set(controls.emotion_names)
    controls.set_emotion(0, "sad", 1.0, blend_s=0.0)
    sad, own = controls.at(20).expression, face().at(20).expression
    assert sad[BROW] == pytest.approx(0.9 * HIGH)
    assert sad[:2] == pytest.approx(own[:2]), "blinks go on"
    controls.set_emotion(30, "sad", 0.5, blend_s=0.0)
    half, own = controls.at(40).expression, face().at(40).expression
    assert half[BROW] == pytest.approx((0.9 * HIGH + own[BROW]) / 2, abs=1e-6)
    controls.set_emotion(50, "", 0.0, blend_s=0.2)
    np.testing.assert_allclose(controls.at(60).expression, face().at(60).expression, atol=1e-6)


def test_a_held_weight_wins_over_an_emotion():
    controls = face()
    controls.set_emotion(0, "sad", 1.0, blend_s=0.0)
    controls.set_expression(0, np.full(9, 0.2), np.arange(9) == BROW, blend_s=0.0)
    assert controls.at(5).expression[BROW] == pytest.approx(0.2)


def test_an_avatar_knows_only_the_emotions_it_can_show():
    manifest, idle = with_controls("eyeBlinkLeft", "mouthSmileLeft")
    assert FaceControls(manifest, idle, 0).emotion_names == ("happy",)


def with_seen(seen: Seen) -> FaceControls:
    return FaceControls(dataclasses.replace(BUNDLE.manifest, seen=seen), BUNDLE.idle, 0)


SEEN = Seen(
    (SeenRange("browInnerUp", "weight", 0.0, 0.1, HIGH, True),),
    (Emotion("sad", 0.5, {"browInnerUp": 0.7}), Emotion("angry", 0.12, {"eyeSquintLeft": 0.4})),
)


def test_a_bundles_own_emotions_come_before_the_prototypes():
    controls = with_seen(SEEN)
    assert controls.emotion_names == ("sad", "angry")
    assert controls.set_emotion(0, "sad", 1.0, blend_s=0.0) == ""
    sad, own = controls.at(5).expression, face().at(5).expression
    assert sad[BROW] == pytest.approx(0.7)
    assert np.delete(sad, BROW) == pytest.approx(np.delete(own, BROW))
    with pytest.raises(ControlRefused, match="expected one of sad, angry, got 'happy'"):
        controls.set_emotion(0, "happy", 1.0, blend_s=0.0)


def test_a_person_of_whom_no_emotion_was_seen_has_none():
    assert with_seen(Seen(SEEN.ranges, ())).emotion_names == ()


def test_who_asks_for_a_weak_emotion_is_told_so():
    controls = with_seen(SEEN)
    assert controls.set_emotion(0, "angry", 1.0, 0.0) == "weak: of angry as much as 12 % was seen of this person"
    assert controls.set_emotion(0, "", 0.0, 0.0) == ""


def test_an_emotion_heard_in_the_voice_lies_under_what_is_asked_for():
    controls = with_seen(SEEN)
    own = face().at(5).expression
    heard = controls.at(5, "sad", 0.5).expression
    assert heard[BROW] == pytest.approx((own[BROW] + 0.7) / 2)
    assert same(controls.at(5, "sad", 0.0), face().at(5)), "nothing heard, nothing moved"
    controls.set_expression(0, np.full(9, 0.2), np.arange(9) == BROW, blend_s=0.0)
    assert controls.at(5, "sad", 1.0).expression[BROW] == pytest.approx(0.2)


def test_gaze_counts_from_what_was_tracked_of_eyes_that_look_ahead():
    manifest, idle = with_controls("eyeLookInLeft", "eyeLookOutLeft", "eyeLookInRight", "eyeLookOutRight")
    ranges = tuple(SeenRange(c.name, "weight", 0.0, 0.2, HIGH, True) for c in manifest.controls)
    controls = FaceControls(dataclasses.replace(manifest, seen=Seen(ranges)), idle, 0)
    controls.set_gaze(0, (0.0, 0.0), blend_s=0.0)
    assert controls.at(5).expression == pytest.approx(0.2)
    controls.set_gaze(10, (0.06, 0.0), blend_s=0.0)
    assert controls.at(15).expression == pytest.approx([0.1, 0.3, 0.3, 0.1])


def test_gaze_moves_the_eyes_where_they_can_be_moved():
    names = [f"eyeLook{way}{side}" for way in ("In", "Out", "Up", "Down") for side in ("Left", "Right")]
    controls = FaceControls(*with_controls(*names), 0)
    assert controls.has_gaze
    assert controls.set_gaze(0, (0.3, 0.15), blend_s=0.0) == ""
    weights = dict(zip(names, controls.at(5).expression.tolist(), strict=True))
    # To the picture's right is the person's left: the left eye turns out, the right one in.
    assert weights["eyeLookOutLeft"] == weights["eyeLookInRight"] == pytest.approx(0.3 / GAZE_FULL_RAD)
    assert weights["eyeLookDownLeft"] == weights["eyeLookDownRight"] == pytest.approx(0.15 / GAZE_FULL_RAD)
    assert weights["eyeLookInLeft"] == weights["eyeLookUpRight"] == 0
    assert "eyeLookInLeft 1 to 0.9" in controls.set_gaze(10, (-GAZE_FULL_RAD, 0.0), blend_s=0.0)
    controls.set_gaze(20, None, blend_s=0.0)
    assert controls.at(25).expression == pytest.approx(0.1)


def test_what_the_avatar_does_not_have_is_refused_with_a_code():
    for call, code, text in [
        (lambda: face().set_gaze(0, (0.1, 0.0), 0.0), "not_supported", "expected an avatar with eyeLook controls"),
        (lambda: face().set_emotion(0, "bored", 1.0, 0.0), "bad_value", "expected one of happy, sad"),
        (lambda: face().set_expression(0, np.zeros(3), np.zeros(3), 0.0), "bad_value", "weights: expected 9 of them"),
    ]:
        with pytest.raises(ControlRefused, match=text) as caught:
            call()
        assert caught.value.code == code


def test_a_head_pose_inside_of_the_trained_range_is_held_as_asked():
    controls = face(7)
    asked = np.array([0.05, -0.1, 0.02, 0.01, -0.01, 0.0])
    assert controls.set_head_pose(10, asked, blend_s=0.5) == ""
    np.testing.assert_allclose(head_vector(controls.at(40).avatar_from_head), asked, atol=1e-9)
    controls.set_head_pose(50, None, blend_s=0.0)
    np.testing.assert_allclose(controls.at(60).avatar_from_head, face(7).at(60).avatar_from_head, atol=1e-12)


def test_a_head_pose_beyond_the_trained_range_is_bent_back_and_said():
    controls = face()
    said = controls.set_head_pose(0, np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0]), blend_s=0.0)
    assert said.startswith("limited to what the avatar was trained on: rotation y 1 to 0.24")
    assert head_vector(controls.at(5).avatar_from_head)[1] <= 0.2 + SOFT_SHARE * 0.4 + 1e-6


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20).map(sorted))
@settings(max_examples=50)
def test_the_soft_clamp_rises_smoothly_and_never_goes_further_than_its_margin(asked: list[float]):
    low, high = np.full(len(asked), -0.2), np.full(len(asked), 0.3)
    got = soft_clamp(np.array(asked), low, high)
    assert (np.diff(got) >= 0).all()
    assert (np.diff(got) <= np.diff(asked) + 1e-12).all(), "it never runs ahead of what was asked"
    assert got.max() <= 0.3 + SOFT_SHARE * 0.5
    assert got.min() >= -0.2 - SOFT_SHARE * 0.5
    inside = (np.array(asked) >= -0.2) & (np.array(asked) <= 0.3)
    np.testing.assert_array_equal(got[inside], np.array(asked)[inside])


def test_poses_survive_as_numbers():
    head = np.array([0.1, -0.2, 0.3, 0.01, 0.02, 0.03])
    np.testing.assert_allclose(head_vector(head_matrix(head)), head, atol=1e-12)
    torso = np.array([0.01, 0.12, 0.02, -0.1])
    np.testing.assert_allclose(torso_vector(torso_matrix(torso)), torso, atol=1e-12)


def test_the_torso_follows_a_held_head_where_it_is_told_how():
    following = torso_matrix(np.array([0.05, 0.1, 0.0, 0.2]))
    controls = FaceControls(BUNDLE.manifest, BUNDLE.idle, 0, torso_from_head=lambda head: following)
    assert same(controls.at(3), face().at(3)), "idle life brings its own"
    controls.set_head_pose(10, np.zeros(6), blend_s=0.4)
    steps = [torso_vector(controls.at(f).avatar_from_torso) for f in range(9, 25)]  # pyright: ignore
    np.testing.assert_allclose(steps[-1], [0.05, 0.1, 0.0, 0.2], atol=1e-9)
    assert np.abs(np.diff(steps, axis=0)).max() < 0.2 * 2.5 / 10, "least-jerk blend over 10 frames"


# Live faces.


def test_a_live_face_takes_over_moves_and_is_given_back_when_it_is_lost():
    controls = face()
    turn = head_matrix(np.array([0.0, 0.1, 0.0, 0.0, 0.0, 0.0]))
    said = ""
    for frame in range(100, 150):
        said = controls.live_face(frame, {"BrowInnerUp": 0.6, "jawOpen": 0.7, "eyeBlinkLeft": 1.0}, turn)
    assert said == "limited to what the avatar was trained on: eyeBlinkLeft 1 to 0.9"
    held, own = controls.at(150), face().at(150)
    assert held.expression[BROW] == pytest.approx(0.6)
    assert held.expression[SQUINT] == pytest.approx(own.expression[SQUINT]), "what it does not send goes on"
    rest = np.mean([head_vector(p) for p in BUNDLE.idle.avatar_from_head], axis=0)
    np.testing.assert_allclose(held.avatar_from_head, head_matrix(rest) @ turn, atol=1e-9)
    assert controls.at(155).expression[BROW] == pytest.approx(0.6), "half a second of patience"
    np.testing.assert_allclose(controls.at(190).expression, face().at(190).expression, atol=1e-6)
    np.testing.assert_allclose(controls.at(190).avatar_from_head, face().at(190).avatar_from_head, atol=1e-9)
    controls.live_face(300, {"browInnerUp": 0.6})
    values = [float(controls.at(f).expression[BROW]) for f in (300, 303, 310)]
    own = [float(face().at(f).expression[BROW]) for f in (300, 303, 310)]
    assert values[0] == pytest.approx(own[0]), "taken over anew, blended"
    assert own[1] < values[1] < values[2]
    assert values[2] == pytest.approx(0.6)


def test_a_live_face_without_a_head_leaves_the_head_alone():
    controls = face()
    controls.live_face(10, {"browInnerUp": 0.6})
    np.testing.assert_allclose(controls.at(20).avatar_from_head, face().at(20).avatar_from_head, atol=1e-12)


# Moving to another process.


def commanded() -> FaceControls:
    controls = face(7)
    controls.set_expression(10, np.full(9, 0.5), np.arange(9) == 4, 0.5)
    controls.set_emotion(12, "surprised", 0.7, 1.0)
    controls.set_head_pose(14, np.array([0.1, 0.5, 0, 0, 0, 0]), 2.0)
    controls.set_idle(20, enabled=True, seed=9)
    controls.live_face(24, {"browDownLeft": 0.4}, head_matrix(np.array([0.0, 0.05, 0, 0, 0, 0])))
    return controls


def test_a_face_goes_on_from_its_state_with_the_same_controls():
    state = msgpack.unpackb(msgpack.packb(commanded().state()))
    other = FaceControls.from_state(BUNDLE.manifest, BUNDLE.idle, state)
    for frame in range(24, 120):
        assert same(other.at(frame), commanded().at(frame))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("seed",), -1),
        (("idle",), 1),
        (("live_at",), "now"),
        (("before",), [1, [], [], []]),
        (("before",), 5),
        (("blends",), {}),
        (("blends", "head"), None),
        (("blends", "head"), [0, 0, [0] * 6, [0] * 6, [2] * 6, [0] * 6]),
        (("blends", "expression"), [0, 0, [0] * 5, [0] * 9, [0] * 9, [0] * 9]),
        (("blends", "expression"), [0, 0, [0] * 9, [float("nan")] * 9, [0] * 9, [0] * 9]),
        (("unknown",), 1),
    ],
)
def test_a_face_state_that_is_not_sound_is_refused(path: tuple, value: object):
    state = msgpack.unpackb(msgpack.packb(commanded().state()))
    place = state
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(RequestRefused, match="snapshot: face") as caught:
        FaceControls.from_state(BUNDLE.manifest, BUNDLE.idle, state)
    assert caught.value.code == "bad_value"
