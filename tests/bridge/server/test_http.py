"""The three pages for watchers, and everything else that is refused; a stuck field of a real server shows."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from helpers.raw_client import RawClient
from helpers.running_server import Running

from gstalker.bridge import schema
from gstalker.bridge.server import http as watch
from gstalker.bridge.server.http import WatchServer
from gstalker.bridge.server.metrics import Pulse, ServerMetrics
from gstalker.runtime.errors import InputError


@pytest.fixture
def pulse() -> Pulse:
    pulse = Pulse()
    pulse.beat()
    return pulse


@pytest.fixture
def watched(pulse: Pulse) -> Iterator[WatchServer]:
    server = WatchServer(0, pulse, ServerMetrics(pulse))
    yield server
    server.close()


def get(port: int, path: str, method: str = "GET", host: str = "127.0.0.1") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def exchange(port: int, data: bytes) -> bytes:
    """Everything that comes back until the other end closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received


def test_the_three_pages(watched: WatchServer, pulse: Pulse):
    pulse.beat()
    assert get(watched.port, "/live") == (200, "alive\n")
    assert get(watched.port, "/ready") == (200, "ready\n")
    status, text = get(watched.port, "/metrics")
    assert status == 200
    assert "gstalker_ready 1.0" in text
    pulse.ending()
    assert get(watched.port, "/ready") == (503, "the server is ending\n")
    assert get(watched.port, "/live")[0] == 200


def test_it_listens_on_this_machine_alone(watched: WatchServer):
    assert watched._server.sockets[0].getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "path", ["/", "/metrics/", "/metrics?x=1", "/../metrics", "/etc/passwd", "//metrics", "/READY"]
)
def test_there_is_no_other_page(path: str, watched: WatchServer):
    assert get(watched.port, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_there_is_no_other_method(method: str, watched: WatchServer):
    assert get(watched.port, "/metrics", method)[0] == 405


def test_a_web_page_under_a_name_of_its_own_reads_nothing(watched: WatchServer):
    assert get(watched.port, "/metrics", host="evil.example.org")[0] == 421
    assert get(watched.port, "/ready", host=f"localhost:{watched.port}")[0] == 200
    assert get(watched.port, "/ready", host="[::1]:80")[0] == 200


@pytest.mark.parametrize(
    "data", [b"\r\n\r\n", b"GET /ready\r\n\r\n", b"GET /ready HTTP/2\r\n\r\n", b"\xff\xfe\r\n\r\n"]
)
def test_what_is_no_request_is_said(data: bytes, watched: WatchServer):
    assert exchange(watched.port, data).startswith(b"HTTP/1.1 400 ")


def test_a_large_request_is_refused(watched: WatchServer):
    data = b"GET /ready HTTP/1.1\r\nX: " + b"a" * (2 * watch.MAX_REQUEST_BYTES)
    assert exchange(watched.port, data).startswith(b"HTTP/1.1 431 ")


def test_slow_watchers_are_dropped_and_do_not_hold_up_others(watched: WatchServer, pulse: Pulse):
    idle = [socket.create_connection(("127.0.0.1", watched.port), timeout=10) for _ in range(watch.MAX_CONNECTIONS - 1)]
    try:
        idle[0].sendall(b"GET /ready HTTP/1.1\r\n")
        began = time.monotonic()
        pulse.beat()
        assert get(watched.port, "/live")[0] == 200
        assert time.monotonic() - began < watch.ANSWER_WITHIN_S
        assert idle[0].recv(100) == b""
        assert idle[-1].recv(100) == b""
        assert time.monotonic() - began < watch.ANSWER_WITHIN_S + 5  # a starved machine's margin
    finally:
        for connection in idle:
            connection.close()


def test_more_watchers_than_the_cap_are_turned_away(watched: WatchServer):
    waiting = [socket.create_connection(("127.0.0.1", watched.port), timeout=10) for _ in range(watch.MAX_CONNECTIONS)]
    try:
        time.sleep(0.1)
        assert exchange(watched.port, b"") == b""
    finally:
        for connection in waiting:
            connection.close()


def test_a_taken_port_is_said(watched: WatchServer, pulse: Pulse):
    with pytest.raises(InputError, match=f"metrics port {watched.port}: expected a free port of 127.0.0.1"):
        WatchServer(watched.port, pulse, ServerMetrics(pulse))


def test_closing_twice_is_once(pulse: Pulse):
    server = WatchServer(0, pulse, ServerMetrics(pulse))
    server.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_a_stuck_field_of_a_running_server_shows_within_a_second(running: Running, monkeypatch: pytest.MonkeyPatch):
    watched = WatchServer(0, running.server.pulse, running.server.metrics)
    (avatar,) = running.server.table.avatars
    move, stuck, freed = avatar.move, threading.Event(), threading.Event()

    def hang(*arguments: object, **options: object) -> object:
        if not freed.is_set():
            stuck.set()
            freed.wait(30)
        return move(*arguments, **options)  # type: ignore[arg-type]

    try:
        with RawClient(running.address) as client:
            welcome = client.hello()
            monkeypatch.setattr(avatar, "move", hang)
            client.subscribe(welcome, schema.FrameQ16)
            assert stuck.wait(20)
            time.sleep(1.0)
            status, reason = get(watched.port, "/ready")
            assert status == 503
            assert "the serving thread has not come round for" in reason
            assert "in the frame of session 1" in reason
            assert get(watched.port, "/live")[0] == 200
            freed.set()
            give_up = time.monotonic() + 20
            while get(watched.port, "/ready")[0] != 200:
                assert time.monotonic() < give_up, "never ready again"
    finally:
        freed.set()
        watched.close()
