"""Who is connected: each client's session, lease, wishes and allowances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gstalker.bridge.errors import RequestRefused
from gstalker.bridge.server.options import Limits
from gstalker.bridge.server.rate_limit import RateLimit

HELLO_WEIGHT = 10.0  # requests that a hello counts as: its answer holds the whole avatar


@dataclass
class Client:
    """One connection that has greeted.

    Attributes:
        identity: what the transport calls it.
        name: what it calls itself.
        session_id: where it is.
        seen_s: when it last asked for something, on the server's steady clock.
        frame_divisor: every how manieth frame it wants.
    """

    identity: bytes
    name: str
    session_id: int
    seen_s: float
    requests: RateLimit
    sound_s: RateLimit
    frame_divisor: int = 1


class Membership:
    """The clients of a server; memory is bounded by their cap."""

    def __init__(self, limits: Limits, now_s: float) -> None:
        self._limits = limits
        self._clients: dict[bytes, Client] = {}
        # All who have not greeted share one allowance: a table of strangers would grow as they please. As many as the
        # server takes may come at once, as they do when it was started again.
        burst = limits.request_burst + HELLO_WEIGHT * limits.client_count
        self._strangers = RateLimit(limits.requests_a_second, burst, now_s)

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(self._clients.values())

    def get(self, identity: bytes) -> Client | None:
        return self._clients.get(identity)

    def known(self, identity: bytes) -> Client:
        """The client of a connection.

        Raises:
            RequestRefused: it has not greeted, or was forgotten.
        """
        client = self._clients.get(identity)
        if client is None:
            raise RequestRefused(
                "greet_first",
                f"expected hello before anything else: this connection is not known, or was forgotten after "
                f"{self._limits.client_lease_s:g} s without a request. Send hello, then ask again.",
            )
        return client

    def in_session(self, session_id: int) -> list[Client]:
        return [c for c in self._clients.values() if c.session_id == session_id]

    def take_request(self, identity: bytes, now_s: float, weight: float = 1.0) -> None:
        """Count a request, and the sign of life that it is.

        Raises:
            RequestRefused: too many a second.
        """
        client = self._clients.get(identity)
        if client is not None:
            client.seen_s = now_s
        allowance = self._strangers if client is None else client.requests
        wait_s = allowance.take(weight, now_s)
        if wait_s:
            raise RequestRefused(
                "too_fast",
                f"expected at most {self._limits.requests_a_second:g} requests a second (a hello counts as "
                f"{HELLO_WEIGHT:g}), got more. Wait {wait_s:.2g} s.",
                wait_s,
            )

    def take_sound(self, client: Client, sound_s: float, now_s: float) -> None:
        """Count pushed sound.

        Raises:
            RequestRefused: too much a second.
        """
        wait_s = client.sound_s.take(sound_s, now_s)
        if wait_s:
            raise RequestRefused(
                "too_fast",
                f"expected at most {self._limits.sound_s_a_second:g} s of sound a second, got more. Wait "
                f"{wait_s:.2g} s.",
                wait_s,
            )

    def check_room(self, identity: bytes) -> None:
        """Refuse one client more than the cap.

        Raises:
            RequestRefused: too many clients.
        """
        if identity not in self._clients and len(self._clients) >= self._limits.client_count:
            raise RequestRefused(
                "too_many_clients",
                f"expected at most {self._limits.client_count} clients, this would be one more. Close another first.",
                self._limits.client_lease_s,
            )

    def enter(self, identity: bytes, name: str, session_id: int, now_s: float) -> Client:
        """Take a client in, or move one that is here; `check_room` comes first."""
        client = self._clients.get(identity)
        if client is None:
            limits = self._limits
            requests = RateLimit(limits.requests_a_second, limits.request_burst, now_s)
            sound_s = RateLimit(limits.sound_s_a_second, limits.sound_burst_s, now_s)
            client = Client(identity, name, session_id, now_s, requests, sound_s)
            self._clients[identity] = client
        elif client.session_id != session_id:
            client.frame_divisor = 1
        client.name, client.session_id, client.seen_s = name, session_id, now_s
        return client

    def leave(self, identity: bytes) -> Client | None:
        return self._clients.pop(identity, None)

    def forget_silent(self, now_s: float) -> list[Client]:
        """Drop those who asked for nothing for longer than the lease."""
        silent = [c for c in self._clients.values() if now_s - c.seen_s > self._limits.client_lease_s]
        for client in silent:
            del self._clients[client.identity]
        return silent
