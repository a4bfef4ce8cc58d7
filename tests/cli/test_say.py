"""`gstalker say` and `gstalker devices`: speech into a running server, from files, pipes and a made-up microphone."""

from __future__ import annotations

import io
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import fake_sounddevice
from helpers.fake_sounddevice import FakeSounddevice
from helpers.running_server import Running, run_server
from made_bundle import write_made_bundle

from gstalker.bridge import schema
from gstalker.bridge.client.client import AvatarClient
from gstalker.bridge.free_port import free_port
from gstalker.cli.main import main
from gstalker.runtime.dataset import write_wav


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory):
    bundle = tmp_path_factory.mktemp("say") / "made.gsavatar"
    write_made_bundle(bundle)
    port = free_port()
    server = run_server(bundle, None, port, lead_s=0.2)
    yield server
    server.end()


class Listener:
    """A client beside the one under test that keeps the sound it hears."""

    def __init__(self, running: Running) -> None:
        self.heard: list[np.ndarray] = []
        self.ends: list[schema.SpeechEnd] = []
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=(running.address,), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    def _listen(self, address: str) -> None:
        with AvatarClient(address, topics=(schema.Audio,)) as client:
            self._ready.set()
            while not self._stop.is_set():
                received = client.receive(0.05)
                if received is not None and isinstance(received.message, schema.Audio):
                    self.heard.append(np.array(received.message.pcm))
                if received is not None and isinstance(received.message, schema.SpeechEnd):
                    self.ends.append(received.message)

    def end(self) -> np.ndarray:
        time.sleep(0.3)
        self._stop.set()
        self._thread.join(20)
        return np.concatenate([np.zeros(0, np.int16), *self.heard])


def test_a_file_is_spoken_sample_by_sample(
    running: Running, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    sound = (np.random.default_rng(0).normal(size=16_000) * 0.1).astype(np.float32)
    write_wav(tmp_path / "a.wav", sound)
    listener = Listener(running)
    assert main(["say", running.address, "--audio", str(tmp_path / "a.wav")]) == 0
    heard = listener.end()
    assert "said 1.0 s" in capsys.readouterr().out
    sent = np.round(sound * 32767).astype(np.int16)
    first = int(np.flatnonzero(heard == sent[0])[0])
    # The client scales by 32767 what the file reader divided by 32768: one step of 16 bits, measured 1.
    assert np.abs(heard[first : first + 16_000].astype(int) - sent).max() <= 1
    assert [end.cut for end in listener.ends] == [False]


def test_pcm_on_standard_input_is_spoken_at_its_own_rate(
    running: Running, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    pcm = (8000 * np.sin(2 * np.pi * 300 * np.arange(24_000) / 24_000)).astype("<i2")
    stereo = np.stack([pcm, pcm], axis=1)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stereo.tobytes())))
    listener = Listener(running)
    assert main(["say", running.address, "--audio", "-", "--rate", "24000", "--channels", "2"]) == 0
    heard = listener.end()
    assert "said 1.0 s" in capsys.readouterr().out
    loud = heard[np.abs(heard.astype(int)) > 4000]
    assert 0.6 * 16_000 < len(loud) < 0.7 * 16_000, "a sine is above half its height two thirds of the time"


def test_a_microphone_is_spoken_until_it_is_pulled_and_that_is_said(
    running: Running, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    fake = fake_sounddevice.install(monkeypatch)
    listener = Listener(running)
    stopper = threading.Thread(target=_talk_then_pull_then_stop, args=(fake, listener, running.address), daemon=True)
    stopper.start()
    assert main(["say", running.address, "--audio", "mic:usb"]) == 0
    stopper.join(20)
    heard = listener.end()
    printed = capsys.readouterr()
    assert "microphone USB headset: running, 44100 Hz stereo" in printed.err
    assert "microphone USB headset: gone" in printed.err
    assert "then it was cut" in printed.out
    assert np.abs(heard.astype(int)).max() >= 900


def _talk_then_pull_then_stop(fake: FakeSounddevice, listener: Listener, address: str) -> None:
    deadline = time.monotonic() + 30
    while not fake.streams and time.monotonic() < deadline:
        time.sleep(0.01)
    while not listener.heard and time.monotonic() < deadline:
        fake.streams[0].feed(np.full((441, 2), 1000, np.int16))
        time.sleep(0.01)
    fake.pull_out()
    time.sleep(0.5)
    with AvatarClient(address, topics=()) as client:
        client.stop()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--audio", "nothing.wav"], "expected a sound file, mic, mic:DEVICE or -, found no file 'nothing.wav'"),
        (["--audio", "-", "--rate", "7000"], "expected a rate of 8000 to 96000 Hz, got 7000"),
        (["--audio", "-", "--channels", "3"], "expected 1 or 2 channels, got 3"),
    ],
)
def test_what_cannot_be_said_is_refused(words: list[str], text: str, capsys: pytest.CaptureFixture):
    assert main(["say", "tcp://127.0.0.1:1", *words]) == 2
    assert text in " ".join(capsys.readouterr().err.split())


def test_devices_are_listed_and_a_machine_without_any_is_told(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    fake = fake_sounddevice.install(monkeypatch)
    assert main(["devices"]) == 0
    printed = capsys.readouterr().out
    assert "USB headset" in printed
    assert "Speakers" not in printed
    fake.devices[:] = []
    assert main(["devices"]) == 2
    assert "this machine has none that sound can come from" in " ".join(capsys.readouterr().err.split())
