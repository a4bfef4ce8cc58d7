"""A client without a will of its own: sends the requests it is given and takes what comes."""

from __future__ import annotations

import time
from typing import TypeVar

import zmq

from gstalker.bridge import schema
from gstalker.bridge.codec import decode, decode_as, encode, topic_field
from gstalker.bridge.schema import Message, Refusal, Request, Welcome

Answer = TypeVar("Answer", bound=Message)


class RawClient:
    """A DEALER, and a SUB once it has subscribed."""

    def __init__(self, address: str) -> None:
        self.host, _, port = address.rpartition(":")
        self._context = zmq.Context()
        self.control = self._context.socket(zmq.DEALER)
        self.control.connect(f"{self.host}:{port}")
        self.subscription = self._context.socket(zmq.SUB)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._context.destroy(linger=0)

    def ask(self, request: Request, expected: type[Answer], timeout_s: float = 20.0) -> Answer:
        """The answer; fails on a refusal."""
        self.control.send(encode(request))
        assert self.control.poll(round(1000 * timeout_s)), f"no answer to {request.TOPIC}"
        data = self.control.recv()
        answer = decode(data)
        assert not (isinstance(answer, Refusal) and expected is not Refusal), answer.reason
        return decode_as(expected, data)

    def refused(self, request: Request) -> Refusal:
        return self.ask(request, Refusal)

    def hello(self, *, avatar_name: str = "", session_id: int = 0, private: bool = False) -> Welcome:
        return self.ask(schema.Hello(1, "raw", avatar_name, session_id, private), Welcome)

    def subscribe(self, welcome: Welcome, *kinds: type[Message]) -> None:
        for kind in kinds:
            self.subscription.setsockopt(zmq.SUBSCRIBE, topic_field(kind, welcome.session_id))
        self.subscription.connect(f"{self.host}:{welcome.publication_port}")

    def receive(self, timeout_s: float = 20.0) -> Message:
        assert self.subscription.poll(round(1000 * timeout_s)), "nothing was published"
        return decode(self.subscription.recv())

    def take(self, kind: type[Answer], count: int, timeout_s: float = 30.0) -> list[Answer]:
        """The next messages of a type."""
        found: list[Answer] = []
        give_up_s = time.monotonic() + timeout_s
        while len(found) < count:
            assert time.monotonic() < give_up_s, f"{len(found)} of {count} {kind.TOPIC}"
            message = self.receive()
            if isinstance(message, kind):
                found.append(message)
        return found
