"""The server's door: who may come in, how many at once, and who is shown out.

    sockets = open_sockets(zmq.Context.instance(), address, keys, frame_bytes=..., fps=25)
    sockets.control, sockets.publication      the ROUTER and XPUB of `bridge.transport.bind_server`
    sockets.receive_subscription()            the next (un)subscription to something that exists
    sockets.offended(frame)                   say of a request that it could not be decoded
    sockets.door.counts()                     for metrics
    sockets.close()

ZeroMQ asks over an in-process socket (ZAP, its RFC 27) whether a key may come in; the door compares the 32 bytes
with the allowed ones and looks at nothing else, so no name, path or code is ever taken from the wire. ZeroMQ limits
neither the number of connections nor what a connected peer may waste: the door counts connections through the
sockets' monitors, closes those beyond the cap, those that send without end (on Linux, where the system counts
bytes), and those whose messages are nonsense again and again.

The door runs in a thread of its own, so a busy field does not keep anybody waiting outside.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from gstalker.bridge import schema
from gstalker.bridge.keys import ServerKeys
from gstalker.bridge.server.connection import Connection, bytes_received, peer_of, shut_down
from gstalker.bridge.server.logs import say, server_log
from gstalker.bridge.transport import MAX_CONNECTIONS, MAX_WAITING_S, ZAP_DOMAIN, Address, bind_server
from gstalker.runtime.errors import InputError

ZAP_ADDRESS = "inproc://zeromq.zap.01"
MAX_OFFENCES = 100  # messages that mean nothing, of one connection at once
SUBSCRIPTION_OFFENCE = 0.05  # what a sound subscription counts as: 2,000 at once or 20 a second are no display
SUBSCRIPTIONS_A_CALL = 64
TURN_MS = 100
# Why a connection was not taken or was closed, as metrics name it.
REASONS = {
    "key_not_allowed": "the client's key is not among the allowed ones",
    "no_encryption": "it does not speak CURVE, and this server demands it",
    "wrong_server_key": "it means a server with another key",
    "no_handshake": "the handshake broke off or took too long",
    "protocol": "it does not speak ZeroMQ as it should",
    "too_many": "there are as many connections as the server takes",
    "too_much": "it sent more than any client has to say",
    "offences": "it went on sending messages that mean nothing",
}
_WATCHED = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)
# libzmq's numbers for ways in which a handshake can break the protocol.
_MECHANISM_MISMATCH, _CRYPTOGRAPHIC = 0x11000002, 0x11000001
_log = server_log(__name__)


@dataclass(frozen=True)
class DoorCounts:
    """What happened at the door so far."""

    connections: int  # now, of both sockets
    accepted: int
    refused: dict[str, int]  # by REASONS


@dataclass
class _Monitor:
    events: zmq.Socket
    connections: dict[int, Connection] = field(default_factory=dict)  # by the system's number of the socket
    failure: str = ""  # of the handshake whose connection is about to close


class Door:
    """Answers who may come in, counts connections and closes those that are too many or misbehave."""

    def __init__(self, context: zmq.Context, keys: ServerKeys | None, max_connections: int = MAX_CONNECTIONS) -> None:
        """Take the place of who is asked about keys.

        Raises:
            InputError: another server with keys runs in this context.
        """
        self._allowed = {z85.decode(k.encode("ascii")): name for k, name in keys.allowed.items()} if keys else {}
        self._max_connections = max_connections
        self._monitors: list[_Monitor] = []
        self._lock = threading.Lock()  # over the two counts and the connections, which two threads read
        self._accepted = 0
        self._refused: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self._asked = _bind_zap(context) if keys is not None else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)

    def watch(self, socket: zmq.Socket) -> None:
        """Count this socket's connections; before it is bound and before `start`."""
        self._monitors.append(_Monitor(socket.get_monitor_socket(_WATCHED)))

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread and close what it used. The sockets watched must have been closed or freed before."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)
        for socket in (m.events for m in self._monitors):
            socket.close(linger=0)
        if self._asked is not None:
            self._asked.close(linger=0)

    def counts(self) -> DoorCounts:
        """Any thread may ask."""
        with self._lock:
            return DoorCounts(sum(len(m.connections) for m in self._monitors), self._accepted, dict(self._refused))

    def offended(self, message: zmq.Frame, weight: float = 1.0) -> None:
        """A connection sent a message that means nothing; after MAX_OFFENCES of them it is closed."""
        try:
            number = message.get(zmq.SRCFD)
        except zmq.ZMQError:  # it has no sender: ZeroMQ's own word that a connection, and what it wanted, is gone
            return
        with self._lock:
            for monitor in self._monitors:
                connection = monitor.connections.get(number)
                if connection is not None:
                    if connection.offended(weight, time.monotonic()) >= MAX_OFFENCES:
                        self._show_out(number, connection, "offences")
                    return

    def _run(self) -> None:
        poller = zmq.Poller()
        sockets = [m.events for m in self._monitors] + ([self._asked] if self._asked is not None else [])
        for socket in sockets:
            poller.register(socket, zmq.POLLIN)
        look_at_s = time.monotonic()
        while not self._stop.is_set():
            if time.monotonic() >= look_at_s:
                self._look_at_volumes()
                look_at_s = time.monotonic() + TURN_MS / 1000
            try:
                ready = dict(poller.poll(TURN_MS))
                if self._asked is not None and self._asked in ready:
                    self._answer(self._asked)
                for monitor in self._monitors:
                    if monitor.events in ready:
                        self._follow(monitor)
            except zmq.ContextTerminated:
                return

    def _answer(self, asked: zmq.Socket) -> None:
        """Say whether one key may come in: the reply of ZAP 1.0."""
        parts = asked.recv_multipart()
        version, request_id, domain, address, _, mechanism, *credentials = [*parts, *[b""] * 6][: max(6, len(parts))]
        sound = (version, domain, mechanism) == (b"1.0", ZAP_DOMAIN, b"CURVE") and len(credentials) == 1
        name = self._allowed.get(credentials[0]) if sound else None
        status = (b"200", b"OK", name.encode("ascii")) if name else (b"400", b"not allowed", b"")
        asked.send_multipart([b"1.0", request_id, *status, b""])
        shown = address.decode("ascii", errors="replace").removeprefix("::ffff:")
        if name:
            say(_log, logging.INFO, "key_accepted", "let in %s from %s", name, shown, client=name, address=shown)
        else:
            with self._lock:
                self._refuse("key_not_allowed", shown)

    def _follow(self, monitor: _Monitor) -> None:
        event = parse_monitor_message(monitor.events.recv_multipart())
        kind, value = event["event"], event["value"]
        if kind == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            monitor.failure = monitor.failure or "no_handshake"
        elif kind == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            names = {_MECHANISM_MISMATCH: "no_encryption", _CRYPTOGRAPHIC: "wrong_server_key"}
            monitor.failure = names.get(value, "protocol")
        elif kind == zmq.EVENT_ACCEPTED:
            self._came(monitor, value)
        elif kind == zmq.EVENT_DISCONNECTED:
            with self._lock:
                gone = monitor.connections.pop(value, None)
                # libzmq reports a failed handshake and the end of its connection one after the other.
                if monitor.failure and not (gone and gone.shown_out):
                    self._refuse(monitor.failure, gone.peer[0] if gone else "an unknown address")
            monitor.failure = ""

    def _came(self, monitor: _Monitor, number: int) -> None:
        peer = peer_of(number)
        with self._lock:
            self._accepted += 1
            if peer is None:  # gone already; its end is reported next
                return
            monitor.connections[number] = Connection(peer)
            if len(monitor.connections) > self._max_connections:
                self._show_out(number, monitor.connections[number], "too_many")

    def _look_at_volumes(self) -> None:
        """Close connections that send without end.

        ZeroMQ caps a message's parts, not how many there are, and keeps them all until the last one has come: one
        client could fill the memory.
        """
        now_s = time.monotonic()
        with self._lock:
            for monitor in self._monitors:
                for number, connection in monitor.connections.items():
                    received = bytes_received(number)
                    if received is not None and connection.sends_too_much(received, now_s):
                        self._show_out(number, connection, "too_much")

    def _show_out(self, number: int, connection: Connection, reason: str) -> None:
        """Close a connection; the lock is held."""
        if not connection.shown_out and shut_down(number, connection.peer):
            connection.shown_out = True
            self._refuse(reason, connection.peer[0])

    def _refuse(self, reason: str, address: str) -> None:
        """Count and log; the lock is held."""
        self._refused[reason] += 1
        say(
            *(_log, logging.WARNING, f"refused_{reason}", "refused a connection from %s: %s", address, REASONS[reason]),
            reason=reason,
            address=address,
        )


@dataclass(frozen=True)
class ServerSockets:
    """What a server talks through, and the door before it."""

    control: zmq.Socket
    publication: zmq.Socket
    door: Door

    def receive_subscription(self) -> tuple[bool, bytes] | None:
        """The next change of what subscribers want: whether it begins, and the beginning of topics it names.

        None when there is none, and now and then in a flood, so that frames have their turn. What names no topic
        that can exist is passed over and counts as an offence.
        Sessions that do not exist are not told apart: remember only topics of those that do, or memory fills.
        """
        for _ in range(SUBSCRIPTIONS_A_CALL):
            if not self.publication.poll(0):
                return None
            message = self.publication.recv(copy=False)
            event = message.bytes
            sound = event[:1] in (b"\x00", b"\x01") and _may_exist(event[1:])
            self.door.offended(message, SUBSCRIPTION_OFFENCE if sound else 1.0)
            if sound:
                return event[:1] == b"\x01", event[1:]
        return None

    def offended(self, message: zmq.Frame) -> None:
        """Say that this request, received with copy=False, could not be decoded."""
        self.door.offended(message)

    def close(self) -> None:
        """Close everything; what has not left by now is lost."""
        for socket in (self.control, self.publication):
            socket.disable_monitor()
            socket.close(linger=0)
        self.door.close()


def open_sockets(
    context: zmq.Context,
    address: Address,
    keys: ServerKeys | None = None,
    *,
    frame_bytes: int,
    fps: int,
    lead_s: float = MAX_WAITING_S,
    max_connections: int = MAX_CONNECTIONS,
) -> ServerSockets:
    """A server's sockets behind a door.

    Args:
        context: one with no other server with keys in it.
        address: where to listen.
        keys: who the server is and whom it lets in; needed where the address is not loopback.
        frame_bytes, fps, lead_s: of the largest avatar served, for `transport.publication_queue`.
        max_connections: of each of the two sockets.

    Raises:
        InputError: the address demands keys, a port is taken, or another server with keys is in the context.
    """
    door = Door(context, keys, max_connections)
    try:
        control, publication = bind_server(
            context, address, keys, frame_bytes=frame_bytes, fps=fps, lead_s=lead_s, watch=door.watch
        )
    except BaseException:
        door.close()
        raise
    door.start()
    return ServerSockets(control, publication, door)


def _bind_zap(context: zmq.Context) -> zmq.Socket:
    """Where ZeroMQ asks about keys."""
    socket = context.socket(zmq.REP)
    socket.setsockopt(zmq.LINGER, 0)
    try:
        socket.bind(ZAP_ADDRESS)
    except zmq.ZMQError as error:
        socket.close()
        raise InputError(
            "keys: expected one server with keys in a ZeroMQ context, there is one already. "
            "Give each a context of its own."
        ) from error
    return socket


_TOPICS = tuple(f"{kind.TOPIC}@".encode("ascii") for kind in schema.PUBLICATIONS)


def _may_exist(wanted: bytes) -> bool:
    """Whether some publication's topic begins so."""
    if len(wanted) > schema.TOPIC_BYTES:
        return False
    for topic in _TOPICS:
        if topic.startswith(wanted):
            return True
        digits = wanted[len(topic) :].rstrip(b"\0")
        if wanted.startswith(topic) and digits.isdigit() and int(digits) <= schema.MAX_SESSION_ID:
            return True
    return False
