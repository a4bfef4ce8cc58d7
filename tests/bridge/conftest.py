"""Free ports, a small avatar and a sound for the tests of the bridge."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zmq
from helpers.running_server import Running, run_server
from made_bundle import LIKENESS, made_avatar, write_made_bundle

from gstalker.bridge import schema
from gstalker.bridge.codec import encode
from gstalker.bridge.free_port import free_port
from gstalker.export.write import bundle_of
from gstalker.runtime.bundle import write_bundle
from gstalker.runtime.dataset import write_wav


@pytest.fixture(name="free_port")
def _free_port() -> int:
    """A port that is free together with the next one."""
    return free_port()


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made avatar of 480 Gaussians."""
    path = tmp_path_factory.mktemp("bundle") / "made.gsavatar"
    write_made_bundle(path)
    return path


@pytest.fixture(scope="session")
def other_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smaller made avatar, called other."""
    path = tmp_path_factory.mktemp("bundle") / "other.gsavatar"
    write_bundle(path, bundle_of(replace(made_avatar(head_movers=120), name="other"), LIKENESS))
    return path


@pytest.fixture(scope="session")
def speech_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of a made voice, 44.1 kHz stereo."""
    import av

    path = tmp_path_factory.mktemp("speech") / "voice.wav"
    seconds = np.arange(44_100) / 44_100
    voice = 0.3 * np.sin(2 * np.pi * 150 * seconds) * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * seconds))
    pcm = np.round(np.stack([voice, 0.5 * voice], axis=1) * 32767).astype(np.int16)
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=44_100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def long_speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of a tone, 16 kHz."""
    path = tmp_path_factory.mktemp("speech") / "long.wav"
    write_wav(path, (0.3 * np.sin(np.arange(12 * 16_000) / 17)).astype(np.float32))
    return path


@pytest.fixture(scope="session")
def silent_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV with a header and no sample."""
    path = tmp_path_factory.mktemp("silent") / "empty.wav"
    write_wav(path, np.zeros(1, np.float32))
    data = bytearray(path.read_bytes()[:-2])
    place = data.index(b"data") + 4
    data[place : place + 4] = b"\0\0\0\0"
    path.write_bytes(data)
    return path


@pytest.fixture
def running(bundle_path: Path, speech_path: Path, free_port: int) -> Iterator[Running]:
    """That avatar with that sound, waiting for its first client."""
    running = run_server(bundle_path, speech_path, free_port)
    yield running
    running.end()


@pytest.fixture
def server_of_another_version(free_port: int) -> Iterator[str]:
    """The address of a server that answers one request in wire version 99."""
    context, done = zmq.Context(), threading.Event()
    socket = context.socket(zmq.ROUTER)
    socket.bind(f"tcp://127.0.0.1:{free_port}")

    def answer_once() -> None:
        while not socket.poll(100):
            if done.is_set():
                return
        identity, _ = socket.recv_multipart()
        refusal = schema.Refusal(request_id=0, code="wire_version", reason="expected 99, got 1.", retry_after_s=0.0)
        socket.send_multipart([identity, bytes(encode(refusal, wire_version=99))])
        done.wait(30)

    thread = threading.Thread(target=answer_once, daemon=True)
    thread.start()
    yield f"tcp://127.0.0.1:{free_port}"
    done.set()
    thread.join(10)
    context.destroy(linger=0)
