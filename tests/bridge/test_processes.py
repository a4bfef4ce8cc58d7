"""serve and record as a person runs them: real processes, real signals, exit codes and last words."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.made_session import write_made_session
from helpers.raw_client import RawClient

from gstalker.bridge import schema
from gstalker.cli.main import main
from gstalker.runtime.session import SessionReader
from gstalker.runtime.session.captures import read_captures

pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")

GSTALKER = [sys.executable, "-m", "gstalker.cli.main"]
# Processes are started on machines that are busy with other tests: the lead covers for it.
LEAD = ("--lead", "2.0")


class Server:
    """`gstalker serve` in a process, ready."""

    def __init__(self, *words: object) -> None:
        self.process = subprocess.Popen(
            [*GSTALKER, "serve", *map(str, words), *LEAD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code, standard output and standard error after a signal."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def record(address: str, out: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [*GSTALKER, "record", address, "--out", str(out), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def test_a_speech_is_recorded_from_its_first_to_its_last_sample(
    bundle_path: Path, speech_path: Path, free_port: int, tmp_path: Path
):
    address, out = f"tcp://127.0.0.1:{free_port}", tmp_path / "session"
    with Server(bundle_path, "--audio", speech_path, "--address", address, "--exit-when-done") as server:
        assert server.first_line == f"serving made at {address}\n"
        recorded = record(address, out, "--seconds", 20, "--pictures", 2)
        server_out, server_err = server.process.communicate(timeout=60)
    assert recorded.returncode == 0, recorded.stderr
    assert server.process.returncode == 0, server_err
    assert "frames sent, 0 late" in server_out
    assert "greeted by gstalker record" in server_err
    assert "Synthetic" in server_err
    session = SessionReader(out)
    assert session.end is not None
    assert (session.end.reason, session.end.complete) == ("the stream ended", True)
    samples = session.samples()
    assert len(samples) == 16_000  # one second of 44.1 kHz stereo
    assert np.abs(samples).max() > 3000
    assert [e.index for e in session.frames("q16")][:25] == list(range(25))
    assert [e.index for e in session.frames("f32")] == [e.index for e in session.frames("q16")]
    assert "2 pictures" in recorded.stdout
    drawn = [c.frame_index for c in read_captures(out / "pictures")]
    assert len(drawn) == 2
    assert drawn[0] < len(session.frames("q16")) / 2 < drawn[1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that asks a process to end")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_server_cleanly_and_it_says_how_it_kept_time(
    number: int, bundle_path: Path, free_port: int, tmp_path: Path
):
    with Server(bundle_path, "--address", f"tcp://127.0.0.1:{free_port}") as server:
        code, out, err = server.end(number)
    assert code == 0, err
    assert "made: 0 frames sent, 0 late, 0 dropped" in out
    assert "Traceback" not in err


def test_speech_is_cut_where_the_clock_stands_when_a_stop_comes(bundle_path: Path, long_speech: Path, free_port: int):
    address = f"tcp://127.0.0.1:{free_port}"
    with Server(bundle_path, "--audio", long_speech, "--address", address), RawClient(address) as client:
        welcome = client.hello()
        client.subscribe(welcome, schema.FrameQ16, schema.Audio, schema.SpeechEnd)
        ahead = client.take(schema.Audio, 75)  # a lead of 2 s is 50: presentation has begun
        before = client.ask(schema.Ping(1, 0.0), schema.Pong)
        client.ask(schema.Stop(2), schema.Done)
        after = client.ask(schema.Ping(3, 0.0), schema.Pong)
        sent: list[schema.Message] = []
        while not isinstance(sent[-1] if sent else None, schema.SpeechEnd):
            sent.append(client.receive())
        end = sent.pop()
        following = [client.receive() for _ in range(10)]
        stats = client.ask(schema.GetStats(4), schema.Stats)
    assert isinstance(end, schema.SpeechEnd)
    assert end.cut
    # On the server's own clock: the margin of 20 ms and at most one frame, however slow this machine is.
    assert before.stream_time_s < end.time_s <= after.stream_time_s + 0.06 + 1e-6
    ahead += [m for m in sent if isinstance(m, schema.Audio)]
    assert ahead[-1].time_s > end.time_s, "nothing had been sent ahead: the stop was not put to the test"
    assert not [m for m in following if isinstance(m, schema.Audio)]
    again = [m for m in following if isinstance(m, schema.FrameQ16)]
    assert end.time_s - 1e-6 <= again[0].time_s < ahead[-1].time_s
    assert stats.frames_superseded > 0
    assert not stats.speaking


def test_two_clients_have_sessions_of_their_own_and_one_ends_the_server(
    bundle_path: Path, other_path: Path, free_port: int
):
    address = f"tcp://127.0.0.1:{free_port}"
    with Server(bundle_path, other_path, "--address", address, "--allow-shutdown", "--seed", 3) as server:
        assert server.first_line == f"serving made at {address}\n"
        with RawClient(address) as one, RawClient(address) as two:
            first, second = one.hello(private=True), two.hello(avatar_name="other", private=True)
            assert (first.session_id, second.session_id) == (3, 4)
            one.subscribe(first, schema.FrameQ16, schema.StreamEnd)
            two.subscribe(second, schema.FrameQ16, schema.Audio)
            speech_id = two.ask(schema.OpenSpeech(1, 16_000, 1, False), schema.SpeechOpened).speech_id
            pcm = np.full((16_000, 1), 999, np.int16)
            two.ask(schema.PushSpeech(2, speech_id, 0, 16_000, 1, pcm), schema.SpeechState)
            two.ask(schema.CloseSpeech(3, speech_id), schema.SpeechState)
            assert (two.take(schema.Audio, 3)[0].pcm == 999).all()
            assert one.take(schema.FrameQ16, 5)[-1].session_id == 3
            one.ask(schema.Shutdown(4), schema.Done)
            one.take(schema.StreamEnd, 1)
        out, err = server.process.communicate(timeout=60)
    assert server.process.returncode == 0, err
    assert "made: 0 frames sent" in out
    assert "other: 0 frames sent" in out


def test_sound_on_standard_input_is_spoken(bundle_path: Path, free_port: int):
    address = f"tcp://127.0.0.1:{free_port}"
    command = [*GSTALKER, "serve", str(bundle_path), "--audio", "-", "--pcm-rate", "8000", "--address", address, *LEAD]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith(b"serving made")
        with RawClient(address) as client:
            client.subscribe(client.hello(), schema.Audio, schema.SpeechEnd)
            process.stdin.write(np.full(8000, 4000, "<i2").tobytes())
            process.stdin.close()
            sounds = client.take(schema.Audio, 25)
            assert client.take(schema.SpeechEnd, 1)[0].cut is False
            assert "standard input: ended" in client.ask(schema.GetStats(1), schema.Stats).source
        middle = np.concatenate([s.pcm for s in sounds])[2000:14_000]
        np.testing.assert_allclose(middle, 4000, atol=2)  # the resampler's ripple
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_server_killed_in_the_middle_leaves_a_session_that_says_so_and_can_be_read(
    bundle_path: Path, speech_path: Path, free_port: int, tmp_path: Path
):
    address, out = f"tcp://127.0.0.1:{free_port}", tmp_path / "session"
    with Server(bundle_path, "--audio", speech_path, "--address", address) as server:
        recorder = subprocess.Popen(
            [*GSTALKER, "record", address, "--out", str(out), "--seconds", "60"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            lines, give_up = out / "frames.jsonl", time.monotonic() + 120
            while not (lines.is_file() and lines.read_bytes().count(b"\n") > 40):
                assert time.monotonic() < give_up, "nothing was recorded"
                assert recorder.poll() is None, recorder.communicate()[1]
                time.sleep(0.05)
            server.process.kill()
            printed, complaint = recorder.communicate(timeout=60)
        finally:
            if recorder.poll() is None:
                recorder.kill()
                recorder.communicate()
    assert recorder.returncode == 1
    assert "incomplete" in complaint
    assert "got nothing for 2 s: the server was stopped or is stuck" in complaint
    assert "What came until then can be read" in complaint
    assert "session:" in printed
    session = SessionReader(out)
    assert session.end is not None
    assert not session.end.complete
    assert len(session.frames("q16")) > 15
    session.read_frame(session.frames("q16")[-1])


def test_a_recorder_killed_in_the_middle_leaves_a_session_that_can_be_read(
    bundle_path: Path, free_port: int, tmp_path: Path
):
    address, out = f"tcp://127.0.0.1:{free_port}", tmp_path / "session"
    with Server(bundle_path, "--address", address):
        recorder = subprocess.Popen([*GSTALKER, "record", address, "--out", str(out), "--seconds", "60"])
        lines, give_up = out / "frames.jsonl", time.monotonic() + 120
        while not (lines.is_file() and lines.read_bytes().count(b"\n") > 40):
            assert time.monotonic() < give_up, "nothing was recorded"
            time.sleep(0.05)
        recorder.kill()
        recorder.wait()
    session = SessionReader(out)
    assert session.end is None
    for payload in ("q16", "f32"):
        entries = session.frames(payload)
        assert len(entries) > 15
        session.read_frame(entries[-1])


def test_where_nobody_serves_record_says_so_and_writes_nothing(free_port: int, tmp_path: Path):
    recorded = record(f"tcp://127.0.0.1:{free_port}", tmp_path / "session", "--timeout", 0.5)
    assert recorded.returncode == 2
    assert "expected an avatar server to answer hello, none did within 0.5 s" in recorded.stderr
    assert "Traceback" not in recorded.stderr
    assert not (tmp_path / "session").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--seconds", 0), "--seconds: expected more than 0 and at most 3600, got 0"),
        (("--seconds", 4000), "--seconds: expected more than 0 and at most 3600, got 4000"),
        (("--pictures", -1), "--pictures and --timeout: expected 0 or more"),
        (("--timeout", 0), "--pictures and --timeout: expected 0 or more"),
    ],
)
def test_a_recording_that_makes_no_sense_is_refused(words: tuple[object, ...], text: str, tmp_path: Path, capsys):
    assert main(["record", "tcp://127.0.0.1:5555", "--out", str(tmp_path / "s"), *map(str, words)]) == 2
    assert text in " ".join(capsys.readouterr().err.split())


def test_a_server_of_another_wire_version_is_not_recorded(server_of_another_version: str, tmp_path: Path, capsys):
    assert main(["record", server_of_another_version, "--out", str(tmp_path / "s")]) == 2
    assert f"wire version: expected {schema.WIRE_VERSION}, got 99" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "s").exists()


def serve_fails(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line that a server leaves which never comes to serve."""
    assert main(["serve", *map(str, words)]) == 2
    return " ".join(capsys.readouterr().err.split())


def test_an_empty_wav_is_refused(bundle_path: Path, silent_wav: Path, free_port: int, capsys):
    text = serve_fails(capsys, bundle_path, "--audio", silent_wav, "--address", f"tcp://127.0.0.1:{free_port}")
    assert "empty.wav: expected" in text


def test_a_bundle_with_a_changed_byte_is_not_served(bundle_path: Path, free_port: int, tmp_path: Path, capsys):
    copy = tmp_path / "made.gsavatar"
    shutil.copytree(bundle_path, copy)
    graph = copy / "deform.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    assert "deform.onnx" in serve_fails(capsys, copy, "--address", f"tcp://127.0.0.1:{free_port}")


def test_an_address_that_others_could_reach_is_refused(bundle_path: Path, capsys):
    assert "or --keys with the server's keys" in serve_fails(capsys, bundle_path, "--address", "tcp://0.0.0.0:5555")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--exit-when-done",), "--exit-when-done: expected --audio with a file and no --loop"),
        (("--lead", "0"), "--lead: expected 0.02 to 2 seconds, got 0"),
        (("--threads", "0"), "--threads: expected 1 or more, got 0"),
        (("--seed", "-1"), "--seed: expected 0 to 4294967295, got -1"),
        (("--max-clients", "0"), "--max-clients and --max-sessions: expected 1 to 10000 and 0 to 10000, got 0 and 16"),
        (("--allow", "friend"), "--allow: expected --keys with it"),
        (("--vmc", "0"), "--vmc: expected a port of 1 to 65535, got 0"),
        (("--audio", "-", "--exit-when-done"), "--exit-when-done: expected --audio with a file"),
        (("--backend", "abacus"), "abacus"),
        (("--web", "70000"), "--web: expected 0 to 65535, got 70000"),
        (("--web", "0", "--keys", "mine"), "--web: expected no --keys with it: the page is a client of its own"),
    ],
)
def test_options_that_make_no_sense_are_refused(words: tuple[str, ...], text: str, bundle_path: Path, capsys):
    assert text in serve_fails(capsys, bundle_path, *words)


def test_a_server_of_nothing_is_refused(capsys):
    assert "expected at least one avatar" in serve_fails(capsys)


def test_the_exit_code_of_validate_is_its_verdict(tmp_path: Path, capsys):
    write_made_session(tmp_path / "session")
    command = ["validate", str(tmp_path / "session"), "--out", str(tmp_path / "report"), "--reference-frames", "2"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "holds  The frames as sent" in printed
    assert f"report: {tmp_path / 'report' / 'index.html'}" in printed
    assert json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))["passed"] is True
    assert main([*command, "--client-db", "500"]) == 1
    assert "fails  The Python client's picture" in capsys.readouterr().out
    assert json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))["passed"] is False
