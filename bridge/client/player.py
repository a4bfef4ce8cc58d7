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
from gstalker.bridge.client.playout import AnyFrame, Picture, Playout, PlayoutFormat, PlayoutOptions
from gstalker.kernels.frame import Frame


class AvatarPlayer:
    """Feeds a playout from a client, and begins anew when the server or the session became another one.

    Attributes:
        client: the connection.
        playout: what is played; another object after a restart with other rates.
    """

    def __init__(self, client: AvatarClient, options: PlayoutOptions | None = None) -> None:
        self.client = client
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

    def _follow_epoch(self) -> None:
        if self.client.epoch == self._epoch:
            return
        self._epoch = self.client.epoch
        if PlayoutFormat.of(self.client.avatar) == self.playout.stream:
            self.playout.reset()
        else:
            self.playout = self._new_playout()

    def _new_playout(self) -> Playout:
        return Playout(PlayoutFormat.of(self.client.avatar), self.client.clock, self._decode, self._options)

    def _decode(self, message: AnyFrame) -> Frame:
        return self.client.avatar.frame(message)
