"""When the sound device plays which sample, on this machine's steady clock.

A device asks for its next samples in bursts and says when they will be heard, give or take some milliseconds; its
clock runs at its own rate. A line through the last seconds tells both, and starts anew where the device skipped.
Not every driver says that it stopped for a while. A device that asks later than its last sample was to be heard had
run dry, and as long as it has not asked for clearly longer than it usually does, nobody knows what it plays.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from gstalker.bridge.client.clock_line import ClockLine

SPAN_S = 20.0
EVERY_S = 0.05  # between readings that are kept: devices ask hundreds of times a second
JITTER_S = 2e-3  # standard deviation of what a device says of its time
SKIP_S, SKIP_READINGS = 0.03, 3  # so many readings in a row this far off, or
STEP_S, STEP_READINGS = 0.005, 6  # off by this to one side, mean that samples were left out; one alone came late itself
BURST_S = 1e-3  # what is asked for so soon after the last belongs to the same burst
OVERDUE_S = 0.08  # later than usual by so much: the device stands. Less would hold a display that looks 80 ms ahead


class DeviceClock:
    """Pairs sample numbers of a device with local times. Not for several threads at once.

    Attributes:
        skips: how often the device was found to have left samples out.
        rhythm_s: what usually passes between two bursts of asking.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._line = ClockLine(SPAN_S, round(SPAN_S / EVERY_S), _errors_s)
        self._off_s: deque[float] = deque(maxlen=STEP_READINGS)
        self._last_kept_s = -np.inf
        self._asked_at_s: float | None = None
        self.skips = 0
        self.rhythm_s = 0.0

    @property
    def known(self) -> bool:
        """Whether the device has asked for anything yet."""
        return len(self._line) > 0

    @property
    def drift(self) -> float:
        """How much more slowly than it says the device plays: 1e-6 is a microsecond a second."""
        return self._line.drift

    def reset(self) -> None:
        """Forget the device, as after another one was opened."""
        self._forget(keep_drift=False)
        self._asked_at_s, self.rhythm_s = None, 0.0

    def _forget(self, *, keep_drift: bool) -> None:
        self._line.clear(keep_drift=keep_drift)
        self._off_s.clear()
        self._last_kept_s = -np.inf

    def add(self, first_sample: int, heard_at_s: float, asked_at_s: float, *, underrun: bool = False) -> bool:
        """The device will play this sample at this local time, it says; whether samples were left out before it.

        With `underrun` the device itself says so. Without it several readings must, or one, where the device asked for
        the sample (`asked_at_s`, local) only after the time at which it was to be heard: all it had was played.
        """
        self._follow_rhythm(asked_at_s)
        own_s = first_sample / self._rate_hz
        skipped = outlier = False
        if self.known:
            due_s = self._line.at(own_s)
            off_s = heard_at_s - due_s
            self._off_s.append(off_s)
            ran_dry = asked_at_s > due_s and off_s > SKIP_S
            several = self._all_off(SKIP_READINGS, SKIP_S) or self._all_off(STEP_READINGS, STEP_S)
            skipped = underrun or ran_dry or several
            outlier = abs(off_s) > SKIP_S and not skipped
            if skipped:
                self.skips += 1
                self._forget(keep_drift=len(self._line) > SPAN_S / EVERY_S / 4)  # its quartz is still the same
        if own_s >= self._last_kept_s + EVERY_S and not outlier:
            self._last_kept_s = own_s
            self._line.add(own_s, heard_at_s, JITTER_S)
        return skipped

    def _follow_rhythm(self, asked_at_s: float) -> None:
        """A stop says nothing of the rhythm: one gap counts as twice the usual one at most."""
        if self._asked_at_s is not None and asked_at_s > self._asked_at_s + BURST_S:
            gap_s = asked_at_s - self._asked_at_s
            usual_s = self.rhythm_s or gap_s
            self.rhythm_s = usual_s + 0.1 * (min(gap_s, 2 * usual_s) - usual_s)
        self._asked_at_s = asked_at_s

    @property
    def trusted_until_s(self) -> float:
        """Until when, locally, it may be taken to play on beyond what it asked for; needs to be known."""
        assert self._asked_at_s is not None  # what is known was asked for
        return self._asked_at_s + self.rhythm_s + OVERDUE_S

    def _all_off(self, readings: int, by_s: float) -> bool:
        """Whether the last so many readings are off by more than this to the same side."""
        last = list(self._off_s)[-readings:]
        return len(last) == readings and (min(last) > by_s or max(last) < -by_s)

    def heard_at_s(self, sample: float) -> float:
        """When this sample is played, locally; needs to be known."""
        return self._line.at(sample / self._rate_hz)

    def sample_at(self, local_s: float) -> float:
        """Which sample, and what part of it, is being played; needs to be known."""
        return self._line.inverse(local_s) * self._rate_hz


def _errors_s(jitter_s: np.ndarray) -> np.ndarray:
    """Each reading is as good as any other."""
    return jitter_s
