"""msgpack from strangers: what it may hold, and that nothing of it stays."""

from __future__ import annotations

import sys
import tracemalloc
from typing import Any

import msgpack
import pytest

from gstalker.bridge.untrusted_msgpack import MAX_DEPTH, UNREADABLE, read_flat_map, read_tree


def packed(value: Any) -> bytes:
    data = msgpack.packb(value)
    assert data is not None
    return data


VALUES = {"a": 1, "b": [1.5, -2, None, True], "c": "ü", "d": b"\x00\xff", "e": 2**63, "f": []}


def test_what_was_packed_reads_back():
    assert read_flat_map(packed(VALUES)) == VALUES
    assert read_flat_map(memoryview(packed({}))) == {}
    tree = {"x": VALUES, "y": [VALUES, [VALUES]], "z": {"0": {}}, **{str(i): i for i in range(40)}}
    assert read_tree(packed(tree)) == tree
    assert read_tree(packed(list(range(100_000)))) == list(range(100_000))
    assert read_tree(packed({"pcm": bytes(150_000)})) == {"pcm": bytes(150_000)}


@pytest.mark.parametrize("read", [read_flat_map, read_tree])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x81",
        b"\x82\xa1a\x01\xa1a\x02",
        b"\x81\xa1a\x01\x00",
        b"\x81\xa1a\x01" * 2,
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xa1a\xdd\xff\xff\xff\xff",
        b"\x81\xa1a" * 5000 + b"\x01",
        b"\x81\xa1a" + b"\x91" * 5000,
        b"\x81\xa1a\xc1",
        b"\x81\xa1\xff\x01",
        b"\x81\x90\x01",
    ],
)
def test_what_is_no_map_is_refused(read: Any, data: bytes):
    with pytest.raises(UNREADABLE):
        read(data)


def test_a_map_within_a_flat_map_is_refused():
    with pytest.raises(UNREADABLE):
        read_flat_map(packed({"a": {"b": 1}}))
    with pytest.raises(UNREADABLE):
        read_flat_map(packed({"a": [{"b": 1}]}))


def test_a_tree_has_texts_as_keys_and_an_end():
    for value in ({1: 2}, {b"a": 1}):
        with pytest.raises(UNREADABLE):
            read_tree(packed(value))
    nested: Any = 1
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    with pytest.raises(UNREADABLE, match="too deep"):
        read_tree(packed(nested))
    assert read_tree(packed(nested[0])) == nested[0]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="before Python 3.12 all interned texts are given back")
@pytest.mark.parametrize("read", [read_flat_map, read_tree])
def test_keys_that_nobody_has_use_for_are_given_back(read: Any):
    """Measured with msgpack's own reading of maps on Python 3.12: all 10,000 keys of 1,000 characters stay, 11 MB."""
    tracemalloc.start()
    try:
        for number in range(10_000):
            read(packed({f"{number}{'k' * 1000}": number}))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
