"""Addresses stay on this machine, and sockets have no loose defaults."""

from __future__ import annotations

import time

import pytest
import zmq

from gstalker.bridge import transport
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


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "*", "192.168.1.5", "[::]", "example.org", "eth0", "127.0.0.1.example.org"]
)
def test_an_address_that_others_could_reach_is_refused_because_there_are_no_keys_yet(host: str):
    with pytest.raises(InputError) as caught:
        parse_address(f"tcp://{host}:5555")
    assert "expected an address on this machine" in str(caught.value)
    assert "encryption keys, which this version does not support yet" in str(caught.value)


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
            assert socket.getsockopt(zmq.SNDHWM) in range(1, 33)
            assert socket.getsockopt(zmq.RCVHWM) in range(1, 33)
        assert control.getsockopt(zmq.MAXMSGSIZE) == 256 * 1024
        assert publication.getsockopt(zmq.MAXMSGSIZE) in range(1, 100)
        assert client.getsockopt(zmq.MAXMSGSIZE) == subscriber.getsockopt(zmq.MAXMSGSIZE) == 8 * 1024 * 1024
    finally:
        context.destroy(linger=0)
