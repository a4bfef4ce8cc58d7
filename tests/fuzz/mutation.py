"""Damage to bytes and values, by seed: the same seed does the same damage on every machine."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from typing import Any

INTERESTING = (0, 1, 2, 7, 8, 15, 16, 31, 32, 127, 128, 255, 256, 65_535, 65_536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def mutated(rng: random.Random, data: bytes, others: Sequence[bytes], most_bytes: int = 1 << 20) -> bytes:
    """A copy with one to eight pieces of damage, some of them from another sample."""
    out = bytearray(data)
    for _ in range(1 + min(int(rng.expovariate(0.7)), 7)):
        _damage(rng, out, others)
    return bytes(out[:most_bytes])


def _damage(rng: random.Random, out: bytearray, others: Sequence[bytes]) -> None:
    place, kind = rng.randrange(len(out) + 1), rng.randrange(9)
    if kind == 0 and place < len(out):
        out[place] ^= 1 << rng.randrange(8)
    elif kind == 1 and place < len(out):
        out[place] = rng.randrange(256)
    elif kind == 2:
        del out[place:]
    elif kind == 3:
        del out[place : place + 1 + int(rng.expovariate(0.1))]
    elif kind == 4:
        out[place:place] = rng.randbytes(1 + int(rng.expovariate(0.1)))
    elif kind == 5:
        number = rng.choice(INTERESTING)
        width = rng.choice("BHIQ")
        packed = struct.pack(rng.choice("<>") + width, number & (256 ** struct.calcsize(width) - 1))
        out[place : place + len(packed)] = packed
    elif kind == 6 and others:
        other = rng.choice(others)
        start = rng.randrange(len(other) + 1)
        piece = other[start : start + 1 + int(rng.expovariate(0.02))]
        out[place : place + rng.choice((0, len(piece)))] = piece
    elif kind == 7:
        piece = bytes(out[place : place + 1 + int(rng.expovariate(0.05))])
        out[place:place] = piece * rng.choice((1, 2, 50))
    elif kind == 8:
        out[place : place + 8] = struct.pack("<d", rng.choice((float("nan"), float("inf"), -1e308, 5e-324)))


def odd_value(rng: random.Random, depth: int = 0) -> Any:
    """A value that a field is not likely to expect, of the kinds that msgpack and JSON can hold."""
    kind = rng.randrange(13 if depth < 3 else 9)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind == 2:
        return rng.choice((-1, 1)) * rng.choice(INTERESTING)
    if kind == 3:
        return rng.choice((2**53, 2**63, 2**64 - 1, -(2**63)))
    if kind == 4:
        return rng.choice((0.0, -0.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), 0.5))
    if kind == 5:
        return "".join(chr(rng.choice((0, 10, 27, 65, 0xE9, 0x202E, 0x1F600))) for _ in range(rng.randrange(6)))
    if kind == 6:
        return "a" * rng.choice((1, 63, 64, 65, 1000, 5000))
    if kind == 7:
        return "../" * rng.randrange(4) + "etc/passwd"
    if kind == 8:
        return rng.uniform(-3, 3)
    if kind in (9, 10):
        return [odd_value(rng, depth + 1) for _ in range(rng.choice((0, 1, 2, 3, 12, 40)))]
    if kind == 11:
        return {str(i): odd_value(rng, depth + 1) for i in range(rng.randrange(4))}
    nested: Any = []
    for _ in range(rng.choice((3, 100, 800))):
        nested = [nested]
    return nested


def damaged_tree(rng: random.Random, value: Any) -> Any:
    """A copy of nested maps and lists with one place changed: another value, one less, one more, twice."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        out, key = dict(value), rng.choice(list(value))
        choice = rng.randrange(8)
        if choice == 0:
            del out[key]
        elif choice == 1:
            out[f"{key}{rng.randrange(9)}"] = odd_value(rng)
        else:
            out[key] = damaged_tree(rng, value[key])
        return out
    if isinstance(value, list | tuple) and value and rng.random() < 0.8:
        out, place = list(value), rng.randrange(len(value))
        choice = rng.randrange(6)
        if choice == 0:
            del out[place]
        elif choice == 1:
            out.insert(place, out[place])
        else:
            out[place] = damaged_tree(rng, out[place])
        return out
    if isinstance(value, float | int) and not isinstance(value, bool) and rng.random() < 0.4:
        return rng.choice((value + 1, value - 1, -value, value * 1000, value / 3))
    return odd_value(rng)
