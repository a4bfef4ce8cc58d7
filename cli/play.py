"""`gstalker play`: what a running server says, through the loudspeaker, and how sound and picture keep together."""

from __future__ import annotations

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
    from gstalker.bridge.client.player import AvatarPlayer

DISPLAY_HZ = 60.0
EVERY_S = 0.5  # between two lines of figures


@dataclass(frozen=True)
class Play:
    """Play an avatar's voice and time its pictures as a display would, without a window: a check of sound, clocks and
    network."""

    address: Annotated[str, tyro.conf.Positional] = "tcp://127.0.0.1:5555"
    """Where the server takes requests."""

    avatar: str = ""
    """Which of the server's avatars; its first unless told otherwise."""

    session: int = 0
    """Number of the session to watch, instead of the avatar's shared one."""

    device: str | None = None
    """Sound device by number or name; the system's own unless told otherwise."""

    mute: bool = False
    """Without a loudspeaker: the session's clock gives the time."""

    all_frames: bool = False
    """Ask for all frames, also where the line does not carry them: unless told so, fewer are asked for then."""

    seconds: float = 0.0
    """How long; 0 until interrupted."""

    keys: str | None = None
    """This client's keys, by name or file, for a server that demands keys."""

    server_key: str | None = None
    """The server's public key, by name or file."""

    def run(self) -> None:
        """Play until interrupted."""
        if not self.seconds >= 0:
            raise InputError(f"--seconds: expected 0 or more, got {self.seconds:g}.")

        from contextlib import ExitStack

        from gstalker.bridge.client.client import AvatarClient
        from gstalker.bridge.client.heard import HeardOptions
        from gstalker.bridge.client.loudspeaker import Loudspeaker
        from gstalker.bridge.client.player import AvatarPlayer
        from gstalker.bridge.client.playout import PlayoutOptions
        from gstalker.bridge.keys import read_client_keys

        with ExitStack() as stack:
            loudspeaker = None if self.mute else stack.enter_context(Loudspeaker(self.device))
            client = stack.enter_context(
                AvatarClient(
                    self.address,
                    avatar=self.avatar,
                    session_id=self.session,
                    client_name="play",
                    keys=read_client_keys(self.keys, self.server_key),
                )
            )
            heard = HeardOptions() if loudspeaker is None else HeardOptions(device_rate_hz=loudspeaker.rate_hz)
            player = AvatarPlayer(client, PlayoutOptions(heard=heard), follow_line=not self.all_frames)
            if loudspeaker is not None:
                loudspeaker.start(player.sound)
            watch(player, self.seconds)


def watch(player: AvatarPlayer, seconds: float) -> None:
    """Ask for pictures at the display's rate and show the figures, for so long or until interrupted."""
    offsets_ms: list[float] = []
    began_s = told_s = time.perf_counter()
    picture_at_s = began_s
    with Live(figures(player, []), console=Console(highlight=False), auto_refresh=False) as live:
        while seconds == 0 or time.perf_counter() < began_s + seconds:
            player.update(max(0.0, picture_at_s - time.perf_counter()))
            now_s = time.perf_counter()
            if now_s >= picture_at_s:
                picture_at_s = max(picture_at_s + 1 / DISPLAY_HZ, now_s)
                picture = player.picture(now_s)
                if picture is not None:
                    offsets_ms.append(1000 * picture.sound_leads_s)
            if now_s > told_s + EVERY_S:
                told_s = now_s
                del offsets_ms[: -round(10 * DISPLAY_HZ)]
                live.update(figures(player, offsets_ms), refresh=True)
        live.update(figures(player, offsets_ms), refresh=True)


def figures(player: AvatarPlayer, offsets_ms: list[float]) -> Table:
    """How it fares, for a person."""
    client, playout = player.client, player.playout
    frames, sounds, pictures = playout.frames, playout.sounds, playout.pictures
    welcome = client.avatar.welcome
    now_s = time.perf_counter()
    unsure = f"+-{1000 * client.clock.uncertainty_s(now_s):.1f} ms" if client.clock.known else "not known yet"
    furthest = max(offsets_ms, key=abs) if offsets_ms else 0.0
    table = Table("", "", show_header=False, title_justify="left")
    table.title = escape(f"{welcome.avatar_name}, session {welcome.session_id}. {welcome.notice}")
    for row in (
        ("connection", f"{client.state.value} {client.trouble}".strip()),
        ("sound ahead of picture", f"at most {furthest:+.1f} ms in the last 10 s"),
        ("session's clock", f"{unsure}, drift {1e6 * client.clock.drift:+.0f} ppm"),
        ("sound device", f"drift {1e6 * playout.device_drift:+.0f} ppm, skipped {sounds.skips}, waited {sounds.waits}"),
        ("delay", f"{1000 * playout.delay_s:.0f} ms, messages late by {1000 * playout.jitter_s:.1f} ms (p99)"),
        ("pictures", f"{pictures.pictures}, mixed {pictures.mixed}, held {pictures.held}, bridged {pictures.bridged}"),
        ("frames", f"{frames.received}, late {frames.late}, lost {frames.lost}, superseded {frames.superseded}"),
        ("asked for", _asked_for(player)),
        ("sound", f"lost {sounds.pieces_lost} pieces, underruns {sounds.underruns}"),
    ):
        table.add_row(row[0], escape(row[1]))
    return table


def _asked_for(player: AvatarPlayer) -> str:
    """How many frames a second, and how often that changed."""
    fps, rate = player.client.avatar.fps, player.rate
    if rate is None:
        return f"all {fps} frames a second"
    return f"{fps / rate.divisor:.3g} frames a second, lowered {rate.lowered} times, raised {rate.raised} times"
