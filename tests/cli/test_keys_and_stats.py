"""`gstalker keys` and `gstalker stats` as a person uses them, with a server that demands keys."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_bundle import write_made_bundle

from gstalker.bridge.free_port import free_port
from gstalker.bridge.keys import read_key_pair
from gstalker.cli import main as cli


def secret_of(folder: Path, name: str) -> str:
    return read_key_pair(name, folder).secret_z85


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    for name in ("server", "alice", "eve"):
        assert cli.main(["keys", "new", name, "--folder", str(folder)]) == 0
    return folder


def test_keys_are_made_listed_and_shown_without_their_secrets(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["keys", "list", "--folder", str(folder)]) == 0
    listed = capsys.readouterr().out
    public = {name: read_key_pair(name, folder).public.z85 for name in ("server", "alice", "eve")}
    assert all(f"{name}  {key}  pair" in listed for name, key in public.items())
    assert cli.main(["keys", "show", "alice", "--folder", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert shown.split() == ["alice", public["alice"]]
    assert not any(secret_of(folder, name) in listed + shown for name in public)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show"], "expected a name after it"),
        (["list", "alice"], "expected no name after it"),
        (["new", "alice"], "exists already"),
        (["new", "../x"], "expected a name of 1 to 64 letters"),
        (["show", "nobody"], "expected a key file, found nothing"),
    ],
)
def test_what_keys_cannot_do_is_said(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert cli.main(["keys", *arguments, "--folder", str(folder)]) == 2
    assert message in capsys.readouterr().err


def test_an_empty_folder_lists_no_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["keys", "list", "--folder", str(tmp_path / "none")]) == 0
    assert "no keys in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--every", "9"], "--every: expected 0.1 to 4 seconds"),
        (["--timeout", "0"], "--timeout: expected more than 0"),
        (["--keys", "alice"], "expected both or neither"),
        (["tcp://192.0.2.1:5555"], "expected an address of this machine alone"),
    ],
)
def test_what_stats_cannot_do_is_said(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["stats", "--once", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def locked(folder: Path, tmp_path: Path) -> Iterator[tuple[str, int, Path]]:
    """Address, metrics port and log of `gstalker serve` with keys, in a process of its own."""
    bundle, log = tmp_path / "made.gsavatar", tmp_path / "log.jsonl"
    write_made_bundle(bundle)
    address = f"tcp://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "gstalker.cli.main", "serve", str(bundle), "--address", address]
    command += ["--keys", str(folder / "server.secret.json"), "--allow", str(folder / "alice.public.json")]
    command += ["--metrics-port", "0", "--log-json", "--start", "now", "--backend", "cpu"]
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        port = re.search(r":(\d+)/metrics", first)
        assert port is not None, first + log.read_text()
        assert process.stdout.readline().startswith("serving made at")
        yield address, int(port[1]), log
    finally:
        process.terminate()
        process.wait(20)


def test_a_server_with_keys_answers_those_allowed_and_counts_the_others(
    locked: tuple[str, int, Path], folder: Path, capsys: pytest.CaptureFixture[str]
):
    address, metrics_port, log = locked
    asked = ["stats", address, "--once", "--server-key", str(folder / "server.public.json")]
    assert cli.main([*asked, "--keys", str(folder / "alice.secret.json"), "--timeout", "20"]) == 0
    table = capsys.readouterr().out
    for row in ("frames a second", "lateness", "dropped", "clients", "source", "back end"):
        assert row in table
    assert cli.main([*asked, "--json", "--keys", str(folder / "alice.secret.json"), "--timeout", "20"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["avatar_name"], figures["fps"], figures["clients"]) == ("made", 25, 1)

    assert cli.main([*asked, "--keys", str(folder / "eve.secret.json"), "--timeout", "1"]) == 2
    assert "are the keys the right ones?" in capsys.readouterr().err
    assert cli.main(["stats", address, "--once", "--timeout", "1"]) == 2

    session = log.parent / "session"
    recorded = ["record", address, "--out", str(session), "--seconds", "0.3", "--timeout", "20"]
    alice = ["--server-key", str(folder / "server.public.json"), "--keys", str(folder / "alice.secret.json")]
    assert cli.main([*recorded, *alice]) == 0
    assert (session / "session.json").is_file()

    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    counted = re.search(r'connections_refused_total\{reason="key_not_allowed"\} ([\d.]+)', text)
    assert counted is not None
    assert float(counted[1]) >= 1
    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert {"key_accepted", "refused_key_not_allowed", "client_greeted"} <= {event["kind"] for event in events}
    assert all(event["address"] == "127.0.0.1" for event in events if event["kind"] == "refused_key_not_allowed")
    assert not any(secret_of(folder, name) in log.read_text() for name in ("server", "alice", "eve"))


def test_serve_names_the_options_it_cannot_take(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    bundle = tmp_path / "made.gsavatar"
    write_made_bundle(bundle)
    for arguments, message in (
        (["--address", "tcp://0.0.0.0:5555"], "expected an address of this machine alone"),
        (["--allow", "x"], "--allow: expected --keys with it"),
        (["--metrics-port", "70000"], "--metrics-port: expected 0 to 65535"),
        (["--keys", str(folder / "server.secret.json")], "allowed clients: expected 1 to 1000 public keys, got 0"),
    ):
        assert cli.main(["serve", str(bundle), *arguments]) == 2
        assert message in capsys.readouterr().err
