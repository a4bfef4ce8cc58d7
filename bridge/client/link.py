"""One connection to a server: its sockets, and whether the transport has reached the other end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import zmq
from zmq.utils.monitor import recv_monitor_message

from gstalker.bridge.codec import encode
from gstalker.bridge.keys import ClientKeys
from gstalker.bridge.schema import Message
from gstalker.bridge.transport import Address, connect_control, connect_publication

_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
_AT_ONCE = 64  # messages taken from one socket in a turn, so that a flood does not keep the others waiting


@dataclass(frozen=True)
class Arrived:
    """Bytes, when they came on the client's steady clock, and whether they answer a request."""

    data: bytes
    received_at_s: float
    answer: bool


class Link:
    """The sockets of one connection; made anew for another one, and closed. For one thread.

    Attributes:
        up: whether the transport has reached a server and shaken hands.
        dropped: whether it was up once and then lost.
        refused_key: the server did not let these keys in.
    """

    def __init__(
        self,
        context: zmq.Context,
        address: Address,
        keys: ClientKeys | None = None,
        steady: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Begin to connect; nothing is waited for. Raises InputError where the address demands keys."""
        self._context, self._address, self._keys, self._steady = context, address, keys, steady
        self.up = self.dropped = self.refused_key = False
        self._control = connect_control(context, address, keys)
        self._monitor = self._control.get_monitor_socket(_EVENTS)
        self._subscriptions: list[zmq.Socket] = []
        self._poller = zmq.Poller()
        for socket in (self._control, self._monitor):
            self._poller.register(socket, zmq.POLLIN)

    def subscribe(self, port: int, groups: Sequence[tuple[tuple[bytes, ...], bool]]) -> None:
        """Subscribe anew: each group is its topics, 16 bytes each, and whether only the newest message is kept."""
        self._unsubscribe()
        for topics, latest_only in groups:
            socket = connect_publication(
                self._context, self._address, port, topics, latest_only=latest_only, keys=self._keys
            )
            self._subscriptions.append(socket)
            self._poller.register(socket, zmq.POLLIN)

    def send(self, request: Message) -> bool:
        """Hand a request to the transport; False where too many wait there already."""
        try:
            self._control.send(encode(request), zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def receive(self, timeout_s: float) -> list[Arrived]:
        """What has come, waiting for the first of it at most so long."""
        ready = dict(self._poller.poll(math.ceil(max(0.0, timeout_s) * 1000)))
        if self._monitor in ready:
            self._watch()
        arrived: list[Arrived] = []
        for socket in (self._control, *self._subscriptions):
            if socket in ready:
                self._drain(socket, arrived)
        return arrived

    def close(self) -> None:
        """Close all sockets at once; what has not left is lost."""
        self._unsubscribe()
        self._poller.unregister(self._monitor)
        self._control.disable_monitor()
        self._control.close(linger=0)

    def _unsubscribe(self) -> None:
        for socket in self._subscriptions:
            self._poller.unregister(socket)
            socket.close(linger=0)
        self._subscriptions.clear()

    def _drain(self, socket: zmq.Socket, arrived: list[Arrived]) -> None:
        for _ in range(_AT_ONCE):
            try:
                data = socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                return
            arrived.append(Arrived(data, self._steady(), socket is self._control))

    def _watch(self) -> None:
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.up = True
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self.refused_key = True
            elif event == zmq.EVENT_DISCONNECTED:
                self.dropped = self.dropped or self.up
                self.up = False
