"""Reads a snapshot's fields strictly: it comes over the wire, so nothing in it is believed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from gstalker.bridge.errors import RequestRefused

LARGEST = 2**48  # of any count: what follows from it still fits the wire


class Fields:
    """A map of a snapshot; every getter refuses what is missing, of another type or out of range."""

    def __init__(self, value: object, where: str, names: tuple[str, ...]) -> None:
        """Take a map with exactly these fields.

        Raises:
            RequestRefused: bad_value.
        """
        self._where = where
        if not isinstance(value, Mapping) or set(value) != set(names):
            raise RequestRefused("bad_value", f"snapshot: {where}: expected a map of {', '.join(names)}.")
        self._value = value

    def whole(self, name: str, low: int, high: int) -> int:
        """A whole number of low to high."""
        value = self._value[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refused(name, f"a whole number of {low} to {high}")
        return value

    def optional_whole(self, name: str, low: int, high: int) -> int | None:
        """A whole number of low to high, or None."""
        return None if self._value[name] is None else self.whole(name, low, high)

    def number(self, name: str, low: float, high: float) -> float:
        """A finite number of low to high."""
        value = self._value[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.refused(name, f"a number of {low:g} to {high:g}")
        return float(value)

    def numbers(self, name: str, count: int, low: float, high: float) -> np.ndarray:
        """(count,) float64 of finite numbers of low to high."""
        value = self._value[name]
        fits = isinstance(value, list | tuple) and len(value) == count
        if not fits or not all(_is_number(v) and low <= v <= high for v in value):
            raise self.refused(name, f"{count} numbers of {low:g} to {high:g}")
        return np.array(value, np.float64)

    def truth(self, name: str) -> bool:
        """True or false."""
        value = self._value[name]
        if not isinstance(value, bool):
            raise self.refused(name, "true or false")
        return value

    def text(self, name: str, longest: int) -> str:
        """A text of at most so many characters."""
        value = self._value[name]
        if not isinstance(value, str) or len(value) > longest:
            raise self.refused(name, f"a text of at most {longest} characters")
        return value

    def pcm(self, name: str, longest: int) -> np.ndarray:
        """(S,) int16 out of at most so many samples of little-endian bytes."""
        value = self.raw(name, 2 * longest)
        if len(value) % 2:
            raise self.refused(name, "16-bit samples")
        return np.frombuffer(value, "<i2").astype(np.int16)

    def raw(self, name: str, longest: int) -> bytes:
        """At most so many bytes."""
        value = self._value[name]
        if not isinstance(value, bytes) or len(value) > longest:
            raise self.refused(name, f"at most {longest} bytes")
        return value

    def items(self, name: str, most: int) -> list[object]:
        """A list of at most so many things."""
        value = self._value[name]
        if not isinstance(value, list | tuple) or len(value) > most:
            raise self.refused(name, f"a list of at most {most}")
        return list(value)

    def anything(self, name: str) -> object:
        """What stands there, for another reader."""
        return self._value[name]

    def refused(self, name: str, expected: str) -> RequestRefused:
        """The refusal of a field, to be raised."""
        return RequestRefused("bad_value", f"snapshot: {self._where}.{name}: expected {expected}, got something else.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
