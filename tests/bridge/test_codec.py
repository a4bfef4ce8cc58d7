"""What is not exactly a message is refused with a WireError, whatever the bytes; what is, survives the wire."""

from __future__ import annotations

import dataclasses
import struct
import tracemalloc
from typing import Any

import msgpack
import numpy as np
import pytest
from golden.make_golden import messages
from hypothesis import given, settings
from hypothesis import strategies as st

from gstalker.bridge import schema
from gstalker.bridge.codec import MessageBuffer, aligned, decode, decode_as, encode, encode_into, topic_field
from gstalker.bridge.errors import WireError, WireVersionError
from gstalker.bridge.schema import Array, Value, wire_specs

MESSAGES = messages()
ENCODED = [bytes(encode(m)) for m in MESSAGES]
IDENTITY_ROWS = tuple(float(v) for v in np.eye(4)[:3].ravel())


def by_type(kind: type[schema.Message]) -> schema.Message:
    return next(m for m in MESSAGES if isinstance(m, kind))


def with_header(message: schema.Message, change: Any) -> bytes:
    """The encoded message with its header changed by a function of the map (or of its pairs)."""
    data = bytes(encode(message))
    header_bytes, payload_bytes = struct.unpack_from("<II", data, 24)
    packed = change(msgpack.unpackb(data[32 : 32 + header_bytes]))
    packed = packed if isinstance(packed, bytes) else bytes(msgpack.packb(packed) or b"")
    payload = data[aligned(32 + header_bytes) :]
    padding = b"\0" * (aligned(32 + len(packed)) - 32 - len(packed))
    return data[:24] + struct.pack("<II", len(packed), payload_bytes) + packed + padding + payload


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.TOPIC)
def test_every_message_survives_the_wire_exactly(message: schema.Message):
    received = decode(encode(message))
    assert type(received) is type(message)
    for name in wire_specs(type(message)):
        sent, got = getattr(message, name), getattr(received, name)
        if isinstance(sent, np.ndarray):
            assert got.dtype == sent.dtype
            np.testing.assert_array_equal(got, sent)
        else:
            assert got == sent
            assert type(got) is type(sent)


def test_there_is_a_golden_message_of_every_type():
    assert {type(m) for m in MESSAGES} == set(schema.MESSAGES.values())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.TOPIC)
def test_every_array_starts_at_a_multiple_of_sixteen(message: schema.Message):
    data = bytes(encode(message))
    header_bytes, payload_bytes = struct.unpack_from("<II", data, 24)
    start = aligned(32 + header_bytes)
    assert start % 16 == 0
    assert len(data) == start + payload_bytes
    end = start
    for name, spec in wire_specs(type(message)).items():
        if isinstance(spec, Array):
            raw = np.ascontiguousarray(getattr(message, name)).tobytes()
            begin = aligned(end)
            assert data[begin : begin + len(raw)] == raw, name
            end = begin + len(raw)
    assert end == len(data)


@given(
    data=st.sampled_from(ENCODED),
    changes=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.one_of(st.none(), st.integers(0, 2**20)),
    more=st.binary(max_size=40),
)
@settings(max_examples=600)
def test_a_mutated_message_is_decoded_or_refused_and_nothing_else(
    data: bytes, changes: list[tuple[int, int]], cut: int | None, more: bytes
):
    mutated = bytearray(data)
    for place, value in changes:
        mutated[place % len(mutated)] = value
    mutated = mutated[: None if cut is None else cut % (len(mutated) + 1)] + more
    try:
        received = decode(bytes(mutated))
    except WireError:
        return
    assert type(received) in schema.MESSAGES.values()


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=13) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@given(message=st.sampled_from(MESSAGES), data=st.data())
@settings(max_examples=400)
def test_a_header_with_one_odd_field_is_decoded_or_refused(message: schema.Message, data: st.DataObject):
    names = [n for n, s in wire_specs(type(message)).items() if isinstance(s, Value)]
    name, junk = data.draw(st.sampled_from(names)), data.draw(JUNK)
    try:
        received = decode(with_header(message, lambda header: header | {name: junk}))
    except WireError:
        return
    assert encode(received) is not None  # what was let in could have been sent


@given(JUNK)
def test_a_header_of_junk_is_refused(junk: Any):
    with pytest.raises(WireError):
        decode(with_header(by_type(schema.Hello), lambda header: msgpack.packb(junk)))


@given(st.binary(max_size=100))
def test_a_header_that_is_not_msgpack_is_refused(packed: bytes):
    try:
        received = decode(with_header(by_type(schema.Done), lambda header: packed))
    except WireError:
        return
    assert isinstance(received, schema.Done)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda h: {k: v for k, v in h.items() if k != "time_s"}, "expected the fields"),
        (lambda h: h | {"colour": 1}, "expected the fields"),
        (lambda h: [1, 2], "expected a msgpack map as header, could not read it"),
        (lambda h: b"\x82\xa1a\x01\xa1a\x02", "a key stands twice"),
        (lambda h: b"\xdd\xff\xff\xff\xff", "expected a msgpack map as header, could not read it"),
        (lambda h: b"\x91" * 5000, "expected a msgpack map as header, could not read it"),
        (lambda h: h | {"index": True}, "expected a whole number, got True"),
        (lambda h: h | {"index": 1.0}, "expected a whole number, got 1.0"),
        (lambda h: h | {"index": -1}, "expected 0 to 9007199254740991"),
        (lambda h: h | {"index": 2**53}, "expected 0 to 9007199254740991"),
        (lambda h: h | {"time_s": float("nan")}, "expected a finite number, got nan"),
        (lambda h: h | {"time_s": "soon"}, "expected a number, got 'soon'"),
        (lambda h: h | {"time_s": -0.5}, "frame/q16.time_s: expected 0.0 to"),
        (lambda h: h | {"avatar_from_head": h["avatar_from_head"][:11]}, "expected a list of 12 numbers"),
        (lambda h: h | {"avatar_from_head": [2.0 * v for v in h["avatar_from_head"]]}, "rows of a rigid transform"),
        (lambda h: h | {"avatar_from_head": [1e300] * 12}, "rows of a rigid transform"),
        (lambda h: h | {"mover_count": h["mover_count"] + 1}, "expected 64 bytes for |u1 of shape (4, 16)"),
        (lambda h: h | {"mover_count": h["mover_count"] - 1}, "expected a payload of 32 bytes, got 48"),
        (lambda h: h | {"mover_count": 10**9}, "frame/q16.mover_count: expected 0 to 1000000"),
    ],
)
def test_a_wrong_header_is_refused_with_the_reason(change: Any, text: str):
    with pytest.raises(WireError) as caught:
        decode(with_header(by_type(schema.FrameQ16), change))
    assert text in str(caught.value)


def test_a_mirrored_pose_is_refused():
    mirrored = (-1.0, *IDENTITY_ROWS[1:])
    with pytest.raises(WireError, match="rows of a rigid transform"):
        decode(with_header(by_type(schema.FrameQ16), lambda h: h | {"avatar_from_torso": list(mirrored)}))


def test_a_whole_number_is_a_float_for_clients_that_write_it_so():
    received = decode(with_header(by_type(schema.FrameQ16), lambda h: h | {"time_s": 3}))
    assert isinstance(received, schema.FrameQ16)
    assert received.time_s == 3.0
    assert isinstance(received.time_s, float)


@pytest.mark.parametrize("text", ["\x1b[2Jgone", "a\0b", "\u202eright to left", "\ud800"])
def test_text_that_a_terminal_would_obey_is_refused_on_both_ends(text: str):
    with pytest.raises(WireError, match="expected printable characters"):
        encode(schema.Hello(1, text, "", 0, False))
    if text == "\ud800":
        return  # msgpack itself cannot carry it
    with pytest.raises(WireError, match="expected printable characters"):
        decode(with_header(by_type(schema.Hello), lambda h: h | {"client_name": text}))


def test_text_is_allowed_up_to_its_limit_and_no_further():
    assert decode(encode(schema.Hello(1, "x" * 64, "", 0, False))).client_name == "x" * 64  # type: ignore[attr-defined]
    with pytest.raises(WireError, match="a text of at most 64 characters"):
        encode(schema.Hello(1, "x" * 65, "", 0, False))


def test_the_largest_message_is_eight_megabytes_on_both_ends():
    limit = schema.MAX_MESSAGE_BYTES
    frame = by_type(schema.FrameQ16)
    assert isinstance(frame, schema.FrameQ16)

    def of(count: int) -> schema.FrameQ16:
        return dataclasses.replace(frame, mover_count=count, movers=np.zeros((count, 16), np.uint8))

    overhead = len(encode(of(500_000))) - 16 * 500_000
    fits = (limit - overhead) // 16
    assert isinstance(decode(encode(of(fits))), schema.FrameQ16)
    with pytest.raises(WireError, match=f"{limit} in all"):
        encode(of(fits + 1))
    with pytest.raises(WireError, match=f"expected 32 to {limit} bytes, got {limit + 1}"):
        decode(bytes(limit + 1))


def test_a_header_beyond_its_cap_is_refused_before_it_is_read():
    data = bytearray(ENCODED[0])
    struct.pack_into("<I", data, 24, schema.MAX_HEADER_BYTES + 1)
    with pytest.raises(WireError, match=f"a header of at most {schema.MAX_HEADER_BYTES} bytes"):
        decode(data)


def test_a_request_beyond_its_cap_is_refused():
    with pytest.raises(WireError, match="expected 32 to 40 bytes"):
        decode(ENCODED[0], max_bytes=40)


@pytest.mark.parametrize("last", [True, False])
def test_padding_that_is_not_zero_is_refused(last: bool):
    hello = bytearray(encode(schema.Hello(1, "x", "", 0, False)))
    header_end = 32 + struct.unpack_from("<I", hello, 24)[0]
    assert len(hello) - header_end >= 2, "lengthen the name: this header leaves no padding"
    place = -1 if last else header_end
    assert hello[place] == 0
    hello[place] = 1
    with pytest.raises(WireError, match="expected zeros between header and payload"):
        decode(hello)
    frame = bytearray(encode(by_type(schema.FrameF32)))
    # Three movers' centres take 36 bytes: 12 zeros follow in the payload.
    start = len(frame) - 156
    frame[start + 40] = 1
    with pytest.raises(WireError, match=r"frame/f32\.quats_wxyz: expected zeros before it in the payload"):
        decode(frame)


def test_another_wire_version_is_named_before_anything_else_is_looked_at():
    data = bytearray(encode(schema.Hello(1, "future", "", 0, False), wire_version=7))
    data[0:9] = b"greetings"
    with pytest.raises(WireVersionError) as caught:
        decode(data)
    assert (caught.value.theirs, caught.value.ours) == (7, schema.WIRE_VERSION)
    assert f"expected {schema.WIRE_VERSION}, got 7" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"movers": np.zeros((3, 15), np.uint8)}, r"expected \|u1 of shape \(3, 16\), got uint8 of \(3, 15\)"),
        ({"movers": np.zeros((3, 16), np.int8)}, r"expected \|u1 of shape \(3, 16\), got int8"),
        ({"mover_count": 4}, r"expected \|u1 of shape \(4, 16\)"),
        ({"avatar_from_head": (0.0,) * 12}, "rows of a rigid transform"),
        ({"time_s": float("inf")}, "expected a finite number"),
    ],
)
def test_what_could_not_be_decoded_is_not_sent(change: dict[str, Any], text: str):
    with pytest.raises(WireError, match=text):
        encode(dataclasses.replace(by_type(schema.FrameQ16), **change))


def test_values_that_are_not_finite_are_named_with_their_place():
    frame = by_type(schema.FrameF32)
    assert isinstance(frame, schema.FrameF32)
    means = frame.means.copy()
    means[2, 1] = np.nan
    with pytest.raises(WireError, match=r"frame/f32\.means: expected finite values, got nan at \(2, 1\)"):
        encode(dataclasses.replace(frame, means=means))


def test_a_bool_must_be_one():
    with pytest.raises(WireError, match="expected true or false, got 1"):
        encode(dataclasses.replace(by_type(schema.Stats), speaking=1))


def test_another_type_than_asked_for_is_refused():
    with pytest.raises(WireError, match="expected welcome, got hello"):
        decode_as(schema.Welcome, ENCODED[0])


def test_no_topic_is_the_beginning_of_another():
    """Subscriptions match by prefix; the NUL padding keeps them apart even so."""
    fields = [topic_field(t, schema.MAX_SESSION_ID) for t in schema.MESSAGES.values()]
    assert all(len(f) == schema.TOPIC_BYTES for f in fields)
    assert not [(a, b) for a in fields for b in fields if a != b and b.startswith(a)]


@pytest.mark.parametrize("number", range(len(MESSAGES)))
def test_into_a_buffer_goes_what_would_be_encoded_afresh(number: int):
    """Over the remains of anything: every byte of the message is written, and none behind it."""
    expected = ENCODED[number]
    memory = bytearray(b"\xee" * (len(expected) + 9))
    assert encode_into(MESSAGES[number], memory) == len(expected)
    assert bytes(memory) == expected + b"\xee" * 9
    view = memoryview(bytearray(b"\xee" * (len(expected) + 7)))[7:]  # at an odd place
    assert encode_into(MESSAGES[number], view) == len(expected)
    assert bytes(view) == expected


def test_a_message_buffer_is_used_again_by_all_messages():
    memory = MessageBuffer()
    for _ in range(2):
        assert [bytes(memory.encode(m)) for m in MESSAGES] == ENCODED


def test_a_buffer_that_is_too_small_is_refused_untouched():
    hello = schema.Hello(1, "x", "", 0, False)
    memory = bytearray(len(encode(hello)) - 1)
    with pytest.raises(WireError, match=f"hello: expected a buffer of at least {len(memory) + 1} bytes, got"):
        encode_into(hello, memory)
    assert not any(memory)


def test_frames_are_encoded_without_memory_for_their_payload():
    """Of 20,000 movers, 320 kB a q16 frame and 880 kB an f32 frame; measured: 5 kB of header and small change."""
    rng, memory = np.random.default_rng(0), MessageBuffer()
    base = by_type(schema.FrameQ16)
    frames = [
        dataclasses.replace(base, mover_count=20_000, movers=np.zeros((20_000, 16), np.uint8)),
        dataclasses.replace(
            by_type(schema.FrameF32),
            mover_count=20_000,
            means=rng.normal(size=(20_000, 3)).astype(np.float32),
            quats_wxyz=rng.normal(size=(20_000, 4)).astype(np.float32),
            scales=rng.normal(size=(20_000, 3)).astype(np.float32),
            opacities=rng.uniform(size=20_000).astype(np.float32),
        ),
    ]
    for frame in frames * 2:
        memory.encode(frame)
    tracemalloc.start()
    try:
        for frame in frames:
            start, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            memory.encode(frame)
            assert tracemalloc.get_traced_memory()[1] - start < 16_384
    finally:
        tracemalloc.stop()


def test_finite_values_that_add_up_to_infinity_are_let_through():
    frame = by_type(schema.FrameF32)
    means = np.full_like(frame.means, 3e38)  # type: ignore[attr-defined]
    assert np.array_equal(decode(encode(dataclasses.replace(frame, means=means))).means, means)  # type: ignore[attr-defined]
