"""Sounds become the right mouths, and no closure falls between two video frames."""

from __future__ import annotations

import numpy as np
import pytest

from gstalker.runtime.demo_character.character import build_character
from gstalker.runtime.demo_character.controls import MOUTH_CONTROLS, FaceControls, MouthControls
from gstalker.runtime.demo_character.speech import Phoneme
from gstalker.runtime.demo_character.visemes import mouth_track, segments
from gstalker.runtime.landmarks import LIP_OPENING

REST = FaceControls()


def phonemes(*named: tuple[str, float]) -> tuple[Phoneme, ...]:
    """Phonemes of the given lengths, one after the other."""
    out, at = [], 0.0
    for name, length_s in named:
        out.append(Phoneme(name, at, at + length_s))
        at += length_s
    return tuple(out)


def column(track: np.ndarray, control: str) -> np.ndarray:
    return track[:, MOUTH_CONTROLS.index(control)]


def lip_gap_cm(mouth: MouthControls) -> float:
    landmarks = build_character().landmarks_head_m(mouth, REST)
    upper, lower = LIP_OPENING
    return 100 * float(np.linalg.norm(landmarks[upper] - landmarks[lower]))


@pytest.mark.parametrize("closure", ["m", "b", "p"])
def test_lips_close_on_bilabials_and_open_on_a(closure: str):
    said = phonemes(("ˈɑː", 0.2), (closure, 0.06), ("ˈɑː", 0.2))
    track = mouth_track(segments(said), np.array([0.10, 0.23, 0.36]))
    before, shut, after = (lip_gap_cm(MouthControls.from_vector(row)) for row in track)
    assert shut < 0.01, f"lips {shut:.3f} cm apart in the middle of {closure}"
    assert min(before, after) > 1.0, "an open vowel opens the lips by more than a centimetre"


@pytest.mark.parametrize("phase_s", [0.0, 0.01, 0.02, 0.03])
def test_a_closure_of_fifteen_milliseconds_is_shut_on_some_frame(phase_s: float):
    said = phonemes(("ɑː", 0.2), ("b", 0.015), ("ɑː", 0.2))
    frames = phase_s + np.arange(10) / 25
    assert column(mouth_track(segments(said), frames), "seal").max() == 1.0


def test_f_puts_the_lip_under_the_teeth_without_closing_the_mouth():
    track = mouth_track(segments(phonemes(("ɛ", 0.2), ("f", 0.1), ("ɛ", 0.2))), np.array([0.25]))
    assert column(track, "tuck")[0] == 1.0
    assert column(track, "seal")[0] == 0.0


def test_lips_round_before_the_round_vowel_is_heard():
    """In 't' before 'u' the lips are rounder than in 't' before 'i', and rounder than long before."""
    late_in_t = np.array([0.17])
    round_ahead = mouth_track(segments(phonemes(("", 0.1), ("t", 0.08), ("uː", 0.2))), late_in_t)
    spread_ahead = mouth_track(segments(phonemes(("", 0.1), ("t", 0.08), ("iː", 0.2))), late_in_t)
    assert column(round_ahead, "pucker")[0] > 0.3
    assert column(spread_ahead, "pucker")[0] < 0.01
    assert column(spread_ahead, "wide")[0] > 0.2


def test_mouth_is_wider_for_i_and_narrower_for_u_than_at_rest():
    def width_cm(name: str) -> float:
        track = mouth_track(segments(phonemes((name, 0.3))), np.array([0.15]))
        landmarks = build_character().landmarks_head_m(MouthControls.from_vector(track[0]), REST)
        return 100 * float(landmarks[291, 0] - landmarks[61, 0])

    at_rest = 100 * float(np.diff(build_character().landmarks_head_m(MouthControls(), REST)[[61, 291], 0])[0])
    assert width_cm("uː") < at_rest - 0.8
    assert width_cm("iː") > at_rest + 0.3


def test_teeth_stay_hidden_while_the_lips_are_closed():
    said = phonemes(("s", 0.1), ("m", 0.1), ("s", 0.1))
    track = mouth_track(segments(said), np.array([0.05, 0.15]))
    assert column(track, "lower_drop")[0] > 0.3
    assert column(track, "lower_drop")[1] == 0.0


def test_diphthongs_and_affricates_split_into_single_shapes():
    assert [s.symbol for s in segments(phonemes(("ˈaɪ", 0.2), ("tʃ", 0.1), ("ɔːɹ", 0.2)))] == ["a", "ɪ", "ʃ", "ɔ", "ɹ"]
    parts = segments(phonemes(("ˈaɪ", 0.2)))
    assert parts[0].start_s == 0.0
    assert parts[0].end_s == parts[1].start_s == pytest.approx(0.12)
    assert parts[1].end_s == pytest.approx(0.2)


def test_an_unknown_sound_becomes_a_neutral_vowel_and_a_pause_stays_a_pause():
    assert [s.symbol for s in segments(phonemes(("ç", 0.1), ("", 0.1)))] == ["ə", ""]


def test_silence_rests_the_mouth():
    track = mouth_track(segments(phonemes(("", 1.0))), np.linspace(0, 1, 5))
    assert np.abs(track).max() == 0.0
