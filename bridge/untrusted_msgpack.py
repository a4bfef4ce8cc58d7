"""msgpack from strangers, read key by key.

Where the msgpack package reads a map by itself, it has Python intern every key, and Python 3.12 never gives a text back
that was interned that way: a peer that thinks up new keys could fill the memory. Measured there with msgpack 1.2.4:
10,000 keys of 1,000 characters stay, 11 MB.
"""

from __future__ import annotations

from typing import Any

import msgpack

# What reading can raise where the bytes are not what they should be.
UNREADABLE = (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException)
MAX_DEPTH = 16


def read_flat_map(packed: memoryview | bytes) -> dict[Any, Any]:
    """A map whose values hold no maps, and nothing after it.

    Raises:
        Exception: one of UNREADABLE, where it is something else or a key stands twice.
    """
    unpacker = _unpacker_of(packed, max_map_len=0)
    pairs = {}
    for _ in range(unpacker.read_map_header()):
        key = unpacker.unpack()
        if key in pairs:
            raise ValueError("a key stands twice in the map")
        pairs[key] = unpacker.unpack()
    _check_end(unpacker, packed)
    return pairs


def read_tree(packed: bytes) -> Any:
    """One value of maps with texts as keys, lists, texts, bytes and numbers, MAX_DEPTH deep at most.

    Raises:
        Exception: one of UNREADABLE, where it is something else or a key stands twice.
    """
    unpacker = _unpacker_of(packed, max_map_len=0)
    value = _branch(unpacker, packed, 0)
    _check_end(unpacker, packed)
    return value


def _branch(unpacker: msgpack.Unpacker, packed: bytes, depth: int) -> Any:
    place = unpacker.tell()
    if place >= len(packed):
        raise ValueError("it ends in the middle")
    kind = packed[place]
    if depth > MAX_DEPTH:
        raise ValueError("it is nested too deep")
    if 0x80 <= kind <= 0x8F or kind in (0xDE, 0xDF):
        pairs = {}
        for _ in range(unpacker.read_map_header()):
            key = unpacker.unpack()
            if not isinstance(key, str) or key in pairs:
                raise ValueError("a key is no text, or stands twice in a map")
            pairs[key] = _branch(unpacker, packed, depth + 1)
        return pairs
    if 0x90 <= kind <= 0x9F or kind in (0xDC, 0xDD):
        return [_branch(unpacker, packed, depth + 1) for _ in range(unpacker.read_array_header())]
    return unpacker.unpack()


def _unpacker_of(packed: memoryview | bytes, max_map_len: int) -> msgpack.Unpacker:
    size = max(1, len(packed))
    unpacker = msgpack.Unpacker(raw=False, read_size=size, max_buffer_size=size, max_map_len=max_map_len)
    unpacker.feed(packed)
    return unpacker


def _check_end(unpacker: msgpack.Unpacker, packed: memoryview | bytes) -> None:
    if unpacker.tell() != len(packed):
        raise ValueError(f"{len(packed) - unpacker.tell()} bytes follow it")
