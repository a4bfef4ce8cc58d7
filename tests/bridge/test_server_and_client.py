"""A real server in a thread, real sockets, and clients of every kind."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import zmq
from helpers.raw_client import RawClient
from helpers.running_server import Running, run_server

from gstalker.bridge import schema
from gstalker.bridge.client.client import AvatarClient
from gstalker.bridge.codec import decode, encode
from gstalker.bridge.errors import Refused, ServerLost, WireError, WireVersionError
from gstalker.bridge.schema import Audio, FrameF32, FrameQ16, SpeechEnd, StreamEnd, Welcome
from gstalker.bridge.server.options import ServeOptions
from gstalker.bridge.server.server import prepare
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.errors import InputError
from gstalker.runtime.infer import AvatarRuntime

pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")


def take(client: AvatarClient, kind: type[schema.Message], count: int, most: int = 400) -> list:
    """The next `count` messages of a type."""
    found: list[schema.Message] = []
    for _, received in zip(range(most), client.messages(silence_s=10), strict=False):
        if isinstance(received.message, kind):
            found.append(received.message)
            if len(found) == count:
                return found
    raise AssertionError(f"{len(found)} of {count} {kind.TOPIC} among {most} messages")


def test_the_welcome_holds_the_bundle_in_full_precision(running: Running, bundle_path: Path):
    bundle = AvatarBundle.open(bundle_path)
    with AvatarClient(running.address) as client:
        avatar = client.avatar
    for name in ("means", "quats_wxyz", "scales", "opacities", "sh_coeffs"):
        np.testing.assert_array_equal(getattr(avatar.canonical, name), getattr(bundle.canonical, name))
    np.testing.assert_array_equal(avatar.part_ids, bundle.part_ids)
    np.testing.assert_array_equal(avatar.plate, bundle.plate_rgb)
    np.testing.assert_array_equal(avatar.camera.viewmat, bundle.camera.viewmat)
    np.testing.assert_array_equal(avatar.camera.K, bundle.camera.K)
    assert avatar.box == bundle.quantisation_box
    assert avatar.welcome.bundle_sha256 == bundle.manifest_sha256
    assert avatar.welcome.mover_count == bundle.manifest.counts.movers
    likeness = bundle.manifest.likeness
    assert (avatar.welcome.subject, avatar.welcome.consent) == (likeness.subject, likeness.consent)
    assert avatar.welcome.notice == likeness.notice
    assert avatar.welcome.notice.startswith("Synthetic")


def test_a_client_gets_the_frames_that_the_networks_make(running: Running, bundle_path: Path):
    runtime = AvatarRuntime(AvatarBundle.open(bundle_path))
    with AvatarClient(running.address, topics=(FrameQ16, FrameF32)) as client:
        frames = [client.avatar.frame(m) for m in take(client, FrameF32, 40)]
        (sent,) = take(client, FrameQ16, 1)
        silent = next(f for f in frames if f.index >= 34)  # a second of speech is out of every window by then
        controls = runtime.idle_controls(silent.index)
        silence = np.full((1, 59, 80), runtime.bundle.manifest.audio.log_mel.silence, np.float32)
        quiet = runtime.codes_of_windows(silence)[0]
        expected = runtime.frame(
            *(quiet, controls.expression, controls.avatar_from_head, silent.index, silent.time_s),
            avatar_from_torso=controls.avatar_from_torso,
        )
        np.testing.assert_array_equal(silent.avatar_from_head, controls.avatar_from_head)
        np.testing.assert_array_equal(silent.avatar_from_torso, controls.avatar_from_torso)
        np.testing.assert_array_equal(silent.means, expected.means)
        spoken = frames[10 if frames[10].index < 20 else 0]
        assert np.abs(spoken.means - silent.means).max() > 1e-4, "the voice moves nothing"
        picture = client.render(client.avatar.frame(sent))
        assert picture.rgb.shape == (64, 64, 3)
        assert picture.alpha.max() > 0.5


def test_the_speech_comes_whole_with_its_frames_and_then_silence(running: Running):
    with AvatarClient(running.address, topics=(FrameQ16, Audio)) as client:
        sounds: list[Audio] = []
        frames: list[FrameQ16] = []
        ends: list[SpeechEnd] = []
        for received in client.messages(silence_s=10):
            if isinstance(received.message, Audio):
                sounds.append(received.message)
            elif isinstance(received.message, FrameQ16):
                frames.append(received.message)
            elif isinstance(received.message, SpeechEnd):
                ends.append(received.message)
                break
        (after,) = take(client, FrameQ16, 1)
    assert [s.sequence for s in sounds] == list(range(25))  # one second of 44.1 kHz stereo became 16 kHz mono
    assert sum(s.sample_count for s in sounds) == 16_000
    assert np.abs(np.concatenate([s.pcm for s in sounds])).max() > 3000
    assert [e.time_s for e in ends] == pytest.approx([1.0])
    assert frames[0].time_s == sounds[0].time_s == 0.0
    assert after.time_s >= 1.0


def test_nothing_is_lost_before_the_first_client_comes(running: Running):
    running.thread.join(timeout=0.5)
    assert running.server.table.get(1).clock is None
    with AvatarClient(running.address) as client:
        (first,) = take(client, FrameQ16, 1)
        assert first.index == 0


def test_a_late_client_gets_the_avatar_at_once_and_the_frames_from_now_on(running: Running):
    with AvatarClient(running.address) as early:
        take(early, FrameQ16, 30)
        with AvatarClient(running.address) as late:
            assert len(late.avatar.canonical) == len(early.avatar.canonical)
            (first,) = take(late, FrameQ16, 1)
            assert first.index >= 25
            late.render(late.avatar.frame(first))


def test_only_the_newest_frame_waits_for_a_display(running: Running):
    with (
        AvatarClient(running.address, topics=(FrameQ16,)) as steady,
        AvatarClient(running.address, topics=(FrameQ16, Audio), latest_only=True) as display,
    ):
        (shown,) = take(display, FrameQ16, 1)
        numbers = [m.index for m in take(steady, FrameQ16, 25)]  # a second in which the display looks away
        (next_shown,) = take(display, FrameQ16, 1)
    assert next_shown.index - shown.index > 5, "old frames were queued"
    assert next_shown.index >= numbers[-1] - 3
    assert numbers == list(range(numbers[0], numbers[0] + 25)), "the other client lost frames"


def test_two_kinds_of_frames_have_no_newest_one(running: Running):
    with pytest.raises(InputError, match="latest_only: expected one kind of frame"):
        AvatarClient(running.address, topics=(FrameQ16, FrameF32), latest_only=True)


def test_stop_play_and_statistics_are_answered(running: Running):
    with AvatarClient(running.address) as client:
        take(client, Audio, 2)
        assert client.stats().speaking
        client.stop()
        (end,) = take(client, SpeechEnd, 1)
        assert end.speech_id == 0
        assert not client.stats().speaking
        client.play()
        sound = next(s for s in take(client, Audio, 2))
        assert sound.speech_id == 1
        stats = client.stats()
        assert stats.speaking
        assert stats.frames_sent > 2
        assert stats.audio_chunks_sent > 2
        assert stats.requests_refused == 0
        assert stats.stream_time_s > -2.0


def test_an_avatar_without_a_sound_refuses_to_play(bundle_path: Path, free_port: int):
    running = run_server(bundle_path, None, free_port)
    try:
        with AvatarClient(running.address) as client:
            with pytest.raises(Refused, match="expected a server with --audio") as caught:
                client.play()
            assert caught.value.code == "no_speech"
            assert client.stats().requests_refused == 1
            take(client, FrameQ16, 3)
    finally:
        running.end()


def ask_raw(address: str, *parts: bytes) -> bytes | None:
    """What comes back for some bytes, if anything does within half a second."""
    context = zmq.Context()
    try:
        socket = context.socket(zmq.DEALER)
        socket.connect(address)
        socket.send_multipart(list(parts))
        return socket.recv() if socket.poll(500) else None
    finally:
        context.destroy(linger=0)


def test_a_client_of_another_wire_version_is_refused_with_both_versions(running: Running):
    data = ask_raw(running.address, bytes(encode(schema.Hello(1, "tomorrow", "", 0, False), wire_version=99)))
    assert data is not None
    answer = decode(data)
    assert isinstance(answer, schema.Refusal)
    assert (answer.code, answer.request_id) == ("wire_version", 0)
    assert f"wire version: expected {schema.WIRE_VERSION}, got 99" in answer.reason
    assert any(f"expected {schema.WIRE_VERSION}, got 99" in line for line in running.log)


def test_a_server_of_another_wire_version_is_named_by_the_client(server_of_another_version: str):
    with pytest.raises(WireVersionError, match=f"wire version: expected {schema.WIRE_VERSION}, got 99"):
        AvatarClient(server_of_another_version, timeout_s=10)


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        (b"GET / HTTP/1.1\r\n\r\n" + b" " * 20, "malformed", "expected the magic"),
        (b"", "malformed", f"expected 32 to {schema.MAX_REQUEST_BYTES} bytes, got 0"),
        (bytes(encode(schema.StreamEnd(1, 0, 1, 1.0))), "not_a_request", "expected a request, got stream_end"),
        (bytes(encode(schema.Hello(1, "x", "", 0, False)))[:-1], "malformed", "bytes from a header of"),
    ],
)
def test_what_is_no_request_is_refused_and_the_server_lives(running: Running, data: bytes, code: str, text: str):
    answer = ask_raw(running.address, data)
    assert answer is not None
    refusal = decode(answer)
    assert isinstance(refusal, schema.Refusal)
    assert refusal.code == code
    assert text in refusal.reason
    with AvatarClient(running.address) as client:
        assert client.stats().requests_refused == 1


def test_requests_in_several_parts_and_too_large_ones_get_no_answer_and_the_server_lives(running: Running):
    assert ask_raw(running.address, b"one", b"two") is None
    assert ask_raw(running.address, b"x" * (schema.MAX_REQUEST_BYTES + 1)) is None
    with AvatarClient(running.address) as client:
        assert client.stats().requests_refused == 1  # the large one never came through the socket


def test_where_nobody_serves_the_client_says_so_within_its_time(free_port: int):
    with pytest.raises(InputError) as caught:
        AvatarClient(f"tcp://127.0.0.1:{free_port}", timeout_s=0.3)
    text = str(caught.value)
    assert "expected an avatar server to answer hello, none did within 0.3 s" in text
    assert "gstalker serve BUNDLE" in text


def test_a_client_that_comes_before_its_server_waits_for_it(bundle_path: Path, free_port: int):
    started: list[Running] = []
    timer = threading.Timer(0.5, lambda: started.append(run_server(bundle_path, None, free_port)))
    timer.start()
    try:
        with AvatarClient(f"tcp://127.0.0.1:{free_port}", timeout_s=60) as client:
            take(client, FrameQ16, 1)
    finally:
        timer.join()
        started[0].end()


def test_the_end_of_the_stream_is_said_and_ends_the_messages(running: Running):
    with AvatarClient(running.address) as client:
        take(client, FrameQ16, 3)
        running.stop.set()
        messages = [r.message for r in client.messages(silence_s=10)]
    assert isinstance(messages[-1], StreamEnd)


def test_a_server_that_falls_silent_is_noticed(running: Running):
    with AvatarClient(running.address) as client:
        take(client, FrameQ16, 3)
        running.server.table.get(1).step = lambda: None  # type: ignore[method-assign]  # stuck
        with pytest.raises(ServerLost, match="expected a frame every 40 ms, got nothing"):
            for _ in client.messages(silence_s=0.5):
                pass


def test_a_server_that_is_done_returns(bundle_path: Path, speech_path: Path, free_port: int):
    running = run_server(bundle_path, speech_path, free_port, exit_when_done=True)
    with AvatarClient(running.address) as client:
        messages = [r.message for r in client.messages(silence_s=10)]
    running.thread.join(timeout=10)
    assert not running.thread.is_alive()
    running.server.close()
    assert isinstance(messages[-1], StreamEnd)
    assert sum(isinstance(m, Audio) for m in messages) == 25
    # All 25 frames of the speech and those of the lead that follow it.
    assert 25 <= max(m.index for m in messages if isinstance(m, FrameQ16)) <= 100


def test_a_server_that_starts_now_does_not_wait_for_a_client(bundle_path: Path, speech_path: Path, free_port: int):
    running = run_server(bundle_path, speech_path, free_port, start_now=True, exit_when_done=True)
    running.thread.join(timeout=10)
    assert not running.thread.is_alive()
    statistics = running.server.table.get(1).statistics
    assert statistics.audio_chunks_sent == 25
    assert statistics.frames_sent == 0, "nobody was there to want frames"
    running.server.close()


def test_avatars_are_served_side_by_side_on_one_pair_of_ports(bundle_path: Path, other_path: Path, free_port: int):
    running = run_server([bundle_path, other_path], None, free_port)
    try:
        with AvatarClient(running.address) as one:
            assert one.avatar.welcome.avatar_names == ("made", "other")
            assert one.avatar.welcome.session_id == 1
            assert take(one, FrameQ16, 10)[0].index == 0
            with RawClient(running.address) as raw:
                two = raw.hello(avatar_name="other")
                assert (two.avatar_name, two.session_id) == ("other", 2)
                assert two.mover_count != one.avatar.welcome.mover_count
                raw.subscribe(two, FrameQ16)
                assert raw.take(FrameQ16, 5)[0].index == 0
            assert take(one, FrameQ16, 1)[0].index > 0
    finally:
        running.end()


def test_two_avatars_of_one_name_are_refused(bundle_path: Path, free_port: int):
    with pytest.raises(InputError, match="expected avatars of different names, got 'made' twice"):
        prepare([bundle_path, bundle_path], None, f"tcp://127.0.0.1:{free_port}", ServeOptions())


def test_a_second_server_at_one_address_is_refused(running: Running, bundle_path: Path):
    with pytest.raises(InputError, match="expected a free port, could not listen there"):
        prepare([bundle_path], None, running.address, ServeOptions())


def test_subscriptions_to_what_does_not_exist_are_not_remembered(running: Running):
    context = zmq.Context()
    try:
        socket = context.socket(zmq.SUB)
        for number in range(50):
            socket.setsockopt(zmq.SUBSCRIBE, f"nothing {number}".encode())
        socket.setsockopt(zmq.SUBSCRIBE, b"frame/")
        socket.connect(f"tcp://127.0.0.1:{running.server.address.publication_port}")
        assert socket.poll(10_000)
    finally:
        context.destroy(linger=0)
    assert len(running.server._subscriptions) <= 1


def welcome_like(running: Running) -> Welcome:
    with AvatarClient(running.address) as client:
        return client.avatar.welcome


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"mover_count": 481}, "welcome.mover_count: expected at most 480, got 481"),
        ({"part_ids": np.full(480, 7, np.uint8)}, r"welcome.part_ids: expected 0 or 1, got \[7\]"),
        ({"box_log_scale_max": -100.0}, "welcome.box: QuantisationBox: expected finite log_scale_min"),
    ],
)
def test_a_welcome_that_contradicts_itself_is_refused(running: Running, change: dict, text: str):
    from dataclasses import replace

    from gstalker.bridge.client.served_avatar import ServedAvatar

    with pytest.raises(WireError, match=text):
        ServedAvatar.from_welcome(replace(welcome_like(running), **change))


def test_a_frame_with_another_number_of_movers_is_refused(running: Running):
    from dataclasses import replace

    with AvatarClient(running.address) as client:
        (frame,) = take(client, FrameQ16, 1)
        with pytest.raises(WireError, match="mover_count: expected 400 as in the welcome, got 399"):
            client.avatar.frame(replace(frame, mover_count=399, movers=frame.movers[:399]))
