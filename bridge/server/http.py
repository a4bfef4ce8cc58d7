"""Three pages for programs that watch a server, over HTTP on this machine alone.

    /metrics   figures for Prometheus
    /live      200 while the process should be left running, else 503 and why
    /ready     200 while clients should be sent here, else 503 and why

It runs in a thread of its own, so a server whose field is stuck says so within a second. There is nothing else to be
had: one small GET a connection, answered or dropped within two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from http import HTTPStatus

from gstalker.bridge.server.logs import say, server_log
from gstalker.bridge.server.metrics import Pulse, ServerMetrics
from gstalker.runtime.errors import InputError

HOST = "127.0.0.1"
MAX_REQUEST_BYTES = 4096
ANSWER_WITHIN_S = 2.0
MAX_CONNECTIONS = 16
_TEXT = "text/plain; charset=utf-8"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
# A web page in a browser of this machine can have a name of its own point here; it cannot claim these.
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_log = server_log(__name__)

Page = Callable[[], tuple[HTTPStatus, str, bytes]]


class WatchServer:
    """Serves the three pages from a thread until `close`."""

    def __init__(self, port: int, pulse: Pulse, metrics: ServerMetrics) -> None:
        """Listen.

        Args:
            port: of 127.0.0.1; 0 takes any that is free, see `port`.
            pulse, metrics: what is shown.

        Raises:
            InputError: the port is taken or may not be used.
        """
        self._pages: dict[str, Page] = {
            "/metrics": lambda: (HTTPStatus.OK, _PROMETHEUS, metrics.render()),
            "/live": lambda: _verdict(pulse.not_alive(), "alive"),
            "/ready": lambda: _verdict(pulse.not_ready(), "ready"),
        }
        self._open = 0
        self._loop = asyncio.new_event_loop()
        try:
            self._server = self._loop.run_until_complete(
                asyncio.start_server(self._serve, HOST, port, limit=MAX_REQUEST_BYTES, backlog=MAX_CONNECTIONS)
            )
        except (OSError, OverflowError) as error:
            self._loop.close()
            raise InputError(
                f"metrics port {port}: expected a free port of {HOST}, could not listen there ({error}). "
                "Give another, or leave it out."
            ) from error
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and end the thread."""
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MAX_CONNECTIONS:
                await asyncio.wait_for(self._exchange(reader, writer), ANSWER_WITHIN_S)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            say(_log, logging.INFO, "watcher_dropped", "a request to the metrics port broke off or took too long")
        finally:
            self._open -= 1
            with contextlib.suppress(OSError):
                writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            status, kind, body = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TEXT, b"the request is too large\n"
        else:
            status, kind, body = self._answer(head)
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
            *(("Allow: GET",) if status is HTTPStatus.METHOD_NOT_ALLOWED else ()),
        )
        writer.write("\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body)
        await writer.drain()

    def _answer(self, head: bytes) -> tuple[HTTPStatus, str, bytes]:
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
            return HTTPStatus.BAD_REQUEST, _TEXT, b"expected a request of HTTP/1.1\n"
        if words[0] != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"expected GET\n"
        hosts = [line.partition(":")[2].strip() for line in lines[1:] if line.lower().startswith("host:")]
        if any(host.rpartition(":")[0] not in _HOSTS and host not in _HOSTS for host in hosts):
            return HTTPStatus.MISDIRECTED_REQUEST, _TEXT, b"expected a request to this machine by its own name\n"
        page = self._pages.get(words[1])
        return page() if page else (HTTPStatus.NOT_FOUND, _TEXT, b"there are /metrics, /live and /ready\n")


def _verdict(problem: str, well: str) -> tuple[HTTPStatus, str, bytes]:
    if problem:
        return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"{problem}\n".encode()
    return HTTPStatus.OK, _TEXT, f"{well}\n".encode()
