"""Addresses beyond this machine demand keys, and sockets have no loose defaults."""

from __future__ import annotations

import time

import pytest
import zmq

from gstalker.bridge import transport
from gstalker.bridge.keys import ClientKeys, ServerKeys, new_key_pair
from gstalker.bridge.transport import Address, bind_server, parse_address
from gstalker.runtime.errors import InputError


@pytest.mark.parametrize(
    ("text", "control"),
    [
        ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555"),
        ("tcp://127.8.9.1:1", "tcp://127.8.9.1:1"),
        ("tcp://localhost:65534", "tcp://127.0.0.1:65534"),
        ("tcp://[::1]:5555", "tcp://[::1]:5555"),
    ],
)
def test_an_address_on_this_machine_is_taken(text: str, control: str):
    assert parse_address(text).control == control


OTHERS_REACH = ("0.0.0.0", "*", "192.168.1.5", "[::]", "[fe80::1%eth0]", "example.org", "eth0", "127.0.0.1.example.org")


@pytest.fixture(scope="module")
def keys() -> tuple[ServerKeys, ClientKeys]:
    server, alice = new_key_pair("server"), new_key_pair("alice")
    return ServerKeys(server, {alice.public.z85: "alice"}), ClientKeys(alice, server.public)


@pytest.mark.parametrize("host", OTHERS_REACH)
def test_without_keys_nothing_is_bound_or_connected_where_others_could_reach_it(host: str):
    address, context = parse_address(f"tcp://{host}:5555"), zmq.Context()
    assert not address.is_loopback
    with pytest.raises(InputError, match=r"expected an address of this machine alone .* --keys with the server's keys"):
        bind_server(context, address)
    with pytest.raises(InputError, match=r"expected an address of this machine alone .* --server-key with the "):
        transport.connect_control(context, address)
    with pytest.raises(InputError, match="expected an address of this machine alone"):
        transport.connect_publication(context, address, 5556, ())
    context.term()  # would wait for a socket left open


def test_keys_with_nobody_allowed_do_not_open_an_address(keys: tuple[ServerKeys, ClientKeys]):
    with pytest.raises(InputError, match="--allow with the public keys of the clients"):
        transport.check_server_address(parse_address("tcp://0.0.0.0:5555"), ServerKeys(keys[0].own, {}))


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "[::]"])
def test_with_keys_any_address_is_bound(host: str, keys: tuple[ServerKeys, ClientKeys], free_port: int):
    context = zmq.Context()
    try:
        bind_server(context, parse_address(f"tcp://{host}:{free_port}"), keys[0])
    except InputError as error:
        if "[::]" in host and "Cannot assign" in str(error):
            pytest.skip("this machine has no IPv6")
        raise
    finally:
        context.destroy(linger=0)


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1:5555", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:65535", "tcp://127.0.0.1:5555/x"),
        *("ipc:///tmp/x", "tcp://127.0.0.1:99999", "tcp://a b:1", ""),
    ],
)
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(InputError, match="expected an address tcp://HOST:PORT with a port of 1 to 65534"):
        parse_address(text)


def bind_soon(socket: zmq.Socket, address: str) -> None:
    """ZeroMQ closes sockets in a thread of its own: the port is free a moment later."""
    give_up = time.monotonic() + 10
    while True:
        try:
            socket.bind(address)
            return
        except zmq.ZMQError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)


@pytest.mark.parametrize("taken", [0, 1])
def test_a_taken_port_is_said_and_the_other_is_given_back(taken: int, free_port: int):
    context = zmq.Context()
    blocker, again = context.socket(zmq.REP), context.socket(zmq.REP)
    try:
        blocker.bind(f"tcp://127.0.0.1:{free_port + taken}")
        with pytest.raises(InputError, match=f"tcp://127.0.0.1:{free_port + taken}: expected a free port"):
            bind_server(context, Address("127.0.0.1", free_port))
        bind_soon(again, f"tcp://127.0.0.1:{free_port + 1 - taken}")
    finally:
        context.destroy(linger=0)


def test_every_socket_has_its_limits(free_port: int):
    context = zmq.Context()
    try:
        control, publication = bind_server(context, Address("127.0.0.1", free_port))
        client = transport.connect_control(context, Address("127.0.0.1", free_port))
        subscriber = transport.connect_publication(
            context, Address("127.0.0.1", free_port), free_port + 1, (b"audio@1",), latest_only=True
        )
        for socket in (control, publication, client, subscriber):
            assert socket.getsockopt(zmq.LINGER) == 0
            assert socket.getsockopt(zmq.HANDSHAKE_IVL) == 2000
            assert socket.getsockopt(zmq.HEARTBEAT_IVL) == 1000
            assert socket.getsockopt(zmq.HEARTBEAT_TIMEOUT) == 3000
            assert socket.getsockopt(zmq.RECONNECT_IVL) == 100
            assert socket.getsockopt(zmq.RECONNECT_IVL_MAX) == 5000
            assert socket.getsockopt(zmq.HEARTBEAT_TTL) == 3000
            assert socket.getsockopt(zmq.SNDHWM) in range(1, 33)
            assert socket.getsockopt(zmq.RCVHWM) in range(1, 33)
            assert socket.getsockopt(zmq.SNDBUF) in range(1, 2**20 + 1)
            assert socket.getsockopt(zmq.RCVBUF) in range(1, 2**20 + 1)
            assert socket.getsockopt(zmq.IPV6) == 1
        assert control.getsockopt(zmq.MAXMSGSIZE) == 256 * 1024
        assert publication.getsockopt(zmq.MAXMSGSIZE) == 1024
        assert client.getsockopt(zmq.MAXMSGSIZE) == subscriber.getsockopt(zmq.MAXMSGSIZE) == 8 * 1024 * 1024
    finally:
        context.destroy(linger=0)


@pytest.mark.parametrize(
    ("frame_bytes", "fps", "lead_s", "expected"),
    [
        (5_000, 25, 0.2, 10),  # 0.2 s of frames with sound
        (5_000, 25, 0.02, 10),
        (640_000, 25, 0.2, 10),
        (640_000, 25, 2.0, 13),  # 8 MB
        (5_000, 25, 2.0, 100),  # the lead
        (8 * 1024 * 1024, 25, 0.2, 1),
        (3 * 1024 * 1024, 25, 0.2, 2),
        (100, 240, 0.2, 96),
        (9_000_000, 3, 0.2, 1),  # never none at all
    ],
)
def test_what_waits_for_a_subscriber_is_capped_in_bytes_and_in_age(
    frame_bytes: int, fps: int, lead_s: float, expected: int
):
    queue = transport.publication_queue(frame_bytes, fps, lead_s)
    assert queue == expected
    assert queue == 1 or queue * frame_bytes <= 8 * 1024 * 1024
    assert queue <= 2 * fps * max(0.2, lead_s)
    least, most = transport.SEND_BUFFER_BYTES
    assert least <= transport.send_buffer_bytes(frame_bytes, fps) <= most
