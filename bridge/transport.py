"""ZeroMQ sockets with every default that matters set here, and what each address demands.

Loopback addresses are free to use. Any other demands CURVE keys (`bridge.keys`) on both ends, and is refused without
them before anything is bound or connected. What is set, against what, is told beside each option; what ZeroMQ has
no option for (how many connections, who comes in, what a peer may send) is in `bridge.server.authentication`.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import zmq

from gstalker.bridge import schema
from gstalker.bridge.keys import ClientKeys, ServerKeys, check_curve
from gstalker.runtime.errors import InputError

DEFAULT_ADDRESS = "tcp://127.0.0.1:5555"
HANDSHAKE_MS = 2000
HEARTBEAT_EVERY_MS = 1000
HEARTBEAT_TIMEOUT_MS = 3000
RECONNECT_MS = (100, 5000)  # first wait and longest wait
CONNECT_MS = 2000  # of one attempt: a machine that swallows packets is tried again, not waited for
MAX_CONNECTIONS = 256  # to each port; `bridge.server.authentication` closes further ones
PENDING_CONNECTIONS = 64  # that the system holds until they are accepted
CONTROL_QUEUE = 16
# On the receiving side, where a program may pause: what came too late is told by its time stamp.
RECEIVING_QUEUE = 32
# What may wait for one subscriber that does not read.
MAX_WAITING_BYTES = 8 * 1024 * 1024
MAX_WAITING_S = 0.2
MESSAGES_A_STEP = 2  # a frame and its sound
SEND_BUFFER_BYTES = (64 * 1024, 1024 * 1024)  # of the system, for one subscriber; least and most
REQUEST_BUFFER_BYTES = 512 * 1024  # of the system, one connection, each way
# To an XPUB come subscriptions of 1 + 16 bytes, and the messages of the CURVE handshake, some 400 bytes.
MAX_SUBSCRIPTION_BYTES = 1024
ZAP_DOMAIN = b"gstalker"
_ADDRESS = re.compile(r"tcp://(?P<host>\[[0-9a-fA-F:]+(?:%[A-Za-z0-9]+)?\]|[A-Za-z0-9.\-*]+):(?P<port>[0-9]{1,5})")


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

    @property
    def is_loopback(self) -> bool:
        """Whether it is reached from this machine alone. A host name is not: what it stands for may change."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def at(self, port: int) -> str:
        """Another port of the same host."""
        return f"tcp://{self.host}:{port}"


def parse_address(text: str) -> Address:
    """Read tcp://HOST:PORT, HOST an IPv4 address, an [IPv6] one, a name, or * for all of a server's.

    Raises:
        InputError: not such an address.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= 65534:
        raise InputError(
            f"{text}: expected an address tcp://HOST:PORT with a port of 1 to 65534, as {DEFAULT_ADDRESS}."
        )
    host = "127.0.0.1" if match["host"] == "localhost" else match["host"]
    return Address(host=host, control_port=int(match["port"]))


def check_server_address(address: Address, keys: ServerKeys | None) -> None:
    """Refuse to be reached from elsewhere without keys. `bind_server` does this, too; here it comes before long work.

    Raises:
        InputError: another address than loopback, and no keys or nobody allowed.
    """
    if keys is not None:
        check_curve()
    if not address.is_loopback and (keys is None or not keys.allowed):
        raise InputError(
            f"{address.control}: expected an address of this machine alone (127.0.0.1, [::1] or localhost), or "
            "--keys with the server's keys and --allow with the public keys of the clients that may come in; "
            "`gstalker keys new NAME` makes keys, docs/security.md has the steps."
        )


def check_client_address(address: Address, keys: ClientKeys | None) -> None:
    """Refuse to talk to another machine in the clear.

    Raises:
        InputError: another address than loopback, and no keys.
    """
    if keys is not None:
        check_curve()
    if not address.is_loopback and keys is None:
        raise InputError(
            f"{address.control}: expected an address of this machine alone (127.0.0.1, [::1] or localhost), or "
            "--keys with this client's keys and --server-key with the server's public key; "
            "`gstalker keys new NAME` makes keys, docs/security.md has the steps."
        )


def publication_queue(frame_bytes: int, fps: int, lead_s: float = MAX_WAITING_S) -> int:
    """How many messages may wait for one subscriber: at most 8 MB, and what is sent in 0.2 s; at least one.

    A step is a frame and a piece of sound; for who takes frames alone, as many messages are twice that time. Where
    messages leave longer before their presentation than 0.2 s, so much may wait: after a stop they are all sent again
    at once.

    Args:
        frame_bytes: of the largest message that is published again and again.
        fps: frames a second.
        lead_s: how long before its presentation a message leaves.
    """
    steps = math.ceil(max(MAX_WAITING_S, lead_s) * fps)
    return max(1, min(MAX_WAITING_BYTES // max(1, frame_bytes), MESSAGES_A_STEP * steps))


def send_buffer_bytes(frame_bytes: int, fps: int) -> int:
    """What the system may hold for one subscriber: 0.2 s of frames, within SEND_BUFFER_BYTES."""
    least, most = SEND_BUFFER_BYTES
    return max(least, min(most, int(MAX_WAITING_S * fps) * frame_bytes))


# Before the first frame is known: an avatar of 40,000 movers at 25 Hz.
PUBLICATION_QUEUE = publication_queue(16 * 40_000, 25)


def bind_server(
    context: zmq.Context,
    address: Address,
    keys: ServerKeys | None = None,
    *,
    frame_bytes: int = 16 * 40_000,
    fps: int = 25,
    lead_s: float = MAX_WAITING_S,
    watch: Callable[[zmq.Socket], None] | None = None,
) -> tuple[zmq.Socket, zmq.Socket]:
    """The control (ROUTER) and publication (XPUB) sockets of a server, bound.

    With keys and nobody to ask who is allowed (`bridge.server.authentication.open_sockets`) every client is refused.

    Args:
        context: whose I/O thread serves them.
        address: where to listen.
        keys: needed where the address is not loopback.
        frame_bytes, fps, lead_s: of the largest avatar served, for the caps of what waits.
        watch: called with each socket before it is bound.

    Raises:
        InputError: a port is taken or may not be used, or the address demands keys.
    """
    check_server_address(address, keys)
    control, publication = context.socket(zmq.ROUTER), context.socket(zmq.XPUB)
    queue = publication_queue(frame_bytes, fps, lead_s)
    _set_defaults(control, schema.MAX_REQUEST_BYTES, CONTROL_QUEUE, REQUEST_BUFFER_BYTES)
    _set_defaults(publication, MAX_SUBSCRIPTION_BYTES, queue, send_buffer_bytes(frame_bytes, fps))
    # An answer to a client that has gone, or reads none of its answers, is dropped: it must not hold up the others.
    control.setsockopt(zmq.ROUTER_MANDATORY, 0)
    # A second connection under an identity in use is refused: nobody takes over another's place. Nor can it be
    # guessed: identities that we did not give begin with another byte than those given.
    control.setsockopt(zmq.ROUTER_HANDOVER, 0)
    for socket, port in ((control, address.control_port), (publication, address.publication_port)):
        socket.setsockopt(zmq.BACKLOG, PENDING_CONNECTIONS)
        if keys is not None:
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            socket.setsockopt(zmq.CURVE_SECRETKEY, keys.own.secret_z85.encode("ascii"))
            socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
            # Without this, a CURVE socket that finds nobody to ask lets everybody in.
            socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        if watch is not None:
            watch(socket)
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


def connect_control(context: zmq.Context, address: Address, keys: ClientKeys | None = None) -> zmq.Socket:
    """The DEALER socket of a client; it goes on trying to connect by itself.

    Raises:
        InputError: the address demands keys.
    """
    check_client_address(address, keys)
    socket = context.socket(zmq.DEALER)
    _set_defaults(socket, schema.MAX_MESSAGE_BYTES, CONTROL_QUEUE, REQUEST_BUFFER_BYTES)
    _set_client(socket, keys)
    socket.connect(address.control)
    return socket


def connect_publication(
    context: zmq.Context,
    address: Address,
    port: int,
    topics: tuple[bytes, ...],
    *,
    latest_only: bool = False,
    keys: ClientKeys | None = None,
) -> zmq.Socket:
    """A SUB socket that gets these topics, 16 bytes each (`codec.topic_field`).

    With `latest_only` nothing but the newest message waits in it.

    Raises:
        InputError: the address demands keys.
    """
    check_client_address(address, keys)
    socket = context.socket(zmq.SUB)
    _set_defaults(socket, schema.MAX_MESSAGE_BYTES, RECEIVING_QUEUE, SEND_BUFFER_BYTES[1])
    _set_client(socket, keys)
    if latest_only:
        socket.setsockopt(zmq.CONFLATE, 1)
    for topic in topics:
        socket.setsockopt(zmq.SUBSCRIBE, topic)
    socket.connect(address.at(port))
    return socket


def _set_defaults(socket: zmq.Socket, largest_received_bytes: int, queue: int, buffer_bytes: int) -> None:
    socket.setsockopt(zmq.LINGER, 0)  # closing never waits for a peer
    socket.setsockopt(zmq.IPV6, 1)
    socket.setsockopt(zmq.MAXMSGSIZE, largest_received_bytes)  # a larger message ends its connection
    socket.setsockopt(zmq.SNDHWM, queue)
    socket.setsockopt(zmq.RCVHWM, queue)
    socket.setsockopt(zmq.SNDBUF, buffer_bytes)
    socket.setsockopt(zmq.RCVBUF, buffer_bytes)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_EVERY_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS)  # and the peer may take us for dead after this
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS[0])
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS[1])


def _set_client(socket: zmq.Socket, keys: ClientKeys | None) -> None:
    socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
    if keys is not None:
        socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server.z85.encode("ascii"))
        socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.own.public.z85.encode("ascii"))
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.own.secret_z85.encode("ascii"))
