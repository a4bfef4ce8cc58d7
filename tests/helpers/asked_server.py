"""A server's sessions and requests without sockets, on a clock that the test turns."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TypeVar

import numpy as np
from helpers.session_run import TurnedClock
from made_bundle import LIKENESS, made_avatar

from gstalker.bridge import schema
from gstalker.bridge.codec import decode, encode, topic_field
from gstalker.bridge.schema import FrameQ16, Message, Refusal, Request
from gstalker.bridge.server.delivery import Subscriptions
from gstalker.bridge.server.loaded_avatar import LoadedAvatar
from gstalker.bridge.server.options import Limits, ServeOptions, SessionOptions
from gstalker.bridge.server.requests import Requests
from gstalker.bridge.server.scheduler import due_by_deadline, one_frame
from gstalker.bridge.server.session_table import SessionTable
from gstalker.export.write import bundle_of

Answer = TypeVar("Answer", bound=Message)


@cache
def avatars() -> tuple[LoadedAvatar, LoadedAvatar]:
    """Two small made avatars, "made" and "other"."""
    small = made_avatar(head_movers=40, torso_movers=10, static=4)
    bundles = [bundle_of(replace(small, name=name), LIKENESS) for name in ("made", "other")]
    first, second = (LoadedAvatar(bundle, backend="fused") for bundle in bundles)
    return first, second


class Asked:
    """Requests in, answers out, and what the sessions published.

    Attributes:
        cost_s: what one frame of either avatar is taken to cost.
    """

    def __init__(
        self,
        *,
        recording: np.ndarray | None = None,
        limits: Limits | None = None,
        lead_s: float = 0.2,
        seed: int = 0,
        cost_s: float = 0.001,
        **options: bool,
    ) -> None:
        self.clock = TurnedClock()
        self.published: list[Message] = []
        self.subscriptions = Subscriptions()
        serve = ServeOptions(session=SessionOptions(lead_s=lead_s, seed=seed), limits=limits or Limits(), **options)
        for avatar in avatars():
            avatar.cost.mean_s = cost_s
        self.table = SessionTable(
            *(avatars(), recording, serve, lambda m: self.published.append(decode(encode(m)))),
            *(self.subscriptions, self.clock),
        )
        self.requests = Requests(self.table, serve, 5556, self.clock)
        self._next_request = 1

    def ask(self, request: Request, expected: type[Answer], client: bytes = b"a") -> Answer:
        answer = decode(self.requests.answer(client, bytes(encode(request))).data)
        if not isinstance(answer, expected):
            raise AssertionError(f"{request.TOPIC}: {answer}")
        assert getattr(answer, "request_id") == request.request_id  # noqa: B009
        return answer

    def refused(self, request: Request, client: bytes = b"a") -> Refusal:
        return self.ask(request, Refusal, client)

    def hello(
        self, client: bytes = b"a", *, avatar_name: str = "", session_id: int = 0, private: bool = False
    ) -> schema.Welcome:
        return self.ask(schema.Hello(1, "test", avatar_name, session_id, private), schema.Welcome, client)

    def watch(self, session_id: int, *kinds: type[Message]) -> None:
        """Subscribe, and start the session's clock."""
        for kind in kinds or (FrameQ16,):
            self.subscriptions.take(True, topic_field(kind, session_id))
        session = self.table.get(session_id)
        if session.clock is None:
            session.start(play=not self.table.is_private(session))

    def until(self, time_s: float) -> None:
        """Rounds as the server makes them, until the clock has moved on by this."""
        end_s = self.clock.now_s + time_s
        while True:
            due = due_by_deadline(self.table)
            for session in due:
                one_frame(session)
            if not due:
                wait_s = max(1e-6, min(s.wait_s() for s in self.table))
                if self.clock.now_s + wait_s > end_s:
                    self.clock.now_s = end_s
                    return
                self.clock.now_s += wait_s

    def of(self, kind: type[Answer], session_id: int) -> list[Answer]:
        return [m for m in self.published if isinstance(m, kind) and getattr(m, "session_id") == session_id]  # noqa: B009
