"""`gstalker serve`: avatars over ZeroMQ, in real time."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console
from rich.markup import escape

from gstalker.cli.child_process import running
from gstalker.runtime.errors import InputError

if TYPE_CHECKING:
    from gstalker.bridge.keys import ServerKeys
    from gstalker.bridge.server.live_inputs import InputOptions
    from gstalker.bridge.server.options import ServeOptions


@dataclass(frozen=True)
class Serve:
    """Serve avatars: speech in, frames and sound to clients and engines over ZeroMQ, until interrupted."""

    bundles: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(name="bundle")]
    """Avatar bundles NAME.gsavatar, of different names. All are served from the one address; clients choose by name."""

    audio: str | None = None
    """What the avatars say: a sound file of any kind and rate; "mic" for the microphone, "mic:NAME" for another one;
    "-" for 16-bit PCM on standard input. Without it they idle until a client has them speak. Live sound drives the
    first avatar's shared session."""

    pcm_rate_hz: Annotated[int, tyro.conf.arg(name="pcm-rate")] = 16_000
    """Sample rate of the PCM on standard input, Hz."""

    pcm_channels: int = 1
    """Its channels: 1 or 2, interleaved."""

    devices: bool = False
    """List the sound devices that "mic:NAME" can name, and end."""

    vmc: int | None = None
    """UDP port on which to take a face and head from a VTuber program (VMC over OSC; 39539 is usual)."""

    live_link: int | None = None
    """UDP port on which to take a face and head from the Live Link Face app (11111 is usual)."""

    face_from: str | None = None
    """IP address of the phone or machine that sends the face. Without it only this machine may."""

    address: str = "tcp://127.0.0.1:5555"
    """Where requests are taken; frames go out from the port after it. Other addresses than loopback need --keys."""

    start: Literal["on-client", "now"] = "on-client"
    """When the speech begins: with the first client that subscribes, or at once."""

    loop: bool = False
    """Say the speech again and again."""

    lead_s: Annotated[float, tyro.conf.arg(name="lead")] = 0.2
    """Seconds by which frames and sound leave before they are to be seen and heard, so that clients can buffer."""

    exit_when_done: bool = False
    """End when the speech is over, instead of going on idling."""

    seed: int = 0
    """Of the idle motion (blinks, breathing, small motion of the head): the same seed gives the same motion."""

    idle: bool = True
    """Idle motion; without it the avatars hold still but for their mouths."""

    emotion_from_speech: str | None = None
    """Blend in this emotion of the avatars as strongly as they speak: louder and higher than usual is stronger, silence
    is none. A heuristic on sound level and pitch; it does not read feelings. Without it no emotion comes by itself."""

    max_clients: int = 64
    """How many clients may be connected; more are refused."""

    max_sessions: int = 16
    """How many private sessions may run beside the shared one of each avatar, where there is time for them."""

    allow_shutdown: bool = False
    """Let clients end the server."""

    keys: str | None = None
    """This server's keys, by name or file, as `gstalker keys` makes them: encrypts, and lets in only --allow."""

    allow: tuple[str, ...] = ()
    """Public keys of the clients that may come in: names, files, or folders of them."""

    threads: int = 1
    """Threads that share the work of one frame."""

    backend: str = "auto"
    """What computes frames: "auto" times what is there and takes the fastest; fused, cpu, cuda, tensorrt, directml,
    coreml."""

    metrics_port: int | None = None
    """Also answer /metrics (Prometheus), /live and /ready over HTTP on this port of 127.0.0.1; 0 takes any free one."""

    web: int | None = None
    """Also show the avatars in a browser, on this port of 127.0.0.1, as `gstalker view` does from a process of its own;
    0 takes any free one."""

    log_json: bool = False
    """Write the log as JSON, one object a line."""

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM, a client's shutdown, or the end of the speech where that is asked for."""
        if self.devices:
            return _print_devices()
        self._check()
        console = Console(stderr=True, soft_wrap=True, highlight=False)

        from gstalker.bridge.server.http import WatchServer
        from gstalker.bridge.server.logs import configure_logs, end_logs
        from gstalker.bridge.server.server import prepare

        with console.status("loading the avatars"):
            server = prepare(
                *(self.bundles, self._recording(), self.address, self._options()),
                keys=self._server_keys(),
                inputs=self._inputs(),
                threads=self.threads,
                backend=self.backend,
            )
        logs = configure_logs(sys.stderr, json_lines=self.log_json)
        watch: WatchServer | None = None
        try:
            if self.metrics_port is not None:
                watch = WatchServer(self.metrics_port, server.pulse, server.metrics)
                print(f"watched at http://127.0.0.1:{watch.port}/metrics", flush=True)
            with asked_to_end() as received:
                for avatar in server.table.avatars:
                    # On standard output and flushed: scripts wait for this line.
                    print(f"serving {avatar.name} at {server.address.control}", flush=True)
                for notice in server.notices:
                    console.print(escape(notice))
                with _page(server.address.control, self.web):
                    server.run(lambda: bool(received))
        finally:
            if watch is not None:
                watch.close()
            end_logs(logs)
            server.close()
            for line in server.summary():
                print(line, flush=True)

    @property
    def _is_microphone(self) -> bool:
        return self.audio is not None and (self.audio == "mic" or self.audio.startswith("mic:"))

    def _recording(self) -> Path | None:
        return None if self.audio in (None, "-") or self._is_microphone else Path(self.audio)

    def _inputs(self) -> InputOptions:
        from gstalker.bridge.server.live_inputs import InputOptions

        return InputOptions(
            microphone=(self.audio or "").partition(":")[2] if self._is_microphone else None,
            pipe=self.audio == "-",
            pipe_rate_hz=self.pcm_rate_hz,
            pipe_channel_count=self.pcm_channels,
            vmc_port=self.vmc,
            live_link_port=self.live_link,
            face_from=self.face_from,
        )

    def _check(self) -> None:
        if not self.bundles:
            raise InputError("bundle: expected at least one avatar NAME.gsavatar, got none.")
        if not 0.02 <= self.lead_s <= 2.0:
            raise InputError(f"--lead: expected 0.02 to 2 seconds, got {self.lead_s:g}.")
        if self.threads < 1:
            raise InputError(f"--threads: expected 1 or more, got {self.threads}.")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed: expected 0 to {2**32 - 1}, got {self.seed}.")
        if not (1 <= self.max_clients <= 10_000 and 0 <= self.max_sessions <= 10_000):
            raise InputError(
                f"--max-clients and --max-sessions: expected 1 to 10000 and 0 to 10000, got {self.max_clients} and "
                f"{self.max_sessions}."
            )
        if self.metrics_port is not None and not 0 <= self.metrics_port <= 65535:
            raise InputError(f"--metrics-port: expected 0 to 65535, got {self.metrics_port}.")
        if self.web is not None and not 0 <= self.web <= 65535:
            raise InputError(f"--web: expected 0 to 65535, got {self.web}.")
        if self.web is not None and self.keys is not None:
            raise InputError(
                "--web: expected no --keys with it: the page is a client of its own. Run `gstalker view ADDRESS` with "
                "keys that this server allows."
            )
        if self.allow and self.keys is None:
            raise InputError("--allow: expected --keys with it, the server's own keys.")
        if self.exit_when_done and (self._recording() is None or self.loop):
            raise InputError(
                "--exit-when-done: expected --audio with a file and no --loop, or there is no end to wait for."
            )
        for name, port in (("--vmc", self.vmc), ("--live-link", self.live_link)):
            if port is not None and not 1 <= port <= 65535:
                raise InputError(f"{name}: expected a port of 1 to 65535, got {port}.")

    def _options(self) -> ServeOptions:
        from gstalker.bridge.server.options import Limits, ServeOptions, SessionOptions

        return ServeOptions(
            session=SessionOptions(
                *(self.lead_s, self.seed, self.idle, self.loop),
                emotion_from_speech=self.emotion_from_speech or "",
            ),
            limits=Limits(client_count=self.max_clients, private_session_count=self.max_sessions),
            start_now=self.start == "now",
            exit_when_done=self.exit_when_done,
            allow_shutdown=self.allow_shutdown,
        )

    def _server_keys(self) -> ServerKeys | None:
        if self.keys is None:
            return None
        from gstalker.bridge.keys import ServerKeys, read_allowed, read_key_pair

        return ServerKeys(read_key_pair(self.keys), read_allowed(self.allow))


def _print_devices() -> None:
    from gstalker.bridge.inputs.microphone import list_devices

    for device in list_devices():
        default = ", the default" if device.default else ""
        print(f"{device.number:3d}  {device.name} ({device.host_api}, {device.rate_hz} Hz{default})")


@contextmanager
def _page(address: str, port: int | None) -> Iterator[None]:
    """`gstalker view` in a process of its own, so that browsers never make the avatars wait; nothing without a port."""
    if port is None:
        yield
        return
    with running("view", address, "--port", port, "--no-browser"):
        yield


@contextmanager
def asked_to_end() -> Iterator[list[int]]:
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
