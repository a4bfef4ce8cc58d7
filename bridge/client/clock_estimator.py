"""What a session's clock shows, told from pings: its offset and drift against this machine's steady clock.

A pong holds the session's clock at a moment between the ping's leaving and the pong's coming, so half the round trip
bounds the error for certain: readings with the shortest round trips count most, and one whose bounds cannot be
reconciled with those before means that a clock was set anew (the server restarted, the machine slept).
"""

from __future__ import annotations

import math

import numpy as np

from gstalker.bridge.client.clock_line import ClockLine

SPAN_S = 180.0  # of readings; drift changes with temperature over minutes
CAPACITY = 240
FINEST_S = 30e-6  # scheduling jitter of the best round trips
HIGHEST_DRIFT = 1e-3  # no quartz is that far off
ONE_WAY_ERROR_S = 0.05  # how far a publication's stamp may be off before the first pong


class ClockEstimator:
    """The session's clock as a line of the local one. Not for several threads at once.

    Attributes:
        jumps: how often a clock was found set anew.
        readings: pongs taken in all.
    """

    def __init__(self) -> None:
        self._line = ClockLine(SPAN_S, CAPACITY, _errors_s)
        self._shortest_s = math.inf
        self._provisional = False
        self._set_bounds(0.0, -math.inf, math.inf)
        self.jumps = 0
        self.readings = 0

    def reset(self) -> None:
        """Forget the clock, as after a new welcome; the counts stay."""
        self._line.clear()
        self._shortest_s = math.inf
        self._provisional = False
        self._set_bounds(0.0, -math.inf, math.inf)

    @property
    def known(self) -> bool:
        """Whether anything can be said."""
        return len(self._line) > 0

    @property
    def measured(self) -> bool:
        """Whether a pong came, and not only a publication."""
        return self.known and not self._provisional

    @property
    def readings_since_reset(self) -> int:
        """Pongs that the estimate rests on."""
        return 0 if self._provisional else len(self._line)

    @property
    def drift(self) -> float:
        """How much faster the session's clock runs: 1e-6 is a microsecond a second."""
        return self._line.drift

    def add(self, sent_s: float, received_s: float, session_s: float) -> bool:
        """One pong of a running session clock.

        Args:
            sent_s, received_s: the local clock when the ping left and the pong came.
            session_s: the session's clock that the pong holds.

        Returns:
            Whether the clock was found set anew, which makes everything old void.

        Raises:
            ValueError: the pong came before the ping left, or a time is not finite.
        """
        round_trip_s = received_s - sent_s
        if not (math.isfinite(session_s) and math.isfinite(sent_s) and 0 <= round_trip_s < math.inf):
            raise ValueError(
                f"ClockEstimator.add: expected finite times with the answer after the question, got sent "
                f"{sent_s}, received {received_s}, session {session_s}."
            )
        middle_s = sent_s + round_trip_s / 2
        jumped = self._contradicts(middle_s, round_trip_s, session_s)
        if jumped:
            self.jumps += 1
        if jumped or self._provisional:
            self.reset()
            self._contradicts(middle_s, round_trip_s, session_s)  # the first bounds
        self.readings += 1
        self._shortest_s = min(self._shortest_s, round_trip_s)
        self._line.add(middle_s, session_s, round_trip_s)
        return jumped

    def add_one_way(self, received_s: float, sent_at_s: float) -> None:
        """A publication's stamp: good enough until the first pong, and passed over after it."""
        if not self.known:
            self._provisional = True
            self._line.add(received_s, sent_at_s, 2 * ONE_WAY_ERROR_S)

    def session_time_s(self, local_s: float) -> float:
        """The session's clock at a local time. Raises ValueError before anything is known."""
        self._require_known()
        return self._line.at(local_s)

    def local_time_s(self, session_s: float) -> float:
        """When the session's clock shows this, locally. Raises ValueError before anything is known."""
        self._require_known()
        return self._line.inverse(session_s)

    def uncertainty_s(self, local_s: float) -> float:
        """How far `session_time_s` may be off: two standard deviations of the line, and half the shortest round trip,
        which an answer that takes longer one way than the other can hide. Infinite before anything is known."""
        hidden_s = ONE_WAY_ERROR_S if self._provisional else min(self._shortest_s, 1.0) / 2
        return 2 * self._line.error_s(local_s) + hidden_s

    def _contradicts(self, middle_s: float, round_trip_s: float, session_s: float) -> bool:
        """Whether no clock that drifts by at most HIGHEST_DRIFT fits all readings; narrows the bounds if one does."""
        widened_s = HIGHEST_DRIFT * abs(middle_s - self._bounds_at_s)
        offset_s, half_s = session_s - middle_s, round_trip_s / 2 + FINEST_S
        low_s = max(self._lowest_s - widened_s, offset_s - half_s)
        high_s = min(self._highest_s + widened_s, offset_s + half_s)
        if low_s > high_s:
            return True
        self._lowest_s, self._highest_s, self._bounds_at_s = low_s, high_s, middle_s
        return False

    def _set_bounds(self, at_s: float, lowest_s: float, highest_s: float) -> None:
        """What the offset was for certain, then."""
        self._bounds_at_s, self._lowest_s, self._highest_s = at_s, lowest_s, highest_s

    def _require_known(self) -> None:
        if not self.known:
            raise ValueError("ClockEstimator: expected a pong or a publication first, got none.")


def _errors_s(round_trips_s: np.ndarray) -> np.ndarray:
    """Standard errors of readings: what each took longer than the shortest may all have been on one way, and how far
    the shorter ones spread says how much of the shortest was not the road but waiting, too."""
    shortest_s = round_trips_s.min()
    spread_s = np.quantile(round_trips_s, 0.25) - shortest_s
    return FINEST_S + (round_trips_s - shortest_s + spread_s) / 2
