"""One browser and the avatar server: the very messages of ZeroMQ, each as one binary message of a WebSocket.

To the avatar server a browser is a client like any other, with a DEALER and a SUB socket of its own: what it asks goes
through as it is, and is refused by the server where it is not sound; what the server says goes back as it is. Frames
are skipped when the browser is slow, the newest win; sound, events and answers never are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

import zmq
import zmq.asyncio
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from gstalker.bridge import schema
from gstalker.bridge.codec import decode_as, topic_field
from gstalker.bridge.keys import ClientKeys
from gstalker.bridge.transport import Address, connect_control, connect_publication

FRAMES_WAITING = 4  # more than these are older than a browser that fell behind can use
OTHERS_WAITING = 256  # sound, events and answers of about ten seconds: a browser further behind is let go
_FRAME = schema.FrameQ16.TOPIC.encode("ascii") + b"@"


class Relay:
    """Carries messages between one browser and the avatar server until either ends."""

    def __init__(
        self,
        browser: ServerConnection,
        context: zmq.asyncio.Context,
        address: Address,
        keys: ClientKeys | None,
        welcomed: Callable[[schema.Welcome], None],
    ) -> None:
        self._browser, self._context, self._address = browser, context, address
        self._keys, self._welcomed = keys, welcomed
        self._control = _asynchronous(connect_control(context, address, keys))
        self._publication: zmq.asyncio.Socket | None = None
        self._listener: asyncio.Task[None] | None = None
        self._frames: deque[bytes] = deque(maxlen=FRAMES_WAITING)
        self._others: deque[bytes] = deque()
        self._something = asyncio.Event()

    async def run(self) -> None:
        """Relay until the browser goes, or falls too far behind."""
        tasks = [asyncio.create_task(t) for t in (self._from_browser(), self._answers(), self._to_browser())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with contextlib.suppress(ConnectionClosed):
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._stop_listening()
            self._control.close(linger=0)

    async def _from_browser(self) -> None:
        async for data in self._browser:
            if isinstance(data, str):
                await self._browser.close(1003, "Messages are binary; this one was a text.")
                return
            await self._control.send(data)

    async def _answers(self) -> None:
        while True:
            data = await self._control.recv()
            if data.startswith(topic_field(schema.Welcome)):
                welcome = decode_as(schema.Welcome, data)
                self._welcomed(welcome)
                self._listen(welcome)
            self._queue(data)

    def _listen(self, welcome: schema.Welcome) -> None:
        """Take the publications of the session that the browser was welcomed to, and of no other."""
        self._stop_listening()
        kinds = (schema.FrameQ16, schema.Audio, schema.SpeechEnd, schema.StreamEnd)
        topics = tuple(topic_field(kind, welcome.session_id) for kind in kinds)
        socket = _asynchronous(
            connect_publication(self._context, self._address, welcome.publication_port, topics, keys=self._keys)
        )
        self._publication, self._listener = socket, asyncio.create_task(self._publications(socket))

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
        if self._publication is not None:
            self._publication.close(linger=0)
        self._publication = self._listener = None

    async def _publications(self, socket: zmq.asyncio.Socket) -> None:
        while True:
            self._queue(await socket.recv())

    def _queue(self, data: bytes) -> None:
        waiting = self._frames if data.startswith(_FRAME) else self._others
        waiting.append(data)
        self._something.set()

    async def _to_browser(self) -> None:
        while len(self._others) <= OTHERS_WAITING:
            while self._others:
                await self._browser.send(self._others.popleft())
            if self._frames:
                await self._browser.send(self._frames.popleft())
            else:
                self._something.clear()
                await self._something.wait()
        await self._browser.close(1013, "This page is too slow for the sound; reload it.")


def _asynchronous(socket: zmq.Socket) -> zmq.asyncio.Socket:
    """A socket of an asynchronous context is one; `bridge.transport` sees only the base class."""
    assert isinstance(socket, zmq.asyncio.Socket)
    return socket
