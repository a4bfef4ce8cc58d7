"""A client and its playout together: what a program with a display and a loudspeaker runs.

player = AvatarPlayer(client)
loudspeaker.ask = player.sound            # from the device's own thread
while client.state is not ConnectionState.LOST:
    player.update(0.01)
    picture = player.picture(time.perf_counter())
"""

from __future__ import annotations

import numpy as np

from gstalker.bridge.client.client import AvatarClient, Received
from gstalker.bridge.client.line_rate import LineRate
from gstalker.bridge.client.playout import AnyFrame, Picture, Playout, PlayoutFormat, PlayoutOptions
from gstalker.bridge.schema import FrameF32, FrameQ16
from gstalker.kernels.frame import Frame


class AvatarPlayer:
    """Feeds a playout from a client, and begins anew when the server or the session became another one.

    Attributes:
        client: the connection.
        playout: what is played; another object after a restart with other rates.
        rate: how many frames are asked for; None where it follows nothing.
    """

    def __init__(
        self, client: AvatarClient, options: PlayoutOptions | None = None, *, follow_line: bool = True
    ) -> None:
        """Begin to play.

        Args:
            client: the connection, which `latest_only` is not of: it could not tell lost frames from skipped ones.
            options: how to play.
            follow_line: ask for fewer frames where the line does not carry all of them, and for more again; not for a
                program that calls `set_rate` itself.
        """
        self.client = client
        self.rate = LineRate(client.avatar.fps) if follow_line else None
        self._options = options
        self._epoch = client.epoch
        self.playout = self._new_playout()

    def update(self, timeout_s: float) -> list[Received]:
        """Take what has come, waiting for the first of it at most so long; returns it, for those who want to look.

        Raises:
            WireError: what came is not a sound message.
        """
        taken: list[Received] = []
        received = self.client.receive(timeout_s)
        self._follow_epoch()
        while received is not None:
            if received.epoch == self._epoch:
                self.playout.take(received.message, received.received_at_s)
                self._follow_line(received)
                taken.append(received)
            received = self.client.receive(0.0)
            self._follow_epoch()
        return taken

    def sound(self, count: int, heard_at_s: float, now_s: float, underrun: bool = False) -> np.ndarray:
        """As `Playout.sound`; may be called from another thread."""
        return self.playout.sound(count, heard_at_s, now_s, underrun)

    def picture(self, at_s: float) -> Picture | None:
        """As `Playout.picture`."""
        return self.playout.picture(at_s)

    def _follow_line(self, received: Received) -> None:
        frame = received.message
        if self.rate is None or not self.client.clock.known:
            return
        if isinstance(frame, FrameQ16 | FrameF32) and isinstance(frame, self.playout.kind or ()):
            came_s = self.client.clock.session_time_s(received.received_at_s)
            self.rate.frame(frame.sequence, frame.sent_at_s, came_s)
            self.client.wish_rate(self.rate.divisor)

    def _follow_epoch(self) -> None:
        if self.client.epoch == self._epoch:
            return
        self._epoch = self.client.epoch
        if self.rate is not None:
            self.rate.reset()
            self.client.wish_rate(self.rate.divisor)
        if PlayoutFormat.of(self.client.avatar) == self.playout.stream:
            self.playout.reset()
        else:
            self.playout = self._new_playout()

    def _new_playout(self) -> Playout:
        return Playout(PlayoutFormat.of(self.client.avatar), self.client.clock, self._decode, self._options)

    def _decode(self, message: AnyFrame) -> Frame:
        return self.client.avatar.frame(message)
