"""The Python client of a served avatar: connects, receives frames and sound, decodes and draws.

    with AvatarClient("tcp://127.0.0.1:5555") as client:
        for received in client.messages():
            if isinstance(received.message, FrameQ16):
                picture = client.render(client.avatar.frame(received.message))

The model for clients in other languages; docs/protocol.md says what each must do.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import zmq

from gstalker.bridge import schema
from gstalker.bridge.client.served_avatar import ServedAvatar
from gstalker.bridge.codec import decode, decode_as, encode, topic_field
from gstalker.bridge.errors import Refused, ServerLost, WireError
from gstalker.bridge.schema import Message
from gstalker.bridge.transport import (
    DEFAULT_ADDRESS,
    Address,
    connect_control,
    connect_publication,
    parse_address,
)
from gstalker.kernels.frame import Frame
from gstalker.kernels.rendered_image import RenderedImage
from gstalker.runtime.errors import InputError

SILENCE_S = 2.0  # frames come every 40 ms, also between utterances: after this the server is taken for dead
Answer = TypeVar("Answer", bound=Message)


@dataclass(frozen=True)
class Received:
    """A publication and when it came, on the client's own steady clock (time.perf_counter)."""

    message: Message
    received_at_s: float


class AvatarClient:
    """A connection to one served avatar. Use it from one thread, and close it."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        client_name: str = "python",
        timeout_s: float = 5.0,
        topics: tuple[type[Message], ...] = (schema.FrameQ16, schema.Audio),
        latest_only: bool = False,
    ) -> None:
        """Connect, greet the server and subscribe.

        Args:
            address: where the server takes requests.
            client_name: for the server's log.
            timeout_s: how long to go on trying to reach the server, and to wait for each answer.
            topics: which publications to get, besides the events, which always come.
            latest_only: keep only the newest frame, for display: a slow program skips frames and never lags.
                Sound and events then come through a connection of their own and none is skipped.

        Raises:
            InputError: no server answers there, or the address is not allowed.
            WireVersionError: it speaks another wire version.
            Refused: it does not want this client.
        """
        self.address: Address = parse_address(address)
        self._timeout_s = timeout_s
        self._request_ids = itertools.count(1)
        self._context = zmq.Context()
        self._control = connect_control(self._context, self.address)
        self._poller = zmq.Poller()
        try:
            hello = schema.Hello(
                request_id=next(self._request_ids),
                client_name=client_name,
                avatar_name="",
                session_id=0,
                private=False,
            )
            welcome = self._ask(hello, schema.Welcome)
            self.avatar = ServedAvatar.from_welcome(welcome)
            self._subscribe(welcome.publication_port, topics, latest_only)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> AvatarClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect. Nothing can be received after it."""
        self._context.destroy(linger=0)

    def receive(self, timeout_s: float) -> Received | None:
        """The next publication; None when none comes in this time.

        Raises:
            WireError: what came is not a sound message.
        """
        ready = dict(self._poller.poll(math.ceil(max(0.0, timeout_s) * 1000)))
        for socket in self._subscriptions:
            if socket in ready:
                data = socket.recv()
                return Received(message=decode(data), received_at_s=time.perf_counter())
        return None

    def messages(self, silence_s: float = SILENCE_S) -> Iterator[Received]:
        """All publications until the server says that the stream is over.

        Args:
            silence_s: how long nothing may come before the server is taken for dead.

        Raises:
            ServerLost: nothing came for that long.
            WireError: what came is not a sound message.
        """
        while True:
            received = self.receive(silence_s)
            if received is None:
                raise ServerLost(
                    f"{self.address.control}: expected a frame every {1000 / self.avatar.fps:.0f} ms, got nothing for "
                    f"{silence_s:g} s: the server was stopped or is stuck. Start it again with `gstalker serve`."
                )
            yield received
            if isinstance(received.message, schema.StreamEnd):
                return

    def render(self, frame: Frame) -> RenderedImage:
        """Draw a frame on the CPU before the avatar's backdrop, as its own camera sees it."""
        return self.avatar.render(frame)

    def play(self) -> None:
        """Have the server speak its sound from the beginning. Raises Refused where it has none."""
        self._ask(schema.Play(request_id=next(self._request_ids)), schema.Done)

    def stop(self) -> None:
        """Have the server fall silent and go on idling."""
        self._ask(schema.Stop(request_id=next(self._request_ids)), schema.Done)

    def stats(self) -> schema.Stats:
        """How well the server keeps time."""
        return self._ask(schema.GetStats(request_id=next(self._request_ids)), schema.Stats)

    def _subscribe(self, port: int, topics: tuple[type[Message], ...], latest_only: bool) -> None:
        frames = tuple(t for t in topics if t in (schema.FrameQ16, schema.FrameF32)) if latest_only else ()
        others = (*(t for t in topics if t not in frames), schema.SpeechEnd, schema.StreamEnd)
        if len(frames) > 1:
            names = [t.TOPIC for t in frames]
            raise InputError(f"latest_only: expected one kind of frame, got {names}. Ask for one of them.")
        session_id = self.avatar.welcome.session_id
        groups = ((frames, True),) * bool(frames) + ((others, False),)
        self._subscriptions = [
            connect_publication(
                *(self._context, self.address, port, tuple(topic_field(t, session_id) for t in group)),
                latest_only=latest,
            )
            for group, latest in groups
        ]
        for socket in self._subscriptions:
            self._poller.register(socket, zmq.POLLIN)

    def _ask(self, request: Message, expected: type[Answer]) -> Answer:
        """Send a request and wait for its answer; answers to requests given up earlier are passed over."""
        self._control.send(encode(request))
        give_up_at_s = time.perf_counter() + self._timeout_s
        request_id = getattr(request, "request_id")  # noqa: B009  # every request has one; the base class does not
        while (left_s := give_up_at_s - time.perf_counter()) > 0:
            if not self._control.poll(math.ceil(left_s * 1000)):
                break
            data = self._control.recv()
            answer = decode(data)
            if getattr(answer, "request_id", None) not in (request_id, 0):
                continue
            if isinstance(answer, schema.Refusal):
                raise Refused(answer.code, f"{self.address.control}: refused {request.TOPIC}: {answer.reason}")
            return decode_as(expected, data)
        raise InputError(
            f"{self.address.control}: expected an avatar server to answer {request.TOPIC}, none did within "
            f"{self._timeout_s:g} s. Start one with `gstalker serve BUNDLE`, or check the address."
        )


__all__ = ["AvatarClient", "Received", "WireError"]
