"""An avatar server that only acts as one: it answers, and publishes what a test tells it to, sound or not."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace

import zmq

from gstalker.bridge import schema
from gstalker.bridge.codec import decode, encode
from gstalker.bridge.transport import bind_server, parse_address


@dataclass
class ActingServer:
    """Answers hello and ping; use it in a `with`.

    Attributes:
        asked: every request that came, in order.
    """

    port: int
    welcome: schema.Welcome
    running: bool = True  # whether the session's clock is said to run
    asked: list[schema.Message] = field(default_factory=list)
    _to_publish: list[bytes] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def now_s(self) -> float:
        """The session's clock."""
        return time.perf_counter() - self._began_s

    def publish(self, data: bytes | bytearray) -> None:
        self._to_publish.append(bytes(data))

    def __enter__(self) -> ActingServer:
        self._began_s = time.perf_counter()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        context = zmq.Context()
        control, publication = bind_server(context, parse_address(self.address))
        try:
            while not self._stop.is_set():
                while self._to_publish:
                    publication.send(self._to_publish.pop(0))
                if publication.poll(0):
                    publication.recv()
                if control.poll(5):
                    identity, data = control.recv_multipart()
                    control.send_multipart([identity, bytes(encode(self._answer(decode(data))))])
        finally:
            context.destroy(linger=0)

    def _answer(self, request: schema.Message) -> schema.Message:
        self.asked.append(request)
        number = int(getattr(request, "request_id"))  # noqa: B009  # every request has one
        if isinstance(request, schema.Hello):
            return replace(self.welcome, request_id=number, publication_port=self.port + 1)
        if isinstance(request, schema.Ping):
            return schema.Pong(number, request.client_time_s, self.now_s, self.running)
        if isinstance(request, schema.SetHeadPose | schema.SetExpression | schema.SetEmotion | schema.SetGaze):
            return schema.Applied(number, True, "Limited to what was seen.")
        if isinstance(request, schema.Play):
            return schema.Refusal(number, "no_speech", "There is no sound here.", 0.0)
        return schema.Done(number)
