"""The jitter buffer of the picture: frames by index, of which a time picks the two to mix.

A frame sent again supersedes the one before, and with it everything sent earlier for later times: the server went
back to change its mind (docs/protocol.md). The message's `sequence` tells which of two is newer, in whatever order
they come. Every frame that comes ends in exactly one count of `FrameCounts`, or still waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Stamped(Protocol):
    """What of a frame message the buffer looks at."""

    @property
    def sequence(self) -> int: ...
    @property
    def index(self) -> int: ...
    @property
    def time_s(self) -> float: ...


AnyFrame = TypeVar("AnyFrame", bound=Stamped)


@dataclass
class FrameCounts:
    """What became of the frames that came.

    received = shown + passed_over + late + superseded + repeated + those still waiting.
    """

    received: int = 0
    shown: int = 0  # seen, alone or mixed with a neighbour, and over
    passed_over: int = 0  # in time, but no picture fell near them: a slow display, or sound that skipped
    late: int = 0  # their time was over when they came
    superseded: int = 0  # replaced by a newer frame, before or after they were seen
    repeated: int = 0  # came twice
    lost: int = 0  # never came: holes in `sequence`; not part of received


@dataclass(frozen=True)
class Picked(Generic[AnyFrame]):
    """The frames around a time.

    Attributes:
        earlier: the newest frame whose time has come.
        later: the next one; None where it has not come.
    """

    earlier: AnyFrame
    later: AnyFrame | None


class FrameBuffer(Generic[AnyFrame]):
    """Frames around the one being shown. Not for several threads at once."""

    def __init__(self, capacity: int) -> None:
        """Start empty; beyond `capacity` the frame for the latest time gives way and counts as passed over."""
        self._capacity = capacity
        self._frames: dict[int, AnyFrame] = {}
        self._seen: set[int] = set()  # indices of frames that were part of a picture
        self._newest_sequence = self._rewound_sequence = -1
        self._newest_index = self._rewound_index = -1
        self._missing: set[int] = set()  # sequence numbers that have not come
        self._floor_s = -float("inf")  # frames before this are of no use any more
        self.counts = FrameCounts()

    def clear(self) -> None:
        """Forget all frames, as for another session; the counts stay."""
        for index in list(self._frames):
            self._let_go(index)
        self._missing.clear()
        self._newest_sequence = self._rewound_sequence = -1
        self._newest_index = self._rewound_index = -1
        self._floor_s = -float("inf")

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: AnyFrame) -> bool:
        """Take a frame; False where it was dropped as late, superseded or repeated."""
        counts = self.counts
        counts.received += 1
        newer = self._follow_sequence(frame.sequence)
        held = self._frames.get(frame.index)
        if held is not None and held.sequence == frame.sequence:
            counts.repeated += 1
            return False
        stale = frame.sequence < self._rewound_sequence and frame.index >= self._rewound_index
        if stale or (held is not None and held.sequence > frame.sequence):
            counts.superseded += 1
            return False
        if newer and frame.index <= self._newest_index:
            self._rewind(frame)
        elif newer:
            self._newest_index = frame.index
        if frame.time_s < self._floor_s:
            counts.late += 1
            return False
        if held is not None and frame.index in self._frames:
            self._drop_superseded(frame.index)
        self._frames[frame.index] = frame
        if len(self._frames) > self._capacity:
            self._let_go(max(self._frames))
        return frame.index in self._frames

    def pick(self, time_s: float) -> Picked[AnyFrame] | None:
        """The frames around a time, which count as seen; None before the first. Forgets what lies before them.

        Times must not go back.
        """
        earlier = later = None
        for frame in self._frames.values():
            if frame.time_s <= time_s:
                earlier = frame if earlier is None or frame.time_s > earlier.time_s else earlier
            else:
                later = frame if later is None or frame.time_s < later.time_s else later
        if earlier is None:
            return None
        self._floor_s = earlier.time_s
        for index in [i for i, f in self._frames.items() if f.time_s < earlier.time_s]:
            self._let_go(index)
        self._seen.add(earlier.index)
        return Picked(earlier, later)

    def mark_seen(self, frame: AnyFrame) -> None:
        """The later of two picked frames was part of the picture, too."""
        self._seen.add(frame.index)

    def _follow_sequence(self, sequence: int) -> bool:
        """Count holes; whether this is the newest message so far."""
        if sequence <= self._newest_sequence:
            if sequence in self._missing:
                self._missing.discard(sequence)
                self.counts.lost -= 1
            return False
        if self._newest_sequence >= 0:
            hole = range(self._newest_sequence + 1, sequence)
            self.counts.lost += len(hole)
            if len(self._missing) + len(hole) <= 1024:  # beyond it nothing late is expected any more
                self._missing.update(hole)
        self._newest_sequence = sequence
        return True

    def _rewind(self, frame: AnyFrame) -> None:
        """The server went back to this frame: what it sent for later times before is void."""
        self._rewound_sequence, self._rewound_index = frame.sequence, frame.index
        self._newest_index = frame.index
        for index in [i for i in self._frames if i >= frame.index]:
            self._drop_superseded(index)

    def _drop_superseded(self, index: int) -> None:
        del self._frames[index]
        self._seen.discard(index)
        self.counts.superseded += 1

    def _let_go(self, index: int) -> None:
        del self._frames[index]
        if index in self._seen:
            self._seen.discard(index)
            self.counts.shown += 1
        else:
            self.counts.passed_over += 1
