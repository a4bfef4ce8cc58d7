"""espeak-ng in a process of its own: sentences in, sound and phoneme times out.

    python -m gstalker.runtime.demo_character.espeak_process OUT_FOLDER < request.json

reads {"voice", "words_per_minute", "pitch", "sentences"} and writes 000.wav, 001.wav, ... (mono PCM 16) and
phonemes.json, one entry a sentence. espeak-ng is GPL-3 and is loaded here alone: nothing else of the project
links with it. Needs the extra `demo`.
"""

from __future__ import annotations

import ctypes
import json
import sys
import wave
from pathlib import Path

_RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL: samples come to the callback, nothing is played
_PHONEME_EVENTS, _PHONEME_IPA = 1, 2
_LIST_END, _WORD, _PHONEME = 0, 1, 7
_RATE, _PITCH = 1, 3
_UTF8 = 1
_BUFFER_MS = 200


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """The library, opened once a process."""

    def __init__(self, voice: str, words_per_minute: int, pitch: int) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        options = _PHONEME_EVENTS | _PHONEME_IPA
        self.rate_hz: int = self._library.espeak_Initialize(_RETRIEVAL, _BUFFER_MS, data, options)
        if self.rate_hz <= 0:
            raise SystemExit(f"espeak-ng could not start with its data in {data.decode()}")
        self._callback = _Callback(self._receive)  # kept: the library holds only the pointer
        self._library.espeak_SetSynthCallback(self._callback)
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SystemExit(f"espeak-ng knows no voice '{voice}'")
        self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._pcm = bytearray()
        self._phonemes: list[dict[str, object]] = []
        self._words_ms: list[int] = []

    def _receive(self, samples, count: int, events) -> int:
        if samples and count > 0:
            self._pcm += ctypes.string_at(samples, 2 * count)
        i = 0
        while events[i].type != _LIST_END:
            if events[i].type == _PHONEME:
                name = bytes(events[i].id.string).split(b"\0")[0].decode(errors="ignore")
                self._phonemes.append({"name": name, "start_ms": events[i].audio_position_ms})
            elif events[i].type == _WORD:
                self._words_ms.append(events[i].audio_position_ms)
            i += 1
        return 0

    def say(self, text: str) -> tuple[bytes, dict[str, object]]:
        """PCM 16 samples, and the phonemes with their starts."""
        self._pcm, self._phonemes, self._words_ms = bytearray(), [], []
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        return bytes(self._pcm), {"phonemes": self._phonemes, "words_ms": self._words_ms}


def main() -> None:
    """Read the request, write the files."""
    folder = Path(sys.argv[1])
    request = json.load(sys.stdin)
    espeak = Espeak(request["voice"], request["words_per_minute"], request["pitch"])
    spoken = []
    for number, sentence in enumerate(request["sentences"]):
        pcm, phonemes = espeak.say(sentence)
        with wave.open(str(folder / f"{number:03d}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(espeak.rate_hz)
            file.writeframes(pcm)
        spoken.append(phonemes)
    (folder / "phonemes.json").write_text(json.dumps(spoken), encoding="utf-8")


if __name__ == "__main__":
    main()
