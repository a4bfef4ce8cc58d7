"""ZeroMQ sockets with every default that matters set here, and the addresses they may use."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

import zmq

from gstalker.bridge import schema
from gstalker.runtime.errors import InputError

DEFAULT_ADDRESS = "tcp://127.0.0.1:5555"
HANDSHAKE_MS = 2000
HEARTBEAT_EVERY_MS = 1000
HEARTBEAT_TIMEOUT_MS = 3000
RECONNECT_MS = (100, 5000)  # first wait and longest wait
# A frame step sends at most three messages, so a receiver that stalls loses what is older than about 0.4 s.
PUBLICATION_QUEUE = 32
CONTROL_QUEUE = 16
_ADDRESS = re.compile(r"tcp://(?P<host>\[[0-9a-fA-F:]+\]|[A-Za-z0-9.\-*]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True)
class Address:
    """Where a server listens: the control port; publications come from the port after it."""

    host: str
    control_port: int

    @property
    def control(self) -> str:
        return self.at(self.control_port)

    @property
    def publication_port(self) -> int:
        return self.control_port + 1

    def at(self, port: int) -> str:
        """Another port of the same host."""
        return f"tcp://{self.host}:{port}"


def parse_address(text: str) -> Address:
    """Read tcp://HOST:PORT, loopback hosts only.

    Raises:
        InputError: not such an address, or not on this machine alone.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= 65534:
        raise InputError(
            f"{text}: expected an address tcp://HOST:PORT with a port of 1 to 65534, as {DEFAULT_ADDRESS}."
        )
    host = "127.0.0.1" if match["host"] == "localhost" else match["host"]
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise InputError(
            f"{text}: expected an address on this machine (127.0.0.1, [::1] or localhost). Any other needs "
            "encryption keys, which this version does not support yet; use an SSH tunnel to reach another machine."
        )
    return Address(host=host, control_port=int(match["port"]))


def bind_server(context: zmq.Context, address: Address) -> tuple[zmq.Socket, zmq.Socket]:
    """The control (ROUTER) and publication (XPUB) sockets of a server, bound.

    Raises:
        InputError: a port is taken, or may not be used.
    """
    control, publication = context.socket(zmq.ROUTER), context.socket(zmq.XPUB)
    _set_defaults(control, schema.MAX_REQUEST_BYTES, CONTROL_QUEUE)
    # What an XPUB receives are subscriptions: one byte and a topic.
    _set_defaults(publication, 1 + 4 * schema.TOPIC_BYTES, PUBLICATION_QUEUE)
    for socket, port in ((control, address.control_port), (publication, address.publication_port)):
        try:
            socket.bind(address.at(port))
        except zmq.ZMQError as error:
            control.close()
            publication.close()
            raise InputError(
                f"{address.at(port)}: expected a free port, could not listen there ({error}). Stop the program that "
                f"uses it, or give another address; a server needs the given port and the next one."
            ) from error
    return control, publication


def connect_control(context: zmq.Context, address: Address) -> zmq.Socket:
    """The DEALER socket of a client; it goes on trying to connect by itself."""
    socket = context.socket(zmq.DEALER)
    _set_defaults(socket, schema.MAX_MESSAGE_BYTES, CONTROL_QUEUE)
    socket.connect(address.control)
    return socket


def connect_publication(
    context: zmq.Context, address: Address, port: int, topics: tuple[bytes, ...], *, latest_only: bool = False
) -> zmq.Socket:
    """A SUB socket that gets these topics, 16 bytes each (`codec.topic_field`).

    With `latest_only` nothing but the newest message waits in it.
    """
    socket = context.socket(zmq.SUB)
    _set_defaults(socket, schema.MAX_MESSAGE_BYTES, PUBLICATION_QUEUE)
    if latest_only:
        socket.setsockopt(zmq.CONFLATE, 1)
    for topic in topics:
        socket.setsockopt(zmq.SUBSCRIBE, topic)
    socket.connect(address.at(port))
    return socket


def _set_defaults(socket: zmq.Socket, largest_received_bytes: int, queue: int) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.IPV6, 1)
    socket.setsockopt(zmq.MAXMSGSIZE, largest_received_bytes)
    socket.setsockopt(zmq.SNDHWM, queue)
    socket.setsockopt(zmq.RCVHWM, queue)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_EVERY_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS[0])
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS[1])
