"""The web server: the page and its files, and a WebSocket for each browser, in a thread of its own.

It is an ordinary client of an avatar server, which may run in the same process, in another, or not yet.
"""

from __future__ import annotations

import asyncio
import http
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import zmq.asyncio
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Origin

from gstalker.bridge import schema
from gstalker.bridge.client.served_avatar import ServedAvatar
from gstalker.bridge.errors import WireError
from gstalker.bridge.keys import ClientKeys
from gstalker.bridge.transport import DEFAULT_ADDRESS, Address, check_client_address, parse_address
from gstalker.bridge.web.comparison import compare, read_header
from gstalker.bridge.web.relay import Relay
from gstalker.bridge.web.site import HEADERS, SiteFile, site_files
from gstalker.runtime.errors import InputError

DEFAULT_PORT = 8765
AVATAR_PATH, COMPARISON_PATH = "/avatar", "/compare"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
START_TIMEOUT_S = 10.0
_SILENT = logging.getLogger("gstalker.web")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False  # a browser that goes away in the middle of something is no event


def start_web(
    address: str = DEFAULT_ADDRESS,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    captures: Path | None = None,
    judge: Callable[[Path], str] | None = None,
    keys: ClientKeys | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> WebServer:
    """Serve the page of the avatar server at `address`; returns once browsers can connect.

    Args:
        address: where the avatar server takes requests; it need not run yet.
        host: where to listen: 127.0.0.1, ::1 or localhost.
        port: TCP port of the page and its WebSocket; 0 for any free one.
        captures: folder in which compared pictures are kept for `gstalker validate`; None keeps none.
        judge: validates a kept capture and says in a sentence what came of it; may take seconds.
        keys: for an avatar server that demands them.
        log: gets a line when browsers come and go.

    Raises:
        InputError: the address is none or demands keys, the host is not this machine, or the port is taken.
    """
    if host not in ("127.0.0.1", "::1", "localhost"):
        raise InputError(
            f"{host}: expected 127.0.0.1, ::1 or localhost. The page has no encryption and no passwords: use an SSH "
            f"tunnel to reach it from another machine."
        )
    avatar_server = parse_address(address)
    check_client_address(avatar_server, keys)
    server = WebServer(avatar_server, host, port, captures, judge, keys, log)
    server.start()
    return server


@dataclass
class WebServer:
    """A running web server; close it, or use it in a `with`."""

    avatar_server: Address
    host: str
    port: int
    captures: Path | None
    judge: Callable[[Path], str] | None
    keys: ClientKeys | None
    log: Callable[[str], None]
    clients: int = 0
    welcome: schema.Welcome | None = None  # the last one that went to a browser
    _thread: threading.Thread | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None
    _ready: threading.Event = field(default_factory=threading.Event)
    _failure: OSError | None = None

    @property
    def url(self) -> str:
        """The address of the page."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"

    def start(self) -> None:
        """Listen, in a new thread. Raises InputError where the port is taken."""
        self._thread = threading.Thread(target=self._run, name="gstalker web", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise InputError(f"{self.url}: expected to listen within {START_TIMEOUT_S:g} s, the machine is too busy.")
        if self._failure is not None:
            self._thread.join()
            raise InputError(
                f"{self.url}: expected a free port, could not listen there ({self._failure}). Stop the program that "
                f"uses it, or give another port."
            ) from self._failure

    def close(self) -> None:
        """Let all browsers go and stop."""
        if self._loop is not None and self._stop is not None and self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def __enter__(self) -> WebServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _run(self) -> None:
        # ZeroMQ's sockets are watched by their descriptors, which Windows' default loop cannot.
        self._loop = asyncio.SelectorEventLoop()
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as error:
            self._failure = error
        finally:
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        context = zmq.asyncio.Context()
        try:
            async with serve(
                lambda connection: self._handle(connection, context),
                self.host,
                self.port,
                process_request=self._respond,
                compression=None,  # what is sent is packed already
                max_size=schema.MAX_REQUEST_BYTES,
                max_queue=8,
                server_header=None,
                logger=_SILENT,
            ) as server:
                self.port = next(iter(server.sockets)).getsockname()[1]
                self._ready.set()
                await self._stop.wait()
        finally:
            context.destroy(linger=0)

    async def _handle(self, connection: ServerConnection, context: zmq.asyncio.Context) -> None:
        assert connection.request is not None  # a handler runs after the handshake
        if connection.request.path == COMPARISON_PATH:
            await self._compare(connection)
            return
        self.clients += 1
        self.log(f"a browser came, {self.clients} here")
        try:
            await Relay(connection, context, self.avatar_server, self.keys, self._welcomed).run()
        finally:
            self.clients -= 1
            self.log(f"a browser went, {self.clients} left")

    def _welcomed(self, welcome: schema.Welcome) -> None:
        self.welcome = welcome

    async def _compare(self, connection: ServerConnection) -> None:
        try:
            if self.welcome is None:
                raise WireError("capture: expected a page that has been connected to an avatar server.")
            header = read_header(str(await connection.recv()))
            frame = await _receive(connection, min(header.frame_bytes, schema.MAX_MESSAGE_BYTES))
            rgb = await _receive(connection, header.rgb_bytes)
            avatar = ServedAvatar.from_welcome(self.welcome)
            done = await asyncio.to_thread(compare, avatar, header, frame, rgb, self.captures)
            verdict = ""
            if self.judge is not None and done.folder is not None:
                verdict = await asyncio.to_thread(self.judge, done.folder)
        except (InputError, ValueError, OSError) as error:
            self.log(f"a comparison failed: {error}")
            await connection.send(json.dumps({"error": str(error)}))
            return
        await connection.send(json.dumps(done.figures | {"folder": str(done.folder or ""), "verdict": verdict}))
        await connection.send(done.reference.tobytes())

    def _respond(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a request for a file; None lets a WebSocket through."""
        names = {f"{name}:{self.port}" for name in LOOPBACK_NAMES}
        # Another name for this machine is how a foreign page would reach it (DNS rebinding).
        if request.headers.get("Host") not in names:
            return _refused(http.HTTPStatus.MISDIRECTED_REQUEST, f"expected the host {' or '.join(sorted(names))}")
        path = request.path.partition("?")[0]
        if "Upgrade" in request.headers:
            if path not in (AVATAR_PATH, COMPARISON_PATH):
                return _refused(http.HTTPStatus.NOT_FOUND, f"no WebSocket there; one is at {AVATAR_PATH}")
            if request.headers.get("Origin") not in {Origin(f"http://{name}") for name in names}:
                return _refused(http.HTTPStatus.FORBIDDEN, "expected a page of this server, got another origin")
            return None
        file = site_files().get(path)
        return _refused(http.HTTPStatus.NOT_FOUND, "no such file") if file is None else _file_response(file, request)


async def _receive(connection: ServerConnection, size: int) -> bytes:
    """So many bytes, from as many messages as they come in. Raises WireError where they are another number."""
    received = bytearray()
    while len(received) < size:
        piece = await connection.recv()
        if isinstance(piece, str) or len(received) + len(piece) > size:
            raise WireError(f"capture: expected {size} bytes in binary pieces, got more or a text.")
        received += piece
    return bytes(received)


def _file_response(file: SiteFile, request: Request) -> Response:
    headers = Headers([*HEADERS, ("Content-Type", file.content_type), ("ETag", file.etag), ("Connection", "close")])
    if request.headers.get("If-None-Match") == file.etag:
        return Response(http.HTTPStatus.NOT_MODIFIED.value, "Not Modified", headers, b"")
    body = file.body
    if "gzip" in request.headers.get("Accept-Encoding", "") and len(file.gzipped) < len(file.body):
        body = file.gzipped
        headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(body))
    return Response(http.HTTPStatus.OK.value, "OK", headers, body)


def _refused(status: http.HTTPStatus, reason: str) -> Response:
    body = f"{status.value} {status.phrase}: {reason}.\n".encode()
    headers = [*HEADERS, ("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    return Response(status.value, status.phrase, Headers([*headers, ("Connection", "close")]), body)
