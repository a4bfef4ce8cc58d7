"""`gstalker serve`: avatars over ZeroMQ, in real time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.markup import escape

from gstalker.runtime.errors import InputError


@dataclass(frozen=True)
class Serve:
    """Serve avatars speaking a sound: frames and sound to a client or engine over ZeroMQ, until interrupted."""

    bundles: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(name="bundle")]
    """Avatar bundles NAME.gsavatar. The first uses the address given, each further one the next two ports."""

    audio: Path | None = None
    """Speech to say: a WAV or any sound file, any rate. Without it the avatars only idle."""

    address: str = "tcp://127.0.0.1:5555"
    """Where requests are taken; frames go out from the port after it. Loopback addresses only."""

    start: Literal["on-client", "now"] = "on-client"
    """When the speech begins: with the first client that subscribes, or at once."""

    loop: bool = False
    """Say the speech again and again."""

    lead_s: Annotated[float, tyro.conf.arg(name="lead")] = 0.2
    """Seconds by which frames and sound leave before they are to be seen and heard, so that clients can buffer."""

    exit_when_done: bool = False
    """End when the speech is over, instead of going on idling."""

    threads: int = 1
    """Threads that ONNX Runtime uses for one avatar."""

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM, or the end of the speech where that is asked for."""
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        if not self.bundles:
            raise InputError("bundle: expected at least one avatar NAME.gsavatar, got none.")
        if not 0.02 <= self.lead_s <= 2.0:
            raise InputError(f"--lead: expected 0.02 to 2 seconds, got {self.lead_s:g}.")
        if self.threads < 1:
            raise InputError(f"--threads: expected 1 or more, got {self.threads}.")
        if self.exit_when_done and (self.audio is None or self.loop):
            raise InputError("--exit-when-done: expected --audio and no --loop, or there is no end to wait for.")

        from gstalker.bridge.server.server import ServeOptions, prepare, serve
        from gstalker.bridge.server.stream import StreamOptions

        options = ServeOptions(
            stream=StreamOptions(lead_s=self.lead_s, loop=self.loop),
            start_now=self.start == "now",
            exit_when_done=self.exit_when_done,
        )
        with console.status("loading the avatar"):
            servers = prepare(
                *(self.bundles, self.audio, self.address, options),
                threads=self.threads,
                log=lambda line: console.print(escape(line)),
            )
        try:
            with _asked_to_end() as received:
                for server in servers:
                    # On standard output and flushed: scripts wait for this line.
                    print(f"serving {server.name} at {server.address.control}", flush=True)
                for notice in dict.fromkeys(server.notice for server in servers):
                    console.print(escape(notice))
                serve(servers, options, lambda: bool(received))
        finally:
            for server in servers:
                server.close()
                print(f"{server.name}: {server.statistics.summary()}", flush=True)


@contextmanager
def _asked_to_end() -> Iterator[list[int]]:
    """A list that fills when the process is asked to end: the loop leaves by itself, and says goodbye."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread may take signals
        yield received
        return
    before = {n: signal.signal(n, lambda caught, _: received.append(caught)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
