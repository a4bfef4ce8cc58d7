"""A session on a clock that the test turns, with frames that say which they are, and what it published."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import numpy as np
from made_bundle import made_bundle

from gstalker.bridge.codec import decode, encode
from gstalker.bridge.schema import FrameQ16, Message
from gstalker.bridge.server.admission import FrameCost
from gstalker.bridge.server.controls import FaceControls
from gstalker.bridge.server.loaded_avatar import Moved
from gstalker.bridge.server.options import SessionOptions
from gstalker.bridge.server.session import Session
from gstalker.bridge.server.speech import SpeechTimeline
from gstalker.kernels.quantise import QuantisationBox, pack_movers
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.infer import Controls

FRAME_S = 0.04
BOX = QuantisationBox((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), -8.0, 0.0)


@cache
def bundle() -> AvatarBundle:
    return made_bundle()


class TurnedClock:
    """A steady clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class NumberedFace:
    """Stands for the face controls: the head of frame n stands n millimetres to the side, and begins anew at 1 m."""

    emotion_names: tuple[str, ...] = ()
    has_gaze = False

    def at(self, frame: int) -> Controls:
        pose = np.eye(4)
        pose[0, 3] = frame % 1000 * 1e-3
        return Controls(pose, np.zeros(9, np.float32), np.eye(4))


class CountingMaker:
    """Makes frames of two movers: the first one's x is the frame's number in millimetres, its y the voice's loudness.

    Attributes:
        asked: frame and whether it was silent, for every frame computed.
        takes_s: how far computing one moves the clock.
    """

    fps = 25
    silent_code = np.zeros(1, np.float32)

    def __init__(self, clock: TurnedClock) -> None:
        self.clock = clock
        self.cost = FrameCost()
        self.asked: list[tuple[int, bool]] = []
        self.takes_s = 0.0
        self.jump_m = 0.0

    def code(self, window: np.ndarray) -> np.ndarray:
        return np.array([0.01 * window.mean()], np.float32)

    def move(self, code: np.ndarray, controls: Controls, *, values: bool) -> Moved:
        x = float(controls.avatar_from_head[0, 3])
        self.asked.append((round(1000 * x), code is self.silent_code))
        self.clock.now_s += self.takes_s
        moved = Moved.empty(2)
        moved.means[:] = [[x + self.jump_m, code[0], 0], [0, 0, 0]]
        moved.quats_wxyz[:], moved.scales[:], moved.opacities[:] = [1, 0, 0, 0], 0.01, 0.5
        moved.poses[:] = controls.avatar_from_head, np.eye(4)
        pack_movers(*moved.values, BOX, out=moved.packed)
        return moved


class Run:
    """A session, its clock and what it published."""

    def __init__(
        self,
        speech_frames: float = 0,
        wanted: tuple[type[Message], ...] = (FrameQ16,),
        clock: TurnedClock | None = None,
        *,
        session_id: int = 1,
        **options: Any,
    ) -> None:
        """Prepare a session whose recording is so many frames of a constant 0.5."""
        self.clock = clock or TurnedClock()
        self.maker = CountingMaker(self.clock)
        self.sent: list[Message] = []
        self.sent_at_s: list[float] = []
        self.wanted: set[type[Message]] = set(wanted)
        self.session = Session(
            *(session_id, self.maker, SpeechTimeline(bundle().manifest.audio), cast(FaceControls, NumberedFace())),
            *(SessionOptions(**options), self.publish, lambda kind: kind in self.wanted),
            recording=np.full(round(640 * speech_frames), 0.5, np.float32) if speech_frames else None,
            steady=self.clock,
        )

    def publish(self, message: Message) -> None:
        self.sent.append(decode(encode(message)))  # as the server does: the session's buffers may be used again
        self.sent_at_s.append(self.clock.now_s)

    def start(self, *, play: bool = True) -> None:
        self.session.start(play=play)

    def until(self, time_s: float) -> None:
        """Do what is due, as a server does, until the clock has moved on by this."""
        end_s = self.clock.now_s + time_s
        while (wait_s := self.session.wait_s()) <= end_s - self.clock.now_s + 1e-9:
            self.clock.now_s += max(wait_s, 0.0)
            self.session.step()
        self.clock.now_s = max(self.clock.now_s, end_s)

    def of(self, kind: type[Message]) -> list:
        return [m for m in self.sent if isinstance(m, kind)]
