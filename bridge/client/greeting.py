"""When to greet a server, as whom, and what to make of the answer. No sockets and no clock."""

from __future__ import annotations

from dataclasses import dataclass

from gstalker.bridge.errors import Refused
from gstalker.bridge.schema import Hello, Refusal, Welcome

# A transport that backs off may look away for seconds: a fresh connection tries at once, so that a restarted server is
# found in half a second. One packet of some 60 bytes each time.
PROBE_S = 0.4
AGAIN_S = 2.0  # after a refusal that names no time


@dataclass(frozen=True)
class Wanted:
    """Which session a program asked for."""

    avatar: str
    session_id: int
    private: bool
    client_name: str


class Greeting:
    """The state of getting into a session.

    Attributes:
        under_way: a hello was or is about to be sent, and no welcome has come.
        refusal: why the server would not have this client, the last time.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.under_way = False
        self.refusal: Refused | None = None
        self._wanted = wanted
        self._private_again = False  # the old private session has ended: open another
        self._tried_at_s = self._next_s = 0.0
        self._tried = False

    def begin(self, now_s: float, *, on_this_link: bool = False) -> None:
        """A connection is needed, or with `on_this_link` only a welcome."""
        self.under_way, self.refusal = True, None
        self._private_again = False
        self._tried, self._tried_at_s, self._next_s = on_this_link, now_s, now_s

    def due(self, now_s: float, *, up: bool, patience_s: float) -> bool:
        """Whether to connect (anew) and greet now.

        Args:
            now_s: the client's clock.
            up: whether the transport has reached a server: then it is given `patience_s` to answer.
            patience_s: how long.
        """
        if not self.under_way or now_s < self._next_s:
            return False
        if self._tried and now_s < self._tried_at_s + (patience_s if up else PROBE_S):
            return False
        self._tried, self._tried_at_s, self._next_s = True, now_s, now_s
        return True

    def hello(self, request_id: int, before: Welcome | None) -> Hello:
        """What to say; `before` is the welcome of the connection that was lost."""
        wanted = self._wanted
        session_id = wanted.session_id
        if wanted.private and wanted.session_id == 0 and before is not None and not self._private_again:
            session_id = before.session_id
        avatar = wanted.avatar or (before.avatar_name if before else "")
        return Hello(request_id, wanted.client_name, avatar, session_id, wanted.private)

    def refused(self, refusal: Refusal, error: Refused, now_s: float) -> bool:
        """The server said no; whether to greet at once, asking for something else."""
        if refusal.code == "unknown_session" and self._wanted.private and not self._private_again:
            self._private_again = True
            return True
        self.refusal = error
        self._tried = False
        self._next_s = now_s + (refusal.retry_after_s or AGAIN_S)
        return False

    def in_a_stranger_s_session(self, welcome: Welcome, before: Welcome | None) -> bool:
        """Whether this is the session of that number in another server, where it is somebody else's."""
        wanted = self._wanted
        asked_for_old = wanted.private and wanted.session_id == 0 and before is not None and not self._private_again
        self._private_again = self._private_again or (
            asked_for_old and before is not None and before.server_id != welcome.server_id
        )
        return asked_for_old and self._private_again

    def end(self) -> None:
        """The client is in."""
        self.under_way = False
        self.refusal = None
