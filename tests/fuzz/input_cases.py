"""Damaged datagrams of face trackers: Live Link Face, and VMC over OSC."""

from __future__ import annotations

import random
import struct

import numpy as np
from fuzz.mutation import mutated

from gstalker.bridge.inputs.live_face import FaceState
from gstalker.bridge.inputs.live_link import VALUE_COUNT, VERSION, parse_live_link
from gstalker.bridge.inputs.udp_face import MAX_DATAGRAM_BYTES
from gstalker.bridge.inputs.vmc import VmcParser


def live_link_datagram(values: tuple[float, ...]) -> bytes:
    """A sound one."""
    device, subject = b"12345678-1234-1234-1234-123456789012", b"phone"
    head = struct.pack(">Bi", VERSION, len(device)) + device + struct.pack(">i", len(subject)) + subject
    return head + struct.pack(f">ifiiB{len(values)}f", 7, 0.5, 60, 1, len(values), *values)


def osc_message(address: str, *values: str | float) -> bytes:
    tags = "," + "".join("s" if isinstance(v, str) else "f" for v in values)
    packed = b"".join(_osc_text(v) if isinstance(v, str) else struct.pack(">f", v) for v in values)
    return _osc_text(address) + _osc_text(tags) + packed


def osc_bundle(*elements: bytes) -> bytes:
    return b"#bundle\0" + bytes(8) + b"".join(struct.pack(">I", len(e)) + e for e in elements)


def _osc_text(text: str) -> bytes:
    data = text.encode() + b"\0"
    return data + bytes(-len(data) % 4)


_BONE = osc_message("/VMC/Ext/Bone/Pos", "Head", 0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 1.0)
_BLENDS = tuple(osc_message("/VMC/Ext/Blend/Val", name, 0.5) for name in ("jawOpen", "Blink_L", "joy"))
_APPLY = osc_message("/VMC/Ext/Blend/Apply")
_LIVE_LINK = (
    live_link_datagram(tuple(i / 100 for i in range(VALUE_COUNT))),
    live_link_datagram(()),
)
_VMC = (
    *(_BONE, *_BLENDS, _APPLY),
    osc_bundle(*_BLENDS, _APPLY),
    osc_bundle(osc_bundle(osc_bundle(_BONE)), _APPLY),
    osc_message("/VMC/Ext/OK", 1.0, 1.0),
)


class Datagrams:
    """Both parsers on one damaged datagram; what they take must be a face within its limits."""

    name = "tracker datagrams"
    refusals: tuple[type[Exception], ...] = ()  # a parser's ValueError is its refusal
    most_s = 0.5

    def __init__(self) -> None:
        self._vmc = VmcParser()

    def make(self, rng: random.Random) -> tuple[bool, bytes]:
        live_link = rng.random() < 0.5
        samples = _LIVE_LINK if live_link else _VMC
        if not live_link and rng.random() < 0.1:
            nested = rng.choice(samples)
            for _ in range(rng.choice((2, 5, 300))):
                nested = osc_bundle(nested)
            return False, nested[:MAX_DATAGRAM_BYTES]
        return live_link, mutated(rng, rng.choice(samples), samples, MAX_DATAGRAM_BYTES)

    def run(self, case: tuple[bool, bytes]) -> str:
        live_link, data = case
        try:
            state = parse_live_link(data) if live_link else self._vmc.parse(data)
        except ValueError:
            return "refused"
        if state is None:
            return "without a face"
        _check(state)
        return "taken"

    def most_bytes(self, case: tuple[bool, bytes]) -> int:
        return 2_000_000


def _check(state: FaceState) -> None:
    assert all(0.0 <= weight <= 1.0 for weight in state.weights.values())
    pose = state.rest_from_head
    assert pose is None or np.isfinite(pose).all()
