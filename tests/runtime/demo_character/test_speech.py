"""espeak-ng speaks from its own process, and its absence is said in one line."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from gstalker.runtime.demo_character import speech
from gstalker.runtime.demo_character.speech import VoiceConfig, speak
from gstalker.runtime.errors import InputError

needs_espeak = pytest.mark.skipif(not speech.have_espeak(), reason="the extra demo (espeakng-loader) is not installed")


@needs_espeak
def test_a_sentence_has_sound_and_phonemes_in_order():
    heard = speak(("My map.",))[0]
    assert heard.rate_hz == 22_050
    assert np.abs(heard.samples).max() > 0.05
    names = [p.name.strip("ˈˌ") for p in heard.phonemes if p.name]
    assert names == ["m", "aɪ", "m", "æ", "p"]
    assert any(p.stressed for p in heard.phonemes)
    starts = [p.start_s for p in heard.phonemes]
    assert starts == sorted(starts)
    assert heard.phonemes[-1].end_s <= len(heard.samples) / heard.rate_hz + 1e-9


@needs_espeak
def test_the_vowel_is_louder_than_the_closure_where_the_times_say():
    heard = speak(("Papa.",))[0]

    def loudness(start_s: float, end_s: float) -> float:
        return float(np.abs(heard.samples[int(start_s * heard.rate_hz) : int(end_s * heard.rate_hz)]).mean())

    vowels = [p for p in heard.phonemes if "ɑ" in p.name]
    first_closure = heard.phonemes[0]
    middle = 0.5 * (first_closure.start_s + first_closure.end_s)
    assert loudness(vowels[0].start_s, vowels[0].end_s) > 4 * loudness(first_closure.start_s, middle)


@needs_espeak
def test_espeak_never_enters_this_process():
    speak(("Hello.",))
    assert "espeakng_loader" not in sys.modules


@needs_espeak
def test_an_unknown_voice_is_refused():
    with pytest.raises(
        InputError, match="expected espeak-ng to speak with voice 'klingon-x9', got: espeak-ng knows no voice"
    ):
        speak(("Hello.",), VoiceConfig(voice="klingon-x9"))


@needs_espeak
def test_a_sentence_without_words_is_refused():
    with pytest.raises(InputError, match=r"sentence: expected words to say, got '\.\.\.'"):
        speak(("...",))


def test_a_missing_demo_extra_is_said_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speech, "have_espeak", lambda: False)
    with pytest.raises(
        InputError, match=r"espeakng-loader, found none. Install it with pip install 'gstalker\[demo\]'"
    ):
        speak(("Hello.",))
