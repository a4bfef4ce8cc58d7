"""Values that are taken over from what moves them otherwise, and given back, each over a stated time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.bridge.server.snapshot_fields import LARGEST, Fields


@dataclass(frozen=True, eq=False)
class Blend:
    """How much of some values is held, and at what: a function of the frame alone.

    Attributes:
        start: the frame at which the change begins.
        frames: how many frames it takes.
        old_shares, new_shares: (n,) 0 left alone .. 1 held, before and after.
        old_values, new_values: (n,) what is held.
    """

    start: int
    frames: int
    old_shares: np.ndarray
    old_values: np.ndarray
    new_shares: np.ndarray
    new_values: np.ndarray

    @staticmethod
    def nothing(count: int) -> Blend:
        """Nothing is held."""
        zeros = np.zeros(count)
        return Blend(0, 0, zeros, zeros, zeros, zeros)

    def at(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Shares (n,) and values (n,) at a frame."""
        if frame >= self.start + self.frames:
            return self.new_shares, self.new_values
        if frame <= self.start:
            return self.old_shares, self.old_values
        s = (frame - self.start) / self.frames
        ease = s * s * s * (10 - 15 * s + 6 * s * s)  # least jerk
        return (
            self.old_shares + ease * (self.new_shares - self.old_shares),
            self.old_values + ease * (self.new_values - self.old_values),
        )

    def changed(self, frame: int, frames: int, shares: np.ndarray, values: np.ndarray) -> Blend:
        """The blend that goes on from here to other shares and values; those not held keep what they come from."""
        old_shares, old_values = self.at(frame)
        # A value that was not held has nothing to come from, and one let go nothing to go to: only its share moves.
        old_values = np.where(old_shares > 0, old_values, values)
        values = np.where(shares > 0, values, old_values)
        return Blend(frame, max(0, frames), old_shares, old_values, shares.astype(np.float64), values)

    def apply(self, frame: int, base: np.ndarray) -> np.ndarray:
        """(n,) `base` with what is held in its place."""
        shares, values = self.at(frame)
        return base + shares * (values - base)

    @property
    def idle(self) -> bool:
        """Whether it never holds anything."""
        return not (self.old_shares.any() or self.new_shares.any())

    def state(self) -> list[object]:
        """Plain numbers, for a snapshot."""
        arrays = (self.old_shares, self.old_values, self.new_shares, self.new_values)
        return [self.start, self.frames, *([float(x) for x in a] for a in arrays)]

    @staticmethod
    def from_state(value: object, where: str, count: int) -> Blend:
        """What `state` gave.

        Raises:
            RequestRefused: bad_value.
        """
        names = ("start", "frames", "old_shares", "old_values", "new_shares", "new_values")
        listed = value if isinstance(value, list | tuple) and len(value) == len(names) else []
        fields = Fields(dict(zip(names, listed, strict=False)), where, names)
        shares = [fields.numbers(name, count, 0.0, 1.0) for name in ("old_shares", "new_shares")]
        values = [fields.numbers(name, count, -10.0, 10.0) for name in ("old_values", "new_values")]
        start, frames = fields.whole("start", 0, LARGEST), fields.whole("frames", 0, 100_000)
        return Blend(start, frames, shares[0], values[0], shares[1], values[1])
