"""What drives the first avatar's shared session from outside of the wire: a microphone, a pipe, face trackers."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass

from gstalker.bridge.inputs.feeds import FaceFeed, SoundFeed
from gstalker.bridge.inputs.live_link import listen_for_live_link
from gstalker.bridge.inputs.microphone import Microphone
from gstalker.bridge.inputs.pcm_pipe import PcmPipe
from gstalker.bridge.inputs.sound_source import SourceState
from gstalker.bridge.inputs.vmc import listen_for_vmc
from gstalker.bridge.server.logs import say, server_log
from gstalker.bridge.server.session import Session

_log = server_log(__name__)


@dataclass(frozen=True)
class InputOptions:
    """Which inputs to open."""

    microphone: str | None = None  # number or part of the name; empty for the system's default
    pipe: bool = False  # raw PCM on standard input
    pipe_rate_hz: int = 16_000
    pipe_channel_count: int = 1
    vmc_port: int | None = None
    live_link_port: int | None = None
    face_from: str | None = None  # the only machine that face trackers may send from; None: this one


class LiveInputs:
    """Inputs that run in threads of their own; the serving thread takes what has come and never waits."""

    def __init__(self, sound: SoundFeed | None = None, faces: tuple[FaceFeed, ...] = ()) -> None:
        self.sound, self.faces = sound, faces
        self._state: SourceState | None = None

    @classmethod
    def open(cls, options: InputOptions) -> LiveInputs:
        """Open what was asked for.

        Raises:
            InputError: a device, package or port is not there.
        """
        faces: list[FaceFeed] = []
        sound: SoundFeed | None = None
        host = "127.0.0.1" if options.face_from is None else "0.0.0.0"
        try:
            if options.vmc_port is not None:
                faces.append(FaceFeed(listen_for_vmc(host, options.vmc_port, options.face_from)))
            if options.live_link_port is not None:
                faces.append(FaceFeed(listen_for_live_link(host, options.live_link_port, options.face_from)))
            if options.microphone is not None:
                sound = SoundFeed(Microphone(options.microphone))
            elif options.pipe:
                sound = SoundFeed(PcmPipe(sys.stdin.buffer, options.pipe_rate_hz, options.pipe_channel_count))
        except BaseException:
            cls(sound, tuple(faces)).close()
            raise
        return cls(sound, tuple(faces))

    @property
    def status(self) -> str:
        """One line for `Stats.source`; empty where there is none."""
        return "; ".join(feed.status for feed in self._feeds())

    def pump(self, session: Session) -> None:
        """Hand over what has come; before the session's clock runs, what is live goes by."""
        if session.clock is None:
            return
        if self.sound is not None:
            self.sound.pump(session.speech)
        for face in self.faces:
            face.pump(session.face, session.next_index)

    def report(self) -> None:
        """Log a source of sound that fares otherwise than when this was last asked."""
        state = None if self.sound is None else self.sound.source.state
        if state is not None and state is not self._state:
            level = logging.WARNING if state is SourceState.FAILED else logging.INFO
            say(_log, level, f"source_{state.value}", "%s", self.status)
        self._state = state

    def close(self) -> None:
        """End all sources."""
        for feed in self._feeds():
            feed.close()

    def _feeds(self) -> list[SoundFeed | FaceFeed]:
        return [*([self.sound] if self.sound is not None else []), *self.faces]
