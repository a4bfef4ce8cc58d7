"""Phonemes to mouth motion: what each sound asks of the mouth, and how neighbouring sounds share it.

Each sound has a target for some controls and a dominance that falls off around it; what the mouth does is the
mean of the targets weighted by dominance, so lips round before an 'oo' is heard. Closures (m, b, p) and the
lip under the teeth (f, v) are not averaged away: they hold for at least one video frame.

Source: Cohen and Massaro 1993, 'Modeling coarticulation in synthetic visual speech': dominance
alpha * exp(-theta |tau|^c) with c = 1. The targets are our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.runtime.demo_character.controls import MOUTH_CONTROLS
from gstalker.runtime.demo_character.speech import STRESS_MARKS, Phoneme

_VOWELS: dict[str, dict[str, float]] = {
    "ɑ": {"jaw_open": 0.80, "lower_drop": 0.15, "upper_raise": 0.05},
    "a": {"jaw_open": 0.72, "wide": 0.15, "lower_drop": 0.15, "upper_raise": 0.10},
    "æ": {"jaw_open": 0.66, "wide": 0.40, "upper_raise": 0.20, "lower_drop": 0.20},
    "ʌ": {"jaw_open": 0.50, "lower_drop": 0.10},
    "ɐ": {"jaw_open": 0.45, "lower_drop": 0.10},
    "ə": {"jaw_open": 0.28, "lower_drop": 0.08},
    "ɛ": {"jaw_open": 0.48, "wide": 0.35, "upper_raise": 0.20, "lower_drop": 0.20},
    "e": {"jaw_open": 0.38, "wide": 0.50, "upper_raise": 0.22, "lower_drop": 0.25},
    "ɪ": {"jaw_open": 0.26, "wide": 0.45, "upper_raise": 0.18, "lower_drop": 0.22},
    "ᵻ": {"jaw_open": 0.22, "wide": 0.35, "upper_raise": 0.12, "lower_drop": 0.18},
    "i": {"jaw_open": 0.16, "wide": 0.75, "upper_raise": 0.25, "lower_drop": 0.30},
    "ɚ": {"jaw_open": 0.26, "pucker": 0.45, "funnel": 0.25},
    "ɜ": {"jaw_open": 0.30, "pucker": 0.40, "funnel": 0.25},
    "ɔ": {"jaw_open": 0.55, "pucker": 0.50, "funnel": 0.35},
    "o": {"jaw_open": 0.42, "pucker": 0.70, "funnel": 0.30},
    "ɒ": {"jaw_open": 0.62, "pucker": 0.25, "funnel": 0.15},
    "ʊ": {"jaw_open": 0.26, "pucker": 0.75, "funnel": 0.25},
    "u": {"jaw_open": 0.18, "pucker": 1.00, "funnel": 0.25},
}
_CONSONANTS: dict[str, dict[str, float]] = {
    "m": {"press": 0.35, "jaw_open": 0.14},
    "b": {"press": 0.45, "jaw_open": 0.14},
    "p": {"press": 0.55, "jaw_open": 0.12},
    "f": {"upper_raise": 0.30, "jaw_open": 0.14},
    "v": {"upper_raise": 0.25, "jaw_open": 0.14},
    "w": {"pucker": 1.00, "funnel": 0.15, "jaw_open": 0.12},
    "ɹ": {"pucker": 0.50, "funnel": 0.35, "jaw_open": 0.20, "tongue_up": 0.3},
    "θ": {"jaw_open": 0.20, "tongue_up": 0.85, "lower_drop": 0.25, "upper_raise": 0.15},
    "ð": {"jaw_open": 0.20, "tongue_up": 0.85, "lower_drop": 0.25, "upper_raise": 0.10},
    "t": {"jaw_open": 0.14, "tongue_up": 1.0, "wide": 0.15, "lower_drop": 0.22, "upper_raise": 0.10},
    "d": {"jaw_open": 0.16, "tongue_up": 1.0, "wide": 0.12, "lower_drop": 0.22, "upper_raise": 0.10},
    "n": {"jaw_open": 0.16, "tongue_up": 1.0, "wide": 0.12, "lower_drop": 0.20, "upper_raise": 0.08},
    "l": {"jaw_open": 0.24, "tongue_up": 1.0, "wide": 0.10, "lower_drop": 0.18},
    "ɾ": {"jaw_open": 0.22, "tongue_up": 0.8, "lower_drop": 0.15},
    "s": {"jaw_open": 0.06, "wide": 0.40, "upper_raise": 0.25, "lower_drop": 0.42},
    "z": {"jaw_open": 0.07, "wide": 0.38, "upper_raise": 0.22, "lower_drop": 0.40},
    "ʃ": {"jaw_open": 0.10, "funnel": 0.75, "pucker": 0.40, "upper_raise": 0.22, "lower_drop": 0.25},
    "ʒ": {"jaw_open": 0.10, "funnel": 0.75, "pucker": 0.40, "upper_raise": 0.20, "lower_drop": 0.22},
    "k": {"jaw_open": 0.26, "lower_drop": 0.10},
    "ɡ": {"jaw_open": 0.26, "lower_drop": 0.10},
    "ŋ": {"jaw_open": 0.26, "lower_drop": 0.10},
    "h": {"jaw_open": 0.25},
    "j": {"jaw_open": 0.16, "wide": 0.55, "lower_drop": 0.15},
    "ʔ": {"jaw_open": 0.15},
}
CLOSURES, LIP_UNDER_TEETH = "mbp", "fv"
_AFFRICATES = {"tʃ": "ʃ", "dʒ": "ʒ"}

# How strongly a sound insists. Consonants care about little but that strongly; h and the velars give way.
_VOWEL_STRENGTH, _CONSONANT_STRENGTH, _YIELDING_STRENGTH, _PAUSE_STRENGTH = 1.0, 1.3, 0.35, 0.9
_UNASKED = {"vowel": 0.45, "consonant": 0.12, "pause": 0.9}  # pull towards 0 where a sound has no target
_YIELDING = "hkɡŋʔ"
_FALL_PER_S = {"pucker": 13.0, "funnel": 15.0, "wide": 16.0, "jaw_open": 19.0, "tongue_up": 30.0}
_FALL_OTHERS_PER_S = 22.0
_PLATEAU = 0.30  # share of a sound's length on each side of its middle at full dominance
_HOLD_S, _RAMP_S = 0.048, 0.060  # a frame lasts 0.040 s: a hold this long is always seen
_MAIN_STRESS, _NO_STRESS = 1.12, 0.85


@dataclass(frozen=True)
class Segment:
    """A sound with one mouth shape."""

    symbol: str  # IPA without marks, empty for a pause
    start_s: float
    end_s: float
    scale: float = 1.0  # of the vowel's opening


def segments(phonemes: tuple[Phoneme, ...]) -> list[Segment]:
    """Split what espeak-ng calls one phoneme (diphthongs, 'ɔːɹ', 'tʃ') into sounds with one shape each."""
    out: list[Segment] = []
    for phoneme in phonemes:
        symbols = _symbols(phoneme.name)
        if not symbols:
            out.append(Segment("", phoneme.start_s, phoneme.end_s))
            continue
        scale = _MAIN_STRESS if phoneme.stressed else (1.0 if phoneme.name[:1] in STRESS_MARKS else _NO_STRESS)
        first = 0.60 if len(symbols) > 1 else 1.0
        shares = [first] + [(1 - first) / max(1, len(symbols) - 1)] * (len(symbols) - 1)
        at = phoneme.start_s
        for symbol, share in zip(symbols, shares, strict=True):
            end = at + share * (phoneme.end_s - phoneme.start_s)
            out.append(Segment(symbol, at, end, scale if symbol in _VOWELS else 1.0))
            at = end
    return out


def _symbols(name: str) -> list[str]:
    for double, single in _AFFRICATES.items():
        name = name.replace(double, single)
    found = [c for c in name if c in _VOWELS or c in _CONSONANTS]
    if not found and any(c.isalpha() for c in name.strip(STRESS_MARKS)):
        return ["ə"]  # a sound of another language: a neutral mouth
    return found


def mouth_track(sounds: list[Segment], times_s: np.ndarray) -> np.ndarray:
    """Mouth controls (T, len(MOUTH_CONTROLS)) at the given times, from `segments`."""
    kinds = ["pause" if not s.symbol else "vowel" if s.symbol in _VOWELS else "consonant" for s in sounds]
    targets = [_VOWELS.get(s.symbol) or _CONSONANTS.get(s.symbol) or {} for s in sounds]
    middle = np.array([(s.start_s + s.end_s) / 2 for s in sounds])
    plateau = np.array([_PLATEAU * (s.end_s - s.start_s) for s in sounds])
    away = np.maximum(np.abs(times_s[:, None] - middle) - plateau, 0.0)
    track = np.zeros((len(times_s), len(MOUTH_CONTROLS)))
    for column, control in enumerate(MOUTH_CONTROLS):
        goal = np.array([t.get(control, 0.0) * s.scale for t, s in zip(targets, sounds, strict=True)])
        strength = np.array(
            [_strength(kind, s.symbol, control in t) for kind, s, t in zip(kinds, sounds, targets, strict=True)]
        )
        fall = _FALL_PER_S.get(control, _FALL_OTHERS_PER_S)
        dominance = strength * np.exp(-fall * away)
        track[:, column] = dominance @ goal / np.maximum(dominance.sum(axis=1), 1e-9)
    for control, symbols in (("seal", CLOSURES), ("tuck", LIP_UNDER_TEETH)):
        track[:, MOUTH_CONTROLS.index(control)] = _held(sounds, symbols, times_s)
    # A closed mouth cannot show its teeth, nor can one whose lip is under them drop that lip.
    closed = track[:, MOUTH_CONTROLS.index("seal")]
    tucked = track[:, MOUTH_CONTROLS.index("tuck")]
    for control in ("upper_raise", "lower_drop"):
        track[:, MOUTH_CONTROLS.index(control)] *= 1 - closed
    track[:, MOUTH_CONTROLS.index("lower_drop")] *= 1 - tucked
    track[:, MOUTH_CONTROLS.index("jaw_open")] *= 1 - 0.55 * tucked
    return np.clip(track, 0.0, 1.0)


def _strength(kind: str, symbol: str, asked: bool) -> float:
    if kind == "pause":
        return _PAUSE_STRENGTH
    if not asked:
        return _UNASKED[kind]
    if kind == "vowel":
        return _VOWEL_STRENGTH
    return _YIELDING_STRENGTH if symbol in _YIELDING else _CONSONANT_STRENGTH


def _held(sounds: list[Segment], symbols: str, times_s: np.ndarray) -> np.ndarray:
    """(T,) 1 while one of the sounds is held, with smooth ramps before and after."""
    value = np.zeros(len(times_s))
    for sound in sounds:
        if not sound.symbol or sound.symbol not in symbols:
            continue
        middle = (sound.start_s + sound.end_s) / 2
        half = max(_HOLD_S, 0.8 * (sound.end_s - sound.start_s)) / 2
        x = np.clip((half + _RAMP_S - np.abs(times_s - middle)) / _RAMP_S, 0.0, 1.0)
        value = np.maximum(value, x * x * (3 - 2 * x))
    return value
