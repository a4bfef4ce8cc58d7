"""Spoken sentences for the demo character: sound and phonemes, made by espeak-ng in another process."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gstalker.runtime.errors import InputError

STRESS_MARKS = "ˈˌ"


@dataclass(frozen=True)
class Phoneme:
    """One sound of a sentence; `name` is IPA as espeak-ng writes it, empty for a pause."""

    name: str
    start_s: float
    end_s: float

    @property
    def stressed(self) -> bool:
        """Whether it carries the main stress of a word."""
        return self.name.startswith("ˈ")


@dataclass(frozen=True)
class Speech:
    """A spoken sentence.

    Attributes:
        samples: (S,) float32, -1..1, mono.
        rate_hz: samples a second.
        phonemes: in order; each ends where the next begins.
    """

    text: str
    samples: np.ndarray
    rate_hz: int
    phonemes: tuple[Phoneme, ...]


@dataclass(frozen=True)
class VoiceConfig:
    voice: str = "en-us+f3"  # an espeak-ng voice, with its variant
    words_per_minute: int = 160
    pitch: int = 52  # 0 to 100


def have_espeak() -> bool:
    """Whether the extra `demo` is installed; loads nothing of it."""
    return importlib.util.find_spec("espeakng_loader") is not None


def speak(sentences: tuple[str, ...], config: VoiceConfig | None = None) -> list[Speech]:
    """Say each sentence.

    Raises:
        InputError: the extra `demo` is not installed, espeak-ng refused the voice or failed, or a sentence
            holds nothing to say.
    """
    config = config or VoiceConfig()
    if not have_espeak():
        raise InputError(
            "demo speech: expected the package espeakng-loader, found none. "
            "Install it with pip install 'gstalker[demo]'."
        )
    request = {
        "voice": config.voice,
        "words_per_minute": config.words_per_minute,
        "pitch": config.pitch,
        "sentences": list(sentences),
    }
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "gstalker.runtime.demo_character.espeak_process", folder],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr.strip() or "no message").splitlines()[-1]
            raise InputError(f"demo speech: expected espeak-ng to speak with voice '{config.voice}', got: {said}")
        spoken = json.loads((Path(folder) / "phonemes.json").read_text(encoding="utf-8"))
        return [
            _read(Path(folder) / f"{number:03d}.wav", text, heard["phonemes"])
            for number, (text, heard) in enumerate(zip(sentences, spoken, strict=True))
        ]


def _read(path: Path, text: str, heard: list[dict]) -> Speech:
    with wave.open(str(path), "rb") as file:
        rate_hz = file.getframerate()
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    starts = [h["start_ms"] / 1000 for h in heard] + [len(pcm) / rate_hz]
    if not any(h["name"] for h in heard):
        raise InputError(f"sentence: expected words to say, got '{text}'.")
    phonemes = tuple(Phoneme(h["name"], starts[i], max(starts[i], starts[i + 1])) for i, h in enumerate(heard))
    return Speech(text, pcm.astype(np.float32) / 32768.0, rate_hz, phonemes)
