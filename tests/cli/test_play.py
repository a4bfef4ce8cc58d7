"""`gstalker play` with a made-up sound device."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from helpers.running_server import Running, run_server
from made_bundle import write_made_bundle

from gstalker.bridge.free_port import free_port
from gstalker.cli.main import main

pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")


class MadeStream:
    """Asks as PortAudio does, from a thread."""

    played: list[np.ndarray]
    latency, time = 0.05, 100.0

    def __init__(self, *, samplerate, device, channels, dtype, callback) -> None:
        assert (samplerate, channels, dtype) == (44_100, 1, "float32")
        self.callback, self.done, MadeStream.played = callback, threading.Event(), []

    def start(self) -> None:
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        asked = 0
        began_s = time.perf_counter()
        while not self.done.wait(0.005):
            while asked < (time.perf_counter() - began_s) * 44_100 + 2205:
                out = np.zeros((441, 1), np.float32)
                # As on drivers that do not know their time.
                self.callback(out, 441, SimpleNamespace(outputBufferDacTime=0.0, currentTime=0.0), self.status)
                MadeStream.played.append(out[:, 0])
                asked += 441

    status = SimpleNamespace(output_underflow=False)

    def close(self) -> None:
        self.done.set()
        self.thread.join(10)


class MadePortAudioError(Exception):
    pass


@pytest.fixture
def sound_device(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("sounddevice")

    def query_devices(device, kind):
        if device == "nowhere":
            raise ValueError("No output device matching 'nowhere'")
        return {"name": "made", "default_samplerate": 44_100.0}

    module.query_devices, module.OutputStream = query_devices, MadeStream  # type: ignore[attr-defined]
    module.PortAudioError = MadePortAudioError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    from gstalker.runtime.dataset import write_wav

    write_made_bundle(tmp_path / "made.gsavatar")
    write_wav(tmp_path / "tone.wav", (0.3 * np.sin(np.arange(3 * 16_000) / 12)).astype(np.float32))
    running = run_server(tmp_path / "made.gsavatar", tmp_path / "tone.wav", free_port(), lead_s=0.5)
    yield running
    running.end()


@pytest.mark.usefixtures("sound_device")
def test_the_voice_comes_out_of_the_loudspeaker_and_the_figures_are_shown(running: Running, capsys):
    assert main(["play", running.address, "--seconds", "2"]) == 0
    played = np.concatenate(MadeStream.played)
    assert np.abs(played).max() == pytest.approx(0.3, abs=0.02)
    printed = capsys.readouterr().out
    for text in ("made, session 1", "Synthetic", "connected", "sound ahead of picture", "underruns"):
        assert text in printed


def test_without_a_loudspeaker_the_session_s_clock_gives_the_time(running: Running, capsys):
    assert main(["play", running.address, "--mute", "--seconds", "1"]) == 0
    assert "connected" in capsys.readouterr().out


@pytest.mark.usefixtures("sound_device")
def test_a_device_that_is_not_there_is_named(capsys):
    assert main(["play", "--device", "nowhere"]) == 2
    assert "loudspeaker: expected a sound device to play through, found none" in " ".join(
        capsys.readouterr().err.split()
    )


def test_a_device_that_cannot_be_opened_is_named(running: Running, sound_device: ModuleType, capsys):
    def busy(**_: object) -> None:
        raise MadePortAudioError("device busy")

    sound_device.OutputStream = busy  # type: ignore[attr-defined]
    assert main(["play", running.address]) == 2
    assert "loudspeaker made: expected to open it at 44100 Hz (device busy)" in " ".join(
        capsys.readouterr().err.split()
    )


def test_without_sounddevice_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert main(["play"]) == 2
    assert "expected the package sounddevice and PortAudio" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--seconds", "-1"), "--seconds: expected 0 or more, got -1"),
        (("--mute", "--keys", "me"), "--keys and --server-key: expected both or neither"),
    ],
)
def test_options_that_make_no_sense_are_refused(words: tuple[str, ...], text: str, capsys):
    assert main(["play", *words]) == 2
    assert text in " ".join(capsys.readouterr().err.split())
