"""The base install with ONNX Runtime, in processes that cannot see torch: serve, record, render, validate."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.without_extras import EXTRAS, command_without
from made_bundle import write_made_bundle
from scipy.io import wavfile

from gstalker.bridge.free_port import free_port

pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")

HIDDEN = tuple(name for name in EXTRAS if name != "onnxruntime")
CLI = "from gstalker.cli.main import main; sys.exit(main({words!r}))"


def gstalker(*words: object) -> list[str]:
    return command_without(HIDDEN, CLI.format(words=[str(w) for w in words]))


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(gstalker(*words), capture_output=True, text=True, timeout=240)


def free_address() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base") / "made.gsavatar"
    write_made_bundle(path)
    return path


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of a hum that swells and fades."""
    path = tmp_path_factory.mktemp("speech") / "hum.wav"
    t_s = np.arange(6 * 16_000) / 16_000
    hum = 0.3 * np.sin(2 * np.pi * 140 * t_s) * np.sin(2 * np.pi * 2 * t_s) ** 2
    wavfile.write(path, 16_000, (hum * 32767).astype(np.int16))
    return path


def test_without_torch_an_avatar_is_served_recorded_and_validated(bundle: Path, speech: Path, tmp_path: Path):
    address = free_address()
    session, report = tmp_path / "session", tmp_path / "report"
    server = subprocess.Popen(
        gstalker("serve", bundle, "--audio", speech, "--address", address), stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("serving "), "the server ended before it served"
        recorded = run("record", address, "--seconds", 3, "--pictures", 2, "--timeout", 60, "--out", session)
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert recorded.returncode == 0, recorded.stderr
    assert "0 frames and 0 pieces of sound missing" in recorded.stdout

    validated = run("validate", session, "--reference-frames", 2, "--out", report)
    assert validated.returncode == 0, validated.stdout + validated.stderr
    assert (report / "index.html").stat().st_size > 1000
    assert json.loads((report / "report.json").read_text(encoding="utf-8"))


def test_without_torch_an_avatar_is_rendered_to_a_video_with_sound(bundle: Path, speech: Path, tmp_path: Path):
    import av

    video = tmp_path / "speech.mp4"
    rendered = run("render", bundle, "--audio", speech, "--out", video)
    assert rendered.returncode == 0, rendered.stderr
    with av.open(str(video)) as container:
        assert len(container.streams.video) == len(container.streams.audio) == 1
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == 150  # 6 s at 25 frames a second


def test_without_torch_training_says_what_to_install(tmp_path: Path):
    trained = run("train", tmp_path, "--out", tmp_path / "run")
    assert trained.returncode == 2
    assert "pip install 'gstalker[train]'" in trained.stderr
    assert "Traceback" not in trained.stderr
