"""Asks a server how it fares, again and again, without watching: nothing is subscribed to, so nothing begins."""

from __future__ import annotations

import itertools
import math
import time
from types import TracebackType
from typing import TypeVar

import zmq

from gstalker.bridge import schema
from gstalker.bridge.codec import decode, decode_as, encode
from gstalker.bridge.errors import Refused
from gstalker.bridge.keys import ClientKeys
from gstalker.bridge.schema import Message
from gstalker.bridge.transport import connect_control, parse_address
from gstalker.runtime.errors import InputError

Answer = TypeVar("Answer", bound=Message)


class StatsReader:
    """A client of one session that only asks; it must ask within the server's lease, 5 s, or greets anew.

    Attributes:
        welcome: what the server said of itself last.
    """

    def __init__(
        self,
        address: str,
        *,
        avatar_name: str = "",
        session_id: int = 0,
        keys: ClientKeys | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        """Connect and greet.

        Args:
            address: where the server takes requests.
            avatar_name: whose shared session; empty for the first.
            session_id: this session instead.
            keys: needed where the address is not loopback.
            timeout_s: how long to wait for each answer.

        Raises:
            InputError: no server answers there, or the address demands keys.
            Refused: no such avatar or session, or no room.
        """
        self._address = parse_address(address)
        self._avatar_name, self._session_id, self._timeout_s = avatar_name, session_id, timeout_s
        self._request_ids = itertools.count(1)
        self._context = zmq.Context()
        try:
            self._control = connect_control(self._context, self._address, keys)
            self.welcome = self._greet()
        except BaseException:
            self._context.destroy(linger=0)
            raise

    def __enter__(self) -> StatsReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye, as far as that is possible without waiting."""
        self._control.send(encode(schema.Leave(request_id=next(self._request_ids))), zmq.NOBLOCK)
        self._context.destroy(linger=100)

    def read(self) -> schema.Stats:
        """The figures now; of a server that was started again, those of the new one.

        Raises:
            InputError: no answer came.
            Refused: the session is over.
        """
        try:
            return self._ask(schema.GetStats(request_id=next(self._request_ids)), schema.Stats)
        except Refused as refusal:
            if refusal.code != "greet_first":
                raise
        self.welcome = self._greet()
        return self._ask(schema.GetStats(request_id=next(self._request_ids)), schema.Stats)

    def _greet(self) -> schema.Welcome:
        hello = schema.Hello(
            request_id=next(self._request_ids),
            client_name="stats",
            avatar_name=self._avatar_name,
            session_id=self._session_id,
            private=False,
        )
        return self._ask(hello, schema.Welcome)

    def _ask(self, request: schema.Request, expected: type[Answer]) -> Answer:
        self._control.send(encode(request))
        give_up_at_s = time.monotonic() + self._timeout_s
        while (left_s := give_up_at_s - time.monotonic()) > 0 and self._control.poll(math.ceil(left_s * 1000)):
            data = self._control.recv()
            answer = decode(data)
            if getattr(answer, "request_id", None) not in (request.request_id, 0):
                continue  # to a question given up before
            if isinstance(answer, schema.Refusal):
                raise Refused(answer.code, f"{self._address.control}: refused {request.TOPIC}: {answer.reason}")
            return decode_as(expected, data)
        raise InputError(
            f"{self._address.control}: expected an avatar server to answer {request.TOPIC}, none did within "
            f"{self._timeout_s:g} s. Is one running there (`gstalker serve`), and are the keys the right ones?"
        )
