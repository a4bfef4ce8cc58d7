"""Emotions as a person was seen to come nearest to them: combinations that were seen, and no further."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gstalker.runtime.emotions import LEAST_SUPPORT, PROTOTYPES, learn_emotions, prototype_shares, whole_square
from gstalker.runtime.errors import InputError
from gstalker.runtime.seen import Emotion, Seen, SeenRange, read_seen, seen_lines, write_seen

NAMES = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "browDownLeft", "browDownRight", "eyeLookUpLeft")
FULL = [(0.0, 1.0)] * len(NAMES)
OPEN = np.zeros(500, bool)


def person(**peaks: float) -> np.ndarray:
    """(500, E): at rest at 0.1, and in the last 50 frames as far as `peaks` says, by the beginning of the name."""
    weights = np.full((500, len(NAMES)), 0.1)
    for e, name in enumerate(NAMES):
        for beginning, value in peaks.items():
            if name.startswith(beginning):
                weights[450:, e] = value
    return weights


def learnt(
    weights: np.ndarray, ranges: list[tuple[float, float]] = FULL, blink: np.ndarray = OPEN
) -> dict[str, Emotion]:
    return {e.name: e for e in learn_emotions(weights, NAMES, ranges, blink)}


def test_a_person_who_raises_the_brows_can_be_surprised_and_not_angry():
    found = learnt(person(browInnerUp=0.8, browOuterUp=0.7))
    assert found["surprised"].targets == pytest.approx(
        {"browInnerUp": 0.8, "browOuterUpLeft": 0.7, "browOuterUpRight": 0.7}
    )
    wide_eyes_and_jaw = whole_square(PROTOTYPES["surprised"]) - 3 * 0.9**2
    reached = 0.9 * (0.7 + 2 * 0.6)
    assert found["surprised"].support == pytest.approx(reached / (3 * 0.9**2 + wide_eyes_and_jaw))
    assert "angry" not in found
    assert "happy" not in found, "a smile is the mouth's, and the brows are the least of it"


def test_who_was_seen_to_move_nothing_has_no_emotion():
    assert learn_emotions(person(), NAMES, FULL, OPEN) == ()
    assert learn_emotions(np.zeros((0, 6)), NAMES, FULL, np.zeros(0, bool)) == ()
    assert learn_emotions(np.zeros((9, 0)), (), [], np.zeros(9, bool)) == ()


def test_support_grows_with_what_was_seen_up_to_all_of_it():
    supports = [learnt(person(browDown=p))["angry"].support for p in (0.3, 0.5, 0.9)]
    assert supports == sorted(supports)
    assert LEAST_SUPPORT < supports[0] < supports[2] <= 1.0


def test_a_persons_own_asymmetry_and_combinations_are_kept():
    weights = person(browDownLeft=0.8, browDownRight=0.3)
    targets = learnt(weights)["angry"].targets
    assert (targets["browDownLeft"], targets["browDownRight"]) == pytest.approx((0.8, 0.3))
    apart = person()
    apart[400:450, 0], apart[450:, 3:5] = 0.9, 0.9  # brows up, and brows down, never both
    sad = learnt(apart)["sad"].targets
    assert sad["browInnerUp"] == pytest.approx(0.9)
    assert sad["browDownLeft"] == pytest.approx(0.1), "never seen together with raised brows"


def test_targets_stay_within_the_ranges_and_the_prototype():
    ranges = [(0.0, 0.4)] * len(NAMES)
    assert learnt(person(browInnerUp=0.9, browOuterUp=0.9), ranges)["surprised"].targets["browInnerUp"] == 0.4
    thoughtful = learnt(person(browDown=1.0))["thoughtful"]
    assert thoughtful.targets["browDownLeft"] == pytest.approx(0.1 + 0.4), "no stronger than the emotion is"


def test_gaze_and_whatever_else_the_prototype_leaves_out_is_left_alone():
    assert "eyeLookUpLeft" not in learnt(person(brow=0.9, eyeLookUp=0.9))["surprised"].targets


def test_blinks_show_no_emotion():
    blink = OPEN.copy()
    blink[450:] = True
    assert learnt(person(browDown=0.9), blink=blink) == {}


def test_prototypes_touch_what_they_name_and_no_more():
    shares = prototype_shares(("browInnerUp", "eyeBlinkLeft"))
    assert set(shares) == {"sad", "surprised", "afraid", "thoughtful"}
    assert shares["sad"][0] == 0.9
    assert np.isnan(shares["sad"][1])
    assert prototype_shares(()) == {}


def test_what_was_seen_is_kept_with_the_run(tmp_path: Path):
    assert read_seen(tmp_path) is None
    seen = Seen((SeenRange("head turn", "rad", -0.2, 0.0, 0.3, True),), (Emotion("sad", 0.5, {"browInnerUp": 0.8}),))
    write_seen(tmp_path, seen)
    assert read_seen(tmp_path) == seen
    (tmp_path / "seen.json").write_text('{"format_version": 9}')
    with pytest.raises(InputError, match="expected format 1, got 9"):
        read_seen(tmp_path)


def test_the_table_for_people_says_what_is_too_little_and_what_is_weak():
    ranges = (
        SeenRange("browInnerUp", "weight", 0.0, 0.1, 0.9, True),
        SeenRange("eyeWideLeft", "weight", 0.0, 0.0, 0.01, False),
        SeenRange("head turn", "rad", -0.2, 0.0, 0.3, True),
    )
    lines = seen_lines(Seen(ranges, (Emotion("angry", 0.1, {}), Emotion("sad", 0.5, {}))))
    assert lines[1].split() == ["browInnerUp", "0.00", "0.10", "0.90"]
    assert lines[2].endswith("too little to be a control")
    assert lines[3].split()[-1] == "rad"
    assert [line.split() for line in lines[-2:]] == [["sad", "0.50"], ["angry", "0.10", "weak"]]
    assert "none" in seen_lines(Seen(ranges))[-1]
    assert seen_lines(Seen()) == []
