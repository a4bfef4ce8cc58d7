"""How many frames a second a line carries: fewer are asked for where they come late or not at all, and carefully more.

A line that is too thin lets messages wait, each longer than the one before, until those that waited too long are
dropped. Both can be told by whoever receives them, from when each was sent and from holes in `sequence`. All times are
of the session's clock; nothing here knows of sockets.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

WINDOW_S, WINDOW_FRAMES = 0.5, 8  # what is judged together: at least so long, and so many frames
TOLD_S = 0.2  # a wish takes effect that late: what was sent before says nothing of it
BASE_WINDOWS = 40  # among which the least time on the way is what this line needs when it is free
LATE_S = 0.15  # every frame of a window is on the way that much longer: they wait somewhere
FREE_S = 0.05  # and less than this: they do not
FALLING_S = 0.02  # the wait gets shorter by itself
HELD_S = 30.0  # a try for more that had to be taken back within this time failed
LOST, LOST_WINDOWS = 0.1, 3  # such a share lost in so many windows in a row; a line that stalled once loses less long


@dataclass(frozen=True)
class RateOptions:
    """How a client follows its line."""

    largest_divisor: int = 5  # never fewer than every fifth frame: what is further apart is not mixed
    share: float = 0.7  # of what came through is asked for, so that what waits can drain
    try_s: float = 5.0  # a free line for so long: one step more is tried
    longest_try_s: float = 60.0  # after each try that failed it takes twice as long, up to this


@dataclass
class _Window:
    """Frames sent one after the other: when each was sent and came, and how many between them did not."""

    sent_s: list[float] = field(default_factory=list)
    came_s: list[float] = field(default_factory=list)
    lost: int = 0

    @property
    def full(self) -> bool:
        enough = len(self.sent_s) + self.lost >= WINDOW_FRAMES
        return enough and len(self.sent_s) > 1 and self.sent_s[-1] - self.sent_s[0] >= WINDOW_S

    @property
    def lost_share(self) -> float:
        return self.lost / (self.lost + len(self.sent_s))

    @property
    def on_the_way_s(self) -> float:
        """What the quickest of the second half took."""
        ways = [came - sent for sent, came in zip(self.sent_s, self.came_s, strict=True)]
        return min(ways[len(ways) // 2 :])

    @property
    def falling(self) -> bool:
        """Whether the last was clearly quicker than the first."""
        return self.came_s[-1] - self.sent_s[-1] < self.came_s[0] - self.sent_s[0] - FALLING_S

    @property
    def frames_per_s(self) -> float:
        """How many came through."""
        return (len(self.came_s) - 1) / max(self.came_s[-1] - self.came_s[0], 1e-3)


class LineRate:
    """Every how manieth frame to ask for.

    Attributes:
        divisor: the wish, 1 for all of them.
        lowered, raised: how often it was changed.
    """

    def __init__(self, fps: float, options: RateOptions | None = None) -> None:
        self.options = options or RateOptions()
        self.lowered = self.raised = 0
        self._fps = fps
        self.reset()

    def reset(self) -> None:
        """Begin anew, as for another session; the counts stay."""
        self.divisor = 1
        self._try_s = self.options.try_s
        self._base_s: deque[float] = deque(maxlen=BASE_WINDOWS)
        self._sequence: int | None = None
        self._newest_s = -math.inf
        self._begin(-math.inf)
        self._raised_s = -math.inf

    def frame(self, sequence: int, sent_s: float, came_s: float) -> None:
        """A frame came: its number, when it was sent and when it came."""
        if sent_s < self._newest_s - 1.0:  # the session's clock was set anew
            self.reset()
        self._newest_s = max(self._newest_s, sent_s)
        lost = 0 if self._sequence is None else max(0, sequence - self._sequence - 1)
        self._sequence = sequence if self._sequence is None else max(self._sequence, sequence)
        if sent_s < self._changed_s + TOLD_S:
            return
        window = self._window
        window.lost += lost if window.sent_s else 0
        window.sent_s.append(sent_s)
        window.came_s.append(came_s)
        if window.full:
            self._window = _Window()
            self._judge(window)

    def _judge(self, window: _Window) -> None:
        now_s, waited_s = window.came_s[-1], window.on_the_way_s
        self._base_s.append(waited_s)
        extra_s = waited_s - min(self._base_s)
        self._lossy = self._lossy + 1 if window.lost_share > LOST else 0
        if (extra_s > LATE_S and not window.falling) or self._lossy >= LOST_WINDOWS:
            self._lower(window, now_s)
        elif extra_s > FREE_S or self._lossy:
            self._free_since_s = now_s
        elif now_s >= self._free_since_s + self._try_s and self.divisor > 1:
            self._raise(now_s)

    def _lower(self, window: _Window, now_s: float) -> None:
        options = self.options
        self._free_since_s = now_s
        if now_s < self._raised_s + HELD_S:
            self._try_s = min(2 * self._try_s, options.longest_try_s)
        fitting = math.ceil(self._fps / (options.share * window.frames_per_s))
        divisor = min(max(fitting, self.divisor + 1), options.largest_divisor)
        if divisor != self.divisor:
            self.divisor = divisor
            self.lowered += 1
        self._begin(now_s)

    def _raise(self, now_s: float) -> None:
        if now_s >= self._raised_s + max(HELD_S, 2 * self._try_s):  # the last try held
            self._try_s = max(self._try_s / 2, self.options.try_s)
        self.divisor -= 1
        self.raised += 1
        self._raised_s = now_s
        self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        """Judge from here on."""
        self._changed_s = self._free_since_s = now_s
        self._window = _Window()
        self._lossy = 0
