"""An avatar server in a thread of the test's own process."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from gstalker.bridge.server.server import AvatarServer, ServeOptions, prepare, serve
from gstalker.bridge.server.stream import StreamOptions

LEAD_S = 2.0  # machines that run tests are busy, and a frame may be late by this before it is dropped


@dataclass
class Running:
    """A server in a thread."""

    server: AvatarServer
    address: str
    log: list[str]
    stop: threading.Event
    thread: threading.Thread

    def end(self) -> None:
        self.stop.set()
        self.thread.join(timeout=20)
        assert not self.thread.is_alive(), "the server did not stop"


def run_server(bundle: Path, audio: Path | None, port: int, **options: bool) -> Running:
    log: list[str] = []
    address, stop = f"tcp://127.0.0.1:{port}", threading.Event()
    serve_options = ServeOptions(stream=StreamOptions(lead_s=LEAD_S), **options)
    (server,) = prepare([bundle], audio, address, serve_options, log=log.append)
    thread = threading.Thread(target=serve, args=([server], serve_options, stop.is_set), daemon=True)
    thread.start()
    return Running(server, address, log, stop, thread)
