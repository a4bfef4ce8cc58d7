"""Which session is next: of those that are due the one whose frame must be seen first, each once a round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

STEPS_A_ROUND = 250  # of one session that drops frames or sends none: quick, but not without end


class Timed(Protocol):
    """What has a next frame."""

    def wait_s(self) -> float:
        """Seconds until the next frame is due to be computed; not above 0 once it is."""
        ...

    def deadline_in_s(self) -> float:
        """Seconds until the next frame is to be seen."""
        ...

    def step(self) -> bool:
        """Compute or drop the next frame; whether it was computed."""
        ...


AnyTimed = TypeVar("AnyTimed", bound=Timed)


def due_by_deadline(sessions: Iterable[AnyTimed]) -> list[AnyTimed]:
    """A round: every session that is due, the earliest deadline first.

    A round gives each session one frame, so that one which has many to send (after a stop, say) takes turns with the
    others instead of making them late, and where there is too little time for all, all lose alike.
    """
    return sorted((s for s in sessions if s.wait_s() <= 0), key=lambda s: s.deadline_in_s())


def one_frame(session: Timed) -> None:
    """Compute one frame of a session.

    What it drops on the way to one that can be in time does not count: a session that is behind would else drop a
    frame a round for ever, while those before it keep their place.
    """
    for _ in range(STEPS_A_ROUND):
        if session.wait_s() > 0 or session.step():
            return
