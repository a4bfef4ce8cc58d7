"""The Unity package's connection against real servers: frames, sound, a server that restarts, keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from helpers.stand_in_server import CurveServer, StandInServer
from helpers.unity_build import UnityBuild
from made_bundle import write_made_bundle

from gstalker.bridge.keys import new_key_pair, write_key_pair

PATIENCE_S = 60.0  # on a loaded machine; what is waited for usually takes a second


class Client:
    """tests/unity/programs/Client.cs, talked to through its pipes."""

    def __init__(self, build: UnityBuild, address: str, *keys: str) -> None:
        self.lines: list[dict[str, Any]] = []
        self._process = build.toolchain.start(build.program("Client"), [address, *keys])
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def counts(self) -> dict[str, Any]:
        before = sum("state" in line for line in self.lines)
        self.tell("counts")
        return self.until(lambda: [x for x in self.lines if "state" in x][before:])[0]

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == kind]

    def until(self, holds: Callable[[], Any]) -> Any:
        give_up_at_s = time.monotonic() + PATIENCE_S
        while not (value := holds()):
            assert time.monotonic() < give_up_at_s, f"waited in vain; the client said {self.lines[-10:]}"
            assert self._process.poll() is None, f"the client ended: {self.lines[-10:]}"
            time.sleep(0.02)
        return value

    def end(self) -> dict[str, Any]:
        """What it counted in all."""
        self.tell("quit")
        assert self._process.wait(PATIENCE_S) == 0, self.lines
        self._reader.join(10)
        return {**[x for x in self.lines if "pictures" in x][-1], **self.lines[-1]}

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.lines.append({"unreadable": line})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("avatar") / "made.gsavatar"
    write_made_bundle(path)
    return path


class Served:
    """`gstalker serve` in a process of its own."""

    def __init__(self, bundle: Path, port: int, *options: str) -> None:
        self.address = f"tcp://127.0.0.1:{port}"
        command = [sys.executable, "-m", "gstalker.cli.main", "serve", str(bundle), "--address", self.address, *options]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture
def serve(bundle: Path) -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(port: int, *options: str) -> Served:
        started.append(Served(bundle, port, *options))
        return started[-1]

    yield start
    for served in started:
        served.end()


def assert_accounted(counts: dict[str, Any]) -> None:
    """Every frame that came ended in exactly one count, or still waits."""
    ends = ("shown", "passed_over", "late", "superseded", "repeated", "waiting")
    assert counts["received"] == sum(counts[name] for name in ends), counts


def test_a_served_avatar_is_shown_and_one_that_restarts_is_shown_again(
    unity_build: UnityBuild, serve: Callable[..., Served], free_port: int
):
    served = serve(free_port)
    with Client(unity_build, served.address) as client:
        client.until(lambda: client.events("Connected"))
        client.until(lambda: client.counts()["received"] >= 25)

        served.end()
        client.until(lambda: client.events("Lost"))
        before = client.counts()
        assert_accounted(before)
        serve(free_port)
        client.until(lambda: len(client.events("Connected")) == 2)
        client.until(lambda: client.counts()["received"] >= 25)

        ended = client.end()
    assert_accounted(ended)
    assert (ended["welcomes"], ended["losses"], ended["damaged"]) == (2, 1, 0)
    assert ended["mixed"] > 0, "a display at 90 Hz shows pictures between the frames"
    assert ended["backwards"] == 0, "within a stream, motion never runs backwards"


def test_speech_that_is_pushed_comes_back_as_sound_in_step_and_can_be_stopped(
    unity_build: UnityBuild, serve: Callable[..., Served], free_port: int
):
    served = serve(free_port)
    with Client(unity_build, served.address) as client:
        client.until(lambda: client.events("Connected"))
        client.tell("say 1")
        client.until(lambda: client.events("SpeechStarted"))
        first = client.until(lambda: client.events("SpeechEnded"))[0]
        assert not first["cut"]
        assert first["time_s"] - client.events("SpeechStarted")[0]["time_s"] == pytest.approx(1.0, abs=0.08)

        client.tell("say 30")
        client.until(lambda: len(client.events("SpeechStarted")) == 2)
        client.tell("stop")
        second = client.until(lambda: client.events("SpeechEnded")[1:])[0]
        assert second["cut"]
        assert second["time_s"] - client.events("SpeechStarted")[1]["time_s"] < 10

        client.tell("emotion nonsense")
        client.until(lambda: client.events("RequestRefused"))
        ended = client.end()
    assert_accounted(ended)
    assert ended["sounding_blocks"] > 20  # a second is 94 blocks of 512 samples
    assert ended["audio_lost"] == 0


def test_a_curve_server_lets_in_the_right_keys_and_nobody_else(unity_build: UnityBuild, free_port: int):
    server, client, stranger = zmq.curve_keypair(), zmq.curve_keypair(), zmq.curve_keypair()
    keys = CurveServer(*server, allowed=(client[0],))

    def arguments(server_key: bytes, own: tuple[bytes, bytes]) -> list[str]:
        return [key.decode() for key in (server_key, *own)]

    with StandInServer(free_port, curve=keys) as served:
        with Client(unity_build, served.address, *arguments(server[0], client)) as right:
            right.until(lambda: right.events("Connected"))
            right.until(lambda: right.counts()["received"] >= 10)
            assert_accounted(right.end())
        refused = {
            "a key that is not on the list": arguments(server[0], stranger),
            "another server than the one meant": arguments(stranger[0], client),
            "no key": [],
        }
        clients = {why: Client(unity_build, served.address, *given) for why, given in refused.items()}
        for why, wrong in clients.items():
            with wrong:
                wrong.until(lambda wrong=wrong: wrong.events("Unreachable"))
                assert not wrong.events("Connected"), why
                assert wrong.counts()["received"] == 0, why


def test_a_real_server_with_keys_is_reached_with_the_files_that_gstalker_makes(
    unity_build: UnityBuild, serve: Callable[..., Served], free_port: int, tmp_path: Path
):
    server, client = new_key_pair("server"), new_key_pair("alice")
    server_public, server_secret = write_key_pair(server, tmp_path)
    client_public, client_secret = write_key_pair(client, tmp_path)
    served = serve(free_port, "--keys", str(server_secret), "--allow", str(client_public))
    with Client(unity_build, served.address, str(client_secret), str(server_public)) as reached:
        reached.until(lambda: reached.events("Connected"))
        reached.until(lambda: reached.counts()["received"] >= 10)
        assert_accounted(reached.end())


def test_keys_of_another_form_are_refused(unity_build: UnityBuild, free_port: int):
    done = unity_build.toolchain.run(
        unity_build.program("Client"), [f"tcp://127.0.0.1:{free_port}", "short", "short", "short"]
    )
    assert done.returncode != 0
    assert "expected 40 characters of Z85" in done.stderr + done.stdout


def test_another_machine_is_not_talked_to_in_the_clear(unity_build: UnityBuild):
    done = unity_build.toolchain.run(unity_build.program("Client"), ["tcp://192.0.2.1:5555"])
    assert done.returncode != 0
    assert "expected an address of this machine alone" in done.stderr + done.stdout
