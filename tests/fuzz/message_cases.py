"""Damaged messages through the codec, and through the server's handling of requests without a socket."""

from __future__ import annotations

import functools
import random
import struct
from pathlib import Path
from typing import Any, cast

import msgpack
import numpy as np
from fuzz.mutation import INTERESTING, damaged_tree, mutated
from made_bundle import made_bundle

from gstalker.bridge import schema
from gstalker.bridge.codec import aligned, decode, encode, topic_field
from gstalker.bridge.errors import WireError
from gstalker.bridge.server.delivery import Subscriptions
from gstalker.bridge.server.loaded_avatar import LoadedAvatar
from gstalker.bridge.server.options import Limits, ServeOptions
from gstalker.bridge.server.requests import Requests
from gstalker.bridge.server.session_table import SessionTable

GOLDEN = Path(__file__).parents[1] / "golden"
GREETS_BY_ITSELF = b"\x04"  # clients below it are greeted for, so that more than greetings is reached
_PREFIX = struct.Struct("<16s4sHHII")


@functools.cache
def golden(*kinds: type[schema.Message]) -> tuple[bytes, ...]:
    """The golden files of these kinds of message, in the order of their names."""
    samples = []
    for path in sorted(GOLDEN.glob(f"*_v{schema.WIRE_VERSION}.bin")):
        data = path.read_bytes()
        if isinstance(decode(data), kinds):
            samples.append(data)
    return tuple(samples)


def damaged_message(rng: random.Random, samples: tuple[bytes, ...]) -> bytes:
    """A message with damage: to its bytes anywhere, to its first 32 bytes, or to its header with lengths that fit."""
    data, kind = rng.choice(samples), rng.random()
    if kind < 0.35:
        return mutated(rng, data, samples)
    if kind < 0.5:
        return _lying_prefix(rng, data)
    return _damaged_header(rng, data, samples)


def _lying_prefix(rng: random.Random, data: bytes) -> bytes:
    topic, magic, version, reserved, header, payload = _PREFIX.unpack_from(data)
    field = rng.randrange(6)
    if field == 0:
        topic = rng.choice((mutated(rng, topic, ()), topic_field(schema.Hello), b"frame/q16@99999"))[:16]
    elif field == 1:
        magic = mutated(rng, magic, ())[:4]
    elif field == 2:
        version = rng.choice(INTERESTING) & 0xFFFF
    elif field == 3:
        reserved = rng.choice(INTERESTING) & 0xFFFF
    elif field == 4:
        header = rng.choice((header + rng.randrange(-20, 20), rng.choice(INTERESTING))) & 0xFFFFFFFF
    else:
        payload = rng.choice((payload + rng.randrange(-20, 20), rng.choice(INTERESTING))) & 0xFFFFFFFF
    return _PREFIX.pack(topic, magic, version, reserved, header, payload) + data[_PREFIX.size :]


def _damaged_header(rng: random.Random, data: bytes, samples: tuple[bytes, ...]) -> bytes:
    topic, magic, version, reserved, header_bytes, _ = _PREFIX.unpack_from(data)
    header = data[_PREFIX.size : _PREFIX.size + header_bytes]
    payload = data[aligned(_PREFIX.size + header_bytes) :]
    if rng.random() < 0.7:
        fields = msgpack.unpackb(header)
        for _ in range(rng.choice((1, 1, 2, 4))):
            fields = damaged_tree(rng, fields)
        try:
            header = _packed(fields)
        except (ValueError, OverflowError):  # nested too deep, or a number that msgpack has no room for
            header = _packed(dict.fromkeys(msgpack.unpackb(header)))
    elif rng.random() < 0.5:
        header = mutated(rng, header, samples)
    else:
        header = rng.choice((b"\x90", b"\x80", b"\x91", b"\xdd\xff\xff\xff\xff", b"\xc7\xff\x01")) * rng.randrange(
            1, 3000
        )
    if rng.random() < 0.3:
        payload = mutated(rng, payload, samples)
    if rng.random() < 0.2:
        topic = topic_field(rng.choice(tuple(schema.MESSAGES.values())), rng.randrange(4))
    prefix = _PREFIX.pack(topic, magic, version, reserved, len(header), len(payload))
    return prefix + header + bytes(aligned(len(prefix) + len(header)) - len(prefix) - len(header)) + payload


def _packed(value: Any) -> bytes:
    return cast(bytes, msgpack.packb(value))


class Decoding:
    """`codec.decode`: what it takes must encode to a message that decodes again."""

    refusals: tuple[type[Exception], ...] = (WireError,)
    most_s = 0.5

    def __init__(self, name: str, *kinds: type[schema.Message]) -> None:
        self.name, self._samples = name, golden(*kinds)

    def make(self, rng: random.Random) -> bytes:
        return damaged_message(rng, self._samples)

    def run(self, case: bytes) -> str:
        message = decode(case)
        decode(encode(message))
        return "taken"

    def most_bytes(self, case: bytes) -> int:
        # A header of 16 kB of the smallest values may make some 2 MB of Python objects; arrays are views. A million
        # cases took 0.4 MB at most.
        return 3_000_000 + 3 * len(case)


class Handling:
    """`Requests.answer`: every damaged request gets a sound answer, and the sessions go on after each."""

    name = "requests"
    refusals: tuple[type[Exception], ...] = ()
    most_s = 2.0

    def __init__(self) -> None:
        self._clock_s = 0.0
        limits = Limits(client_count=4, private_session_count=3, requests_a_second=1e6, speech_capacity_s=5.0)
        avatar = LoadedAvatar(made_bundle(), backend="cpu")
        avatar.warm_up()
        recording = np.random.default_rng(0).normal(scale=0.1, size=16_000).astype(np.float32)
        subscriptions = Subscriptions()
        subscriptions.take(True, b"")
        options = ServeOptions(limits=limits)
        self._table = SessionTable([avatar], recording, options, self._publish, subscriptions, self._steady)
        self._requests = Requests(self._table, options, 5556, steady=self._steady)
        self._samples = golden(schema.Request)
        self._states: list[bytes] = []
        self._speech_id = 0

    def make(self, rng: random.Random) -> tuple[bytes, bytes, float]:
        """Who asks, what, and how much time passes before."""
        who = bytes([rng.choice((1, 1, 2, 2, 2, 3, 4, 5))])
        kind = rng.random()
        if kind < 0.25:
            data = bytes(encode(self._sound_request(rng)))
        elif kind < 0.35 and self._states:
            data = bytes(encode(self._damaged_state(rng)))
        else:
            data = damaged_message(rng, self._samples)
        return who, data, rng.choice((0.0, 0.001, 0.04, 0.04, 0.3))

    def run(self, case: tuple[bytes, bytes, float]) -> str:
        who, data, passes_s = case
        self._clock_s += passes_s
        if self._requests.members.get(who) is None and who < GREETS_BY_ITSELF:
            hello = schema.Hello(1, "fuzz", "", 0, private=who == b"\x02")
            self._requests.answer(who, bytes(encode(hello)))
        answer = decode(self._requests.answer(who, data).data)
        if isinstance(answer, schema.Snapshot) and len(self._states) < 20:
            self._states.append(answer.state.tobytes())
        if isinstance(answer, schema.SpeechOpened):
            self._speech_id = answer.speech_id
        for session in self._table:
            if session.clock is None:
                session.start(play=False)
            for _ in range(3):
                if session.wait_s() <= 0:
                    session.step()
        if passes_s == 0.3:
            self._requests.forget_silent()
        if isinstance(answer, schema.Refusal):
            return answer.code
        return "resumed" if data.startswith(topic_field(schema.Resume)) else "carried out"

    def most_bytes(self, case: tuple[bytes, bytes, float]) -> int:
        return 32_000_000  # features of five seconds of sound, a timeline of a resumed session, a welcome

    def _steady(self) -> float:
        return self._clock_s

    @staticmethod
    def _publish(message: schema.Message) -> None:
        encode(message)

    def _sound_request(self, rng: random.Random) -> schema.Message:
        request: Any = rng.choice(
            (
                schema.Hello(rng.randrange(9), "fuzz", "", rng.choice((0, 0, 1, 2, 3, 7)), rng.random() < 0.5),
                schema.OpenSpeech(1, rng.choice((8000, 16000, 44100, 96000)), rng.choice((1, 2)), rng.random() < 0.3),
                self._pushed(rng),
                schema.CloseSpeech(1, rng.choice((self._speech_id, 2))),
                schema.Play(1),
                schema.Stop(1),
                schema.GetSnapshot(1),
                schema.GetStats(1),
                schema.Ping(1, rng.choice((0.0, 1e300, -5.0))),
                schema.SetRate(1, rng.choice((1, 2, 5))),
                schema.Leave(1),
            )
        )
        return request

    def _pushed(self, rng: random.Random) -> schema.Message:
        count, channels = rng.choice((1, 7, 640, 16000)), rng.choice((1, 2))
        first, speech = rng.choice((0, 0, 0, 640, 16000, 2**53 - 1)), rng.choice((self._speech_id, rng.randrange(6)))
        return schema.PushSpeech(1, speech, first, count, channels, np.full((count, channels), 999, "<i2"))

    def _damaged_state(self, rng: random.Random) -> schema.Message:
        state = rng.choice(self._states)
        if rng.random() < 0.75:
            tree = msgpack.unpackb(state, strict_map_key=False)
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                tree = damaged_tree(rng, tree)
            try:
                state = _packed(tree)
            except (ValueError, OverflowError):
                state = mutated(rng, state, self._states)
        else:
            state = mutated(rng, state, self._states)
        state = state[:200_000] or b"\0"
        return schema.Resume(1, len(state), np.frombuffer(state, np.uint8))
