"""`gstalker stats`: how a running server keeps time, as a live table or as JSON."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from gstalker.runtime.errors import InputError

if TYPE_CHECKING:
    from gstalker.bridge.schema import Stats as Figures
    from gstalker.bridge.schema import Welcome


@dataclass(frozen=True)
class Stats:
    """Show how a running server keeps time: frame rate, lateness, what waits, clients, drops, source, back end."""

    address: Annotated[str, tyro.conf.Positional] = "tcp://127.0.0.1:5555"
    """Where the server takes requests."""

    avatar: str = ""
    """Whose shared session to look at; the server's first avatar unless told otherwise."""

    session: int = 0
    """Number of the session to look at, instead."""

    once: bool = False
    """Ask once and end."""

    json_lines: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON, one object a line, instead of a table."""

    every_s: Annotated[float, tyro.conf.arg(name="every")] = 1.0
    """Seconds between two questions."""

    keys: str | None = None
    """This client's keys, by name or file, for a server that demands keys."""

    server_key: str | None = None
    """The server's public key, by name or file."""

    timeout_s: Annotated[float, tyro.conf.arg(name="timeout")] = 5.0
    """Seconds to wait for an answer."""

    def run(self) -> None:
        """Ask until interrupted, or once."""
        if not 0.1 <= self.every_s <= 4.0:
            raise InputError(
                f"--every: expected 0.1 to 4 seconds (the server forgets who is silent), got {self.every_s:g}."
            )
        if not 0 < self.timeout_s <= 60:
            raise InputError(f"--timeout: expected more than 0 and at most 60 seconds, got {self.timeout_s:g}.")

        from gstalker.bridge.client.stats_reader import StatsReader
        from gstalker.bridge.keys import read_client_keys

        console = Console(soft_wrap=True, highlight=False)
        keys = read_client_keys(self.keys, self.server_key)
        asked = {"avatar_name": self.avatar, "session_id": self.session}
        with StatsReader(self.address, **asked, keys=keys, timeout_s=self.timeout_s) as reader:
            if self.json_lines:
                while True:
                    print(json.dumps(as_json(reader.welcome, reader.read())), flush=True)
                    if self.once:
                        return
                    time.sleep(self.every_s)
            if self.once:
                console.print(as_table(reader.welcome, reader.read()))
                return
            with Live(as_table(reader.welcome, reader.read()), console=console, auto_refresh=False) as live:
                while True:
                    time.sleep(self.every_s)
                    live.update(as_table(reader.welcome, reader.read()), refresh=True)


def as_json(welcome: Welcome, figures: Figures) -> dict[str, object]:
    """The figures by the names that docs/protocol.md gives them, and whose they are."""
    fields = dataclasses.asdict(figures)
    fields.pop("request_id")
    who = {"avatar_name": welcome.avatar_name, "session_id": welcome.session_id, "server_id": welcome.server_id}
    return who | {"server_version": welcome.server_version, "fps": welcome.fps} | fields


def as_table(welcome: Welcome, figures: Figures) -> Table:
    """The figures for a person."""
    title = f"{welcome.avatar_name}, session {welcome.session_id}"
    table = Table("", "", title=escape(title), show_header=False, title_justify="left")
    speaking = "speaking" if figures.speaking else "silent"
    rows = (
        ("stream", f"{figures.stream_time_s:.1f} s, {speaking}"),
        ("frames a second", f"{figures.frames_per_second:.1f} of {welcome.fps}"),
        (
            "lateness",
            f"p50 {figures.lateness_p50_ms:.1f} ms, p99 {figures.lateness_p99_ms:.1f} ms, "
            f"max {figures.lateness_max_ms:.1f} ms (late from {1000 * welcome.lead_s:.0f} ms)",
        ),
        ("a frame takes", f"p50 {figures.compute_p50_ms:.1f} ms, p99 {figures.compute_p99_ms:.1f} ms"),
        ("frames", f"{figures.frames_sent} sent, {figures.frames_late} late, {figures.frames_superseded} sent again"),
        ("dropped", f"{figures.frames_dropped} too late, {figures.frames_refused} outside of the box"),
        ("sound", f"{figures.audio_chunks_sent} pieces sent, starved {figures.speech_starved} times"),
        ("waiting", f"{figures.speech_waiting_s:.2f} s of sound"),
        ("clients", f"{figures.session_clients} here, {figures.clients} in all"),
        ("sessions", f"{figures.sessions} of at most {figures.session_limit} as things stand"),
        ("load", f"{100 * figures.load:.0f} % of the time"),
        ("requests refused", f"{figures.requests_refused}"),
        ("source", figures.source or "none"),
        ("back end", figures.backend),
    )
    for name, value in rows:
        table.add_row(name, escape(value))
    return table
