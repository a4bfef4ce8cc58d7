"""An avatar server in a thread of the test's own process."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gstalker.bridge.server.logs import ROOT
from gstalker.bridge.server.options import Limits, ServeOptions, SessionOptions
from gstalker.bridge.server.server import AvatarServer, prepare

LEAD_S = 2.0  # machines that run tests are busy, and a frame may be late by this before it is dropped


class KeptLines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class Running:
    """A server in a thread."""

    server: AvatarServer
    address: str
    stop: threading.Event
    thread: threading.Thread
    kept: KeptLines = field(default_factory=KeptLines)
    closed: bool = False

    @property
    def log(self) -> list[str]:
        return self.kept.lines

    def end(self) -> None:
        """Stop and close it; once is enough."""
        if self.closed:
            return
        self.closed = True
        self.stop.set()
        self.thread.join(timeout=20)
        logging.getLogger(ROOT).removeHandler(self.kept)
        assert not self.thread.is_alive(), "the server did not stop"
        self.server.close()


def run_server(
    bundles: Path | list[Path],
    audio: Path | None,
    port: int,
    *,
    lead_s: float = LEAD_S,
    limits: Limits | None = None,
    **options: Any,
) -> Running:
    """Serve; `options` are those of ServeOptions."""
    address, stop, kept = f"tcp://127.0.0.1:{port}", threading.Event(), KeptLines()
    log = logging.getLogger(ROOT)
    log.addHandler(kept)
    log.setLevel(logging.INFO)
    serve_options = ServeOptions(session=SessionOptions(lead_s=lead_s), limits=limits or Limits(), **options)
    paths = bundles if isinstance(bundles, list) else [bundles]
    server = prepare(paths, audio, address, serve_options)
    thread = threading.Thread(target=server.run, args=(stop.is_set,), daemon=True)
    thread.start()
    return Running(server, address, stop, thread, kept)
