"""`gstalker view`: what it takes, what it refuses, and that it ends with what it started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from made_bundle import write_made_bundle

from gstalker.bridge.free_port import free_port
from gstalker.cli.main import main
from gstalker.cli.view import View
from gstalker.runtime.errors import InputError


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--demo", "tcp://127.0.0.1:5555"], "--demo: expected nothing else to view"),
        (["nowhere.gsavatar"], "expected an address as tcp://127.0.0.1:5555 or an avatar bundle, found no such file"),
        (["--audio", "x.wav"], "--audio: expected a bundle with it"),
        (["--port", "70000"], "--port: expected 0 to 65535, got 70000"),
        (["--keys", "me"], "--keys and --server-key: expected both or neither"),
        (["tcp://192.0.2.1:5555"], "tcp://192.0.2.1:5555"),
    ],
)
def test_what_cannot_be_viewed_is_refused_with_a_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    assert main(["view", *words, "--no-browser"]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_server_that_cannot_start_ends_the_viewer(tmp_path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "broken.gsavatar").write_bytes(b"not a bundle")
    with pytest.raises(InputError, match="the avatar's server ended with code 2"):
        View(str(tmp_path / "broken.gsavatar"), port=0, browser=False).run()


@pytest.mark.skipif(os.name != "posix", reason="ends a process as a terminal does")
def test_the_page_is_there_before_the_avatar_and_all_ends_together(tmp_path):
    command = [sys.executable, "-m", "gstalker.cli.main", "view", "--no-browser", "--port", "0"]
    command += ["tcp://127.0.0.1:9", "--captures", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"viewing tcp://127\.0\.0\.1:9 at (http://127\.0\.0\.1:\d+/)\n", line)
        assert found, line
        with urllib.request.urlopen(found[1], timeout=10) as answer:
            assert b"<canvas" in answer.read()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


@pytest.mark.skipif(os.name != "posix", reason="ends a process as a terminal does")
def test_a_server_brings_its_page_and_takes_it_along(tmp_path):
    pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")
    write_made_bundle(tmp_path / "made.gsavatar")
    command = [sys.executable, "-m", "gstalker.cli.main", "serve", str(tmp_path / "made.gsavatar"), "--web", "0"]
    process = subprocess.Popen(
        [*command, "--address", f"tcp://127.0.0.1:{free_port()}"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        found = next(m for line in lines if (m := re.fullmatch(r"viewing tcp://.* at (http://\S+)\n", line)))
        with urllib.request.urlopen(found[1], timeout=10) as answer:
            assert b"<canvas" in answer.read()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(found[1], timeout=10)
