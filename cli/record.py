"""`gstalker record`: what a server sends, as sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape

from gstalker.runtime.errors import InputError


@dataclass(frozen=True)
class Record:
    """Record the frames and sound that a running server sends into a folder, for `gstalker validate`."""

    address: Annotated[str, tyro.conf.Positional]
    """Where the server takes requests, as tcp://127.0.0.1:5555."""

    out: Path
    """Folder to write the session to."""

    avatar: str = ""
    """Which of the server's avatars, by name; its first if not given."""

    session: int = 0
    """Which session, by number; the avatar's shared one if not given."""

    seconds: float = 10.0
    """How long to record, seconds of presentation time; shorter where the stream ends before."""

    unquantised: bool = True
    """Record the float32 frames, too: validate measures with them what the 16-byte codes lose."""

    pictures: int = 0
    """How many frames to draw with the Python client, spread over the time, into SESSION/pictures."""

    timeout_s: Annotated[float, tyro.conf.arg(name="timeout")] = 5.0
    """Seconds to go on trying to reach the server."""

    keys: str | None = None
    """This client's keys, by name or file, for a server that demands keys."""

    server_key: str | None = None
    """The server's public key, by name or file."""

    overwrite: bool = False
    """Replace a session that is there already."""

    def run(self) -> int:
        """Record, and say what came; 1 where the server was lost on the way."""
        if not 0 < self.seconds <= 3600:
            raise InputError(f"--seconds: expected more than 0 and at most 3600, got {self.seconds:g}.")
        if self.pictures < 0 or not self.timeout_s > 0:
            raise InputError(
                f"--pictures and --timeout: expected 0 or more, and more than 0 seconds, got {self.pictures} and "
                f"{self.timeout_s:g}."
            )

        from rich.progress import Progress

        from gstalker.bridge.keys import read_client_keys
        from gstalker.bridge.record import RecordOptions, record

        console = Console(stderr=True, soft_wrap=True, highlight=False)
        keys = read_client_keys(self.keys, self.server_key)
        options = RecordOptions(
            avatar=self.avatar,
            session_id=self.session,
            seconds=self.seconds,
            unquantised=self.unquantised,
            pictures=self.pictures,
            timeout_s=self.timeout_s,
            overwrite=self.overwrite,
        )
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("recording", total=self.seconds)
            recorded = record(
                *(self.address, self.out, options, lambda seconds: bar.update(task, completed=seconds)), keys=keys
            )
        end = recorded.end
        print(
            f"session: {self.out}  ({recorded.frames} frames, {recorded.sound_s:.1f} s of sound, "
            f"{len(end.missing_frames)} frames and {len(end.missing_audio)} pieces of sound missing, "
            f"{recorded.pictures} pictures)"
        )
        if not end.complete:
            console.print(f"[bold red]incomplete:[/] {escape(end.reason)} What came until then can be read.")
            return 1
        return 0
