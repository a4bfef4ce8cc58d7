"""Which weights become controls, and how blinks are kept apart from looks: on made tracks, and on the real speaker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.expression import (
    SHUT_MARGIN_FRAMES,
    ExpressionConfig,
    choose_controls,
    control_ranges,
    expression_weights,
    seen_weights,
)
from gstalker.runtime.landmarks import LID_BLENDSHAPES, UPPER_FACE_BLENDSHAPES

NAMES = ("_neutral", *UPPER_FACE_BLENDSHAPES, "jawOpen", "noseSneerLeft")


def clip(frames: int = 100, **moves: np.ndarray) -> np.ndarray:
    """(T, B) weights: those named, by the beginning of their names, and zeros."""
    found = np.zeros((frames, len(NAMES)), np.float32)
    for beginning, values in moves.items():
        for column, name in enumerate(NAMES):
            if name.startswith(beginning):
                found[:, column] = values
    return found


def dataset_of(*clips: np.ndarray) -> Dataset:
    """A dataset as far as choosing controls looks."""
    tracks = {str(i): SimpleNamespace(blendshapes=c) for i, c in enumerate(clips)}
    made = SimpleNamespace(manifest=SimpleNamespace(blendshape_names=NAMES), tracks=tracks.__getitem__)
    return cast(Dataset, made)


def chosen(blendshapes: np.ndarray, **settings) -> set[str]:
    return set(choose_controls(dataset_of(blendshapes), ["0"], ExpressionConfig(**settings)))


SWAY = 0.5 + 0.4 * np.sin(np.arange(100) / 8)


def test_an_expressive_person_has_more_controls_than_a_newsreader():
    lids = set(LID_BLENDSHAPES)
    assert chosen(clip()) == lids, "lids always are controls"
    assert chosen(clip(browDown=SWAY)) == lids | {"browDownLeft", "browDownRight"}
    assert chosen(clip(brow=SWAY, eyeWide=SWAY, eyeSquint=SWAY)) == {
        name for name in UPPER_FACE_BLENDSHAPES if not name.startswith("eyeLook")
    }


def test_the_mouth_and_what_goes_with_it_are_left_to_the_voice():
    assert chosen(clip(jawOpen=SWAY, noseSneer=SWAY)) == set(LID_BLENDSHAPES)


def test_too_little_and_mere_noise_are_no_control():
    rng = np.random.default_rng(0)
    assert "browInnerUp" not in chosen(clip(browInnerUp=0.04 * SWAY))
    assert "browInnerUp" in chosen(clip(browInnerUp=0.04 * SWAY), least_range=0.02)
    noisy = clip(browInnerUp=rng.uniform(0.2, 0.8, 100))
    assert "browInnerUp" not in chosen(noisy)
    assert "browInnerUp" in chosen(noisy, least_signal=0.5)


def test_gaze_comes_whole_along_a_direction_or_not_at_all():
    across = {f"eyeLook{way}{side}" for way in ("In", "Out") for side in ("Left", "Right")}
    assert chosen(clip(eyeLookInLeft=SWAY)) == set(LID_BLENDSHAPES) | across
    assert chosen(clip(eyeLookInLeft=SWAY), gaze=False) == set(LID_BLENDSHAPES)


def test_the_order_is_always_the_same():
    found = choose_controls(dataset_of(clip(brow=SWAY, eyeLook=SWAY)), ["0"], ExpressionConfig())
    assert list(found) == [name for name in UPPER_FACE_BLENDSHAPES if name in found]


def test_behind_shut_lids_gaze_goes_straight_and_all_else_stays_as_tracked():
    blink = np.zeros(60)
    blink[30:34] = [0.5, 0.9, 0.7, 0.4]
    look = np.linspace(0.2, 0.5, 60)
    tracked = clip(60, eyeBlink=blink, eyeLookDown=look + 0.6 * blink, eyeSquint=look + 0.3 * blink)
    controls = ("eyeBlinkLeft", "eyeLookDownLeft", "eyeSquintRight")
    columns = [NAMES.index(name) for name in controls]
    heard = expression_weights(tracked, NAMES, controls)
    np.testing.assert_allclose(heard[:, 1], look, atol=1e-6)
    np.testing.assert_array_equal(heard[:, [0, 2]], tracked[:, columns][:, [0, 2]])
    far = np.abs(np.arange(60) - 31.5) > 2 + SHUT_MARGIN_FRAMES
    np.testing.assert_array_equal(heard[far], tracked[far][:, columns])
    np.testing.assert_array_equal(expression_weights(tracked, NAMES, controls, blinks_apart=False), tracked[:, columns])


def test_eyes_that_never_open_keep_what_was_tracked():
    tracked = clip(20, eyeBlink=np.ones(20), eyeLookUp=np.linspace(0, 1, 20))
    np.testing.assert_array_equal(
        expression_weights(tracked, NAMES, ("eyeLookUpLeft",))[:, 0], tracked[:, NAMES.index("eyeLookUpLeft")]
    )


def test_a_control_that_the_tracks_lack_is_refused():
    with pytest.raises(InputError, match="expected the weights cheekPuff among the tracks"):
        expression_weights(clip(), NAMES, ("browInnerUp", "cheekPuff"))


def test_ranges_reach_to_the_shut_lid_and_leave_out_single_frames_of_the_rest():
    values = np.zeros((1000, 2), np.float32)
    values[:10] = 0.8  # one frame in a hundred
    assert control_ranges(values, ("eyeBlinkLeft", "browInnerUp")) == [(0.0, float(np.float32(0.8))), (0.0, 0.0)]


def test_noise_is_told_from_motion():
    rng = np.random.default_rng(1)
    noise = 0.01 * rng.normal(size=3000)
    slow = 0.5 + 0.3 * np.sin(np.arange(3000) / 40)
    (found,) = (w for w in seen_weights([clip(3000, browInnerUp=slow + noise)], NAMES) if w.name == "browInnerUp")
    assert found.noise == pytest.approx(0.01, rel=0.1), "a standard error of 2 % of 3000 frames, and the sine's own"
    assert found.deviation == pytest.approx(0.3 / np.sqrt(2), rel=0.02)
    assert found.low < found.middle < found.high
