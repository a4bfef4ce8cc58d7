"""The client against a real server: what it asks, how it keeps its place, and how it comes back."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers.running_server import Running, run_server

from gstalker.bridge.client.client import AvatarClient, ConnectionState
from gstalker.bridge.client.player import AvatarPlayer
from gstalker.bridge.errors import Refused, ServerLost
from gstalker.bridge.schema import Audio, FrameQ16, Message, SpeechEnd
from gstalker.bridge.server.options import Limits
from gstalker.runtime.errors import InputError

pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")

PATIENCE_S = 20.0  # on machines that are busy with other tests


@pytest.fixture
def idling(bundle_path: Path, free_port: int) -> Iterator[Running]:
    """A server without a sound of its own."""
    running = run_server(bundle_path, None, free_port, lead_s=0.5)
    yield running
    running.end()


def receive_until(client: AvatarClient, enough, seconds: float = PATIENCE_S) -> list[Message]:
    """Messages until `enough` of them is true."""
    found: list[Message] = []
    give_up_s = time.perf_counter() + seconds
    while not enough(found):
        assert time.perf_counter() < give_up_s, f"waited in vain among {len(found)} messages"
        received = client.receive(0.1)
        if received is not None:
            found.append(received.message)
    return found


def kinds(found: list[Message], kind: type) -> list:
    return [m for m in found if isinstance(m, kind)]


def every_fifth(found: list[Message]) -> bool:
    """Whether the last four frames are five apart."""
    indices = [frame.index for frame in kinds(found, FrameQ16)]
    return len(indices) > 3 and set(np.diff(indices[-4:])) == {5}


def voice(seconds: float, rate_hz: int) -> np.ndarray:
    at_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.3 * np.sin(2 * np.pi * 200 * at_s)).astype(np.float32)


@pytest.mark.parametrize("chunked", [False, True])
def test_pushed_sound_of_any_rate_is_spoken_whole(chunked: bool, idling: Running):
    samples = voice(1.0, 24_000)
    sound = iter(np.array_split(samples, 9)) if chunked else samples
    with AvatarClient(idling.address, private=True) as client:
        speech = client.say(sound, 24_000)
        found = receive_until(client, lambda f: kinds(f, SpeechEnd))
    heard = np.concatenate([m.pcm for m in kinds(found, Audio)]).astype(np.float32) / 32768
    assert speech.finished
    assert speech.refusal is None
    assert speech.received_s == pytest.approx(1.0, abs=0.01)
    assert len(heard) == pytest.approx(16_000, abs=700)
    power = np.abs(np.fft.rfft(heard, 16_000))
    assert abs(int(power.argmax()) - 200) <= 1
    assert kinds(found, SpeechEnd)[0].speech_id == speech.speech_id
    assert not kinds(found, SpeechEnd)[0].cut


def test_a_wav_of_any_rate_is_spoken_and_waited_for(idling: Running, speech_path: Path):
    with AvatarClient(idling.address, private=True) as client:
        speech = client.say(speech_path)
        client.wait_for_speech(speech)
        assert speech.finished
        found = receive_until(client, lambda f: kinds(f, SpeechEnd))
    assert sum(m.sample_count for m in kinds(found, Audio)) >= 16_000


def test_a_stop_cuts_pushed_speech_and_its_rest_is_not_sent(idling: Running):
    with AvatarClient(idling.address, private=True) as client:
        speech = client.say(voice(30.0, 16_000))
        receive_until(client, lambda f: len(kinds(f, Audio)) > 3)
        client.stop()
        found = receive_until(client, lambda f: kinds(f, SpeechEnd))
        assert kinds(found, SpeechEnd)[0].cut
        receive_until(client, lambda f: speech.finished)
        assert speech.cut
        assert speech.refusal is None
        assert speech.received_s < 10


def test_expressions_are_held_by_name_and_what_was_limited_is_said(idling: Running):
    with AvatarClient(idling.address, private=True) as client:
        name = client.avatar.welcome.control_names[0]
        assert not client.set_expression({name: 0.5}).limited
        applied = client.set_expression({name: 5.0})
        assert applied.limited
        assert name in applied.detail
        client.set_expression(np.full(len(client.avatar.welcome.control_names), np.nan))
        client.set_expression({})
        with pytest.raises(InputError, match=r"expression: expected names of .*, got tailWag"):
            client.set_expression({"tailWag": 1.0})
        with pytest.raises(InputError, match=r"expression: expected \d+ weights, got an array of \(1,\)"):
            client.set_expression(np.zeros(1))


def test_emotion_head_idle_and_rate_are_asked_and_refusals_carry_their_code(idling: Running):
    with AvatarClient(idling.address, private=True) as client:
        for name in client.avatar.welcome.emotion_names[:1]:
            client.set_emotion(name, 0.5)
        client.set_emotion()
        with pytest.raises(Refused, match="refused set_emotion: expected one of the emotions") as caught:
            client.set_emotion("hangry")
        assert (caught.value.code, caught.value.retry_after_s) == ("bad_value", 0.0)
        assert client.set_head_pose((0.0, 1.5, 0.0)).limited
        assert not client.set_head_pose(None).limited
        client.set_idle(False)
        client.set_idle(True, seed=7)
        if client.avatar.welcome.has_gaze:
            client.set_gaze((0.1, 0.0))
            client.set_gaze(None)
        else:
            with pytest.raises(Refused, match="expected an avatar whose eyes can move"):
                client.set_gaze((0.1, 0.0))
        client.set_rate(5)
        receive_until(client, lambda f: len(kinds(f, FrameQ16)) >= 20)
        indices = [m.index for m in kinds(receive_until(client, lambda f: len(kinds(f, FrameQ16)) >= 3), FrameQ16)]
        assert np.diff(indices).tolist() == [5, 5]
        with pytest.raises(Refused, match="expected a server started with --allow-shutdown") as refused:
            client.shutdown()
        assert refused.value.code == "not_allowed"


def test_a_server_that_allows_it_is_shut_down(bundle_path: Path, free_port: int):
    running = run_server(bundle_path, None, free_port, allow_shutdown=True)
    with AvatarClient(running.address) as client:
        client.shutdown()
        running.thread.join(PATIENCE_S)
    assert not running.thread.is_alive()
    running.end()


def test_a_session_s_state_goes_from_one_to_another(idling: Running):
    with AvatarClient(idling.address, private=True) as one, AvatarClient(idling.address, private=True) as other:
        assert one.avatar.welcome.session_id != other.avatar.welcome.session_id
        receive_until(one, lambda f: len(kinds(f, FrameQ16)) > 5)
        other.resume(one.snapshot())
        receive_until(other, lambda f: len(kinds(f, FrameQ16)) > 2)
    with AvatarClient(idling.address) as shared, pytest.raises(Refused, match="expected a private session"):
        shared.resume(b"state")


def test_an_avatar_or_session_that_is_not_there_is_refused(idling: Running):
    with pytest.raises(Refused, match="refused hello: ") as caught:
        AvatarClient(idling.address, avatar="nobody")
    assert caught.value.code == "unknown_avatar"
    with pytest.raises(Refused) as unknown:
        AvatarClient(idling.address, session_id=4711)
    assert unknown.value.code == "unknown_session"


@pytest.mark.parametrize(("rate_hz", "channels"), [(7999, 1), (96_001, 1), (16_000, 3), (16_000, 0)])
def test_sound_of_impossible_format_is_refused_before_it_is_sent(rate_hz: int, channels: int, idling: Running):
    with (
        AvatarClient(idling.address) as client,
        pytest.raises(InputError, match="expected 8000 to 96000 Hz and 1 or 2 channels"),
    ):
        client.open_speech(rate_hz, channels)


def test_no_pieces_are_no_speech(idling: Running):
    with (
        AvatarClient(idling.address) as client,
        pytest.raises(InputError, match="speech: expected at least one piece of sound, got none"),
    ):
        client.say(iter([]))


def test_the_session_s_clock_is_known_to_milliseconds(idling: Running):
    with AvatarClient(idling.address, private=True) as client:
        receive_until(client, lambda f: client.clock.readings_since_reset >= 6)
        asked_s = time.perf_counter()
        stats = client.stats()
        answered_s = time.perf_counter()
        low, high = client.clock.session_time_s(asked_s), client.clock.session_time_s(answered_s)
        unsure_s = client.clock.uncertainty_s(answered_s)
        assert low - unsure_s <= stats.stream_time_s <= high + unsure_s
        assert client.clock.jumps == 0


def test_a_client_that_looks_away_for_longer_than_its_lease_is_taken_back(bundle_path: Path, free_port: int):
    running = run_server(bundle_path, None, free_port, limits=Limits(client_lease_s=0.5, empty_session_s=0.2))
    try:
        with AvatarClient(running.address, private=True) as client:
            client.wish_rate(5)
            receive_until(client, every_fifth)
            before, epoch = client.avatar.welcome.session_id, client.epoch
            time.sleep(2.0)
            assert client.stats().session_clients == 1
            assert client.avatar.welcome.session_id != before  # its own had ended: another one was opened
            assert client.epoch == epoch + 1
            receive_until(client, every_fifth)  # asked for again: the server knows nothing of it any more
    finally:
        running.end()


def test_pings_keep_a_client_s_place(bundle_path: Path, free_port: int):
    running = run_server(bundle_path, None, free_port, limits=Limits(client_lease_s=2.5))
    try:
        with AvatarClient(running.address, private=True) as client:
            began_s = time.perf_counter()
            receive_until(client, lambda f: time.perf_counter() > began_s + 4.0)
            assert client.epoch == 0
            assert client.state is ConnectionState.CONNECTED
        assert not any("forgot" in line for line in running.log)
    finally:
        running.end()


def test_a_goodbye_ends_a_private_session_at_once(idling: Running):
    with AvatarClient(idling.address) as watcher:
        with AvatarClient(idling.address, private=True):
            assert watcher.stats().sessions == 2
        give_up_s = time.perf_counter() + 4.0  # less than the lease
        while watcher.stats().sessions == 2:
            assert time.perf_counter() < give_up_s
            watcher.receive(0.05)


def test_a_stuck_server_is_noticed_and_joined_again_when_it_goes_on(idling: Running, monkeypatch: pytest.MonkeyPatch):
    with AvatarClient(idling.address) as client:
        receive_until(client, lambda f: len(kinds(f, FrameQ16)) > 3)
        let_go_s = time.perf_counter() + 3.5
        original = idling.server.turn

        def stuck() -> object:
            time.sleep(max(0.0, let_go_s - time.perf_counter()))
            return original()

        monkeypatch.setattr(idling.server, "turn", stuck)
        while client.state is ConnectionState.CONNECTED:
            assert time.perf_counter() < let_go_s, "a stuck server was not noticed"
            client.receive(0.05)
        assert client.state is ConnectionState.RECONNECTING
        assert client.trouble == "the server is silent"
        found = receive_until(client, lambda f: len(kinds(f, FrameQ16)) > 3)
        assert kinds(found, FrameQ16)
        assert client.state is ConnectionState.CONNECTED
        assert client.trouble == ""
        assert client.epoch == 0  # it is still the same session


class ServerProcess:
    """`gstalker serve` as users run it, at one address, killed and started again."""

    def __init__(self, bundle: Path, address: str) -> None:
        words = ["serve", str(bundle), "--address", address, "--start", "now"]
        command = [sys.executable, "-m", "gstalker.cli.main", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def wait_until_it_serves(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith("serving")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def server_process(bundle: Path, address: str) -> Iterator[ServerProcess]:
    server = ServerProcess(bundle, address)
    try:
        server.wait_until_it_serves()
        yield server
    finally:
        server.kill()


def test_a_killed_and_restarted_server_is_shown_again_at_once_with_nothing_stale(bundle_path: Path, free_port: int):
    address = f"tcp://127.0.0.1:{free_port}"
    with server_process(bundle_path, address) as first:
        client = AvatarClient(address, private=True, timeout_s=PATIENCE_S)
        player = AvatarPlayer(client)
        give_up_s = time.perf_counter() + PATIENCE_S
        while player.picture(time.perf_counter()) is None:
            assert time.perf_counter() < give_up_s
            player.update(0.05)
        first_server = client.avatar.welcome.server_id
        first.kill()
        while client.state is ConnectionState.CONNECTED:
            assert time.perf_counter() < give_up_s
            player.update(0.02)
        assert client.state is ConnectionState.RECONNECTING
        assert client.trouble == "the connection was lost"
    with client, server_process(bundle_path, address):
        back_s = time.perf_counter()
        before = player.playout.frames.received
        picture = None
        while picture is None or client.epoch == 0:
            assert time.perf_counter() < back_s + PATIENCE_S
            player.update(0.01)
            picture = player.picture(time.perf_counter())
        # 1 s is what is promised of a machine that has time for it; a transport that backs off to 5 s would fail this.
        assert time.perf_counter() - back_s < 3.0
        assert client.epoch == 1
        assert client.avatar.welcome.server_id != first_server
        assert client.state is ConnectionState.CONNECTED
        assert player.playout.frames.received > before
        assert picture.time_s < time.perf_counter() - back_s + 0.5, "a picture of the server that is gone"


def test_without_reconnecting_a_lost_server_is_lost(bundle_path: Path, free_port: int):
    running = run_server(bundle_path, None, free_port)
    with AvatarClient(running.address, reconnect=False, timeout_s=0.5) as client:
        receive_until(client, lambda f: len(kinds(f, FrameQ16)) > 3)
        running.end()
        with pytest.raises(ServerLost, match="expected an avatar server to answer get_stats, none did"):
            client.stats()
    with pytest.raises(ServerLost, match="expected an open client, this one was closed"):
        client.receive(0.1)
