"""Live faces over UDP: Live Link Face and VMC, byte by byte, sound and unsound."""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_bundle import made_bundle
from scipy.spatial.transform import Rotation

from gstalker.bridge.inputs.feeds import FaceFeed
from gstalker.bridge.inputs.live_face import NECK_FROM_HEAD_M, FaceState, turned_about_the_neck
from gstalker.bridge.inputs.live_link import WEIGHT_NAMES, listen_for_live_link, parse_live_link
from gstalker.bridge.inputs.osc import MAX_BUNDLE_DEPTH, MAX_MESSAGES, OscReader
from gstalker.bridge.inputs.udp_face import MAX_DATAGRAM_BYTES, UdpFace
from gstalker.bridge.inputs.vmc import VmcParser, listen_for_vmc
from gstalker.bridge.server.controls import FaceControls
from gstalker.runtime.errors import InputError


def live_link(values: list[float] | None = None, *, version: int = 6, name: bytes = b"phone") -> bytes:
    """A datagram as the app sends it; without values as it sends one while it sees no face."""
    device = b"01234567-89AB-CDEF-0123-456789ABCDEF"
    head = struct.pack(">Bi", version, len(device)) + device + struct.pack(">i", len(name)) + name
    time_part = struct.pack(">ifiiB", 1234, 0.25, 60, 1, len(values or []))
    return head + time_part + struct.pack(f">{len(values or [])}f", *(values or []))


def values(**named: float) -> list[float]:
    found = [0.0] * 61
    for name, value in named.items():
        found[WEIGHT_NAMES.index(name)] = value
    return found


def osc(address: str, *arguments: object) -> bytes:
    """An OSC message, written here by hand: not with the package that reads it."""

    def text(value: str) -> bytes:
        data = value.encode() + b"\0"
        return data + b"\0" * (-len(data) % 4)

    tags = "," + "".join({str: "s", float: "f", int: "i"}[type(a)] for a in arguments)
    packed = [
        text(a) if isinstance(a, str) else struct.pack(">f" if isinstance(a, float) else ">i", a) for a in arguments
    ]  # pyright: ignore
    return text(address) + text(tags) + b"".join(packed)


def bundle(*elements: bytes) -> bytes:
    return b"#bundle\0" + bytes(7) + b"\x01" + b"".join(struct.pack(">i", len(e)) + e for e in elements)


# Live Link Face.


def test_a_live_link_datagram_gives_weights_by_name_and_the_heads_turn():
    sent = values(eyeBlinkLeft=0.25, browInnerUp=0.5, tongueOut=1.0)
    sent[52:55] = [0.1, 0.0, 0.0]
    data = live_link(sent)
    assert len(data) == 1 + 4 + 36 + 4 + 5 + 17 + 61 * 4
    state = parse_live_link(data)
    assert state is not None
    assert len(state.weights) == 52
    assert (state.weights["eyeBlinkLeft"], state.weights["browInnerUp"], state.weights["tongueOut"]) == (0.25, 0.5, 1.0)
    assert state.rest_from_head is not None
    turn = Rotation.from_matrix(state.rest_from_head[:3, :3]).as_rotvec()
    np.testing.assert_allclose(turn, [0, 0.1 * np.pi, 0], atol=1e-6)


def test_positive_turns_go_right_up_and_to_the_right_shoulder():
    """The person's own right is the picture's left, x below 0; up is y below 0."""

    def turned(at: int) -> np.ndarray:
        sent = values()
        sent[at] = 0.1
        state = parse_live_link(live_link(sent))
        assert state is not None
        assert state.rest_from_head is not None
        return state.rest_from_head[:3, :3]

    looking, top = np.array([0, 0, -1]), np.array([0, -1, 0])
    assert (turned(52) @ looking)[0] < -0.2
    assert (turned(53) @ looking)[1] < -0.2
    assert (turned(54) @ top)[0] < -0.2


def test_the_head_turns_about_its_neck_and_not_about_its_middle():
    pose = turned_about_the_neck(Rotation.from_rotvec([0.3, -0.2, 0.1]).as_matrix())
    np.testing.assert_allclose(pose[:3, :3] @ NECK_FROM_HEAD_M + pose[:3, 3], NECK_FROM_HEAD_M, atol=1e-12)


def test_a_phone_that_sees_no_face_sends_nothing_to_move():
    assert parse_live_link(live_link()) is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "expected version 6 of Live Link Face, got nothing"),
        (live_link(values(), version=5), "expected version 6 of Live Link Face, got 5"),
        (live_link(values())[:3], "device id: expected its length"),
        (b"\x06" + struct.pack(">i", -1) + bytes(80), "device id: expected 1 to 255 bytes, got -1"),
        (b"\x06" + struct.pack(">i", 2**31 - 1) + bytes(80), "device id: expected 1 to 255 bytes"),
        (live_link(values(), name=b""), "subject name: expected 1 to 255 bytes, got 0"),
        (live_link(values(), name=b"\xff\xfe"), "codec can't decode"),
        (live_link(values())[:55], "expected a frame time and a count"),
        (live_link([0.0] * 52), "expected 61 values and no more, got 52"),
        (live_link(values())[:-1], "expected 61 values and no more, got 61 in 243 bytes"),
        (live_link(values()) + b"\0", "expected 61 values and no more"),
        (live_link(values(jawOpen=float("nan"))), "expected weights of 0 to 1"),
        (live_link(values(jawOpen=9.0)), "expected weights of 0 to 1"),
        (live_link([0.0] * 60 + [2.0]), "expected turns of -1 to 1"),
        (live_link(values()).replace(struct.pack(">ii", 60, 1), struct.pack(">ii", 60, 0)), "a frame rate above 0"),
    ],
)
def test_a_live_link_datagram_that_is_not_exact_is_refused(data: bytes, text: str):
    with pytest.raises(ValueError, match=text):
        parse_live_link(data)


@given(st.binary(max_size=400), st.lists(st.tuples(st.integers(0, 310), st.integers(0, 255)), max_size=5))
@settings(max_examples=200)
def test_whatever_comes_a_live_link_parser_says_a_state_none_or_a_value_error(noise: bytes, changes: list):
    changed = bytearray(live_link(values(jawOpen=0.5)))
    for at, byte in changes:
        changed[min(at, len(changed) - 1)] = byte
    for data in (noise, bytes(changed)):
        try:
            state = parse_live_link(data)
        except ValueError:
            continue
        assert state is None or all(0 <= w <= 1 for w in state.weights.values())


# VMC.


def test_vmc_values_are_collected_until_they_are_applied():
    parser = VmcParser()
    assert parser.parse(osc("/VMC/Ext/Blend/Val", "BrowInnerUp", 0.5)) is None
    assert parser.parse(osc("/VMC/Ext/Blend/Val", "Blink", 0.25)) is None
    assert parser.parse(osc("/VMC/Ext/Blend/Val", "Blink_R", 1.5)) is None
    assert parser.parse(osc("/VMC/Ext/Blend/Val", "Joy", 1.0)) is None
    assert parser.parse(osc("/VMC/Ext/OK", 1)) is None
    state = parser.parse(osc("/VMC/Ext/Blend/Apply"))
    assert state is not None
    assert state.weights == {"browInnerUp": 0.5, "eyeBlinkLeft": 0.25, "eyeBlinkRight": 1.0}
    assert state.rest_from_head is None


def test_a_vmc_bundle_moves_face_and_head_at_once_and_the_neck_is_added():
    quarter = np.sin(0.1), np.cos(0.1)
    state = VmcParser().parse(
        bundle(
            osc("/VMC/Ext/Bone/Pos", "Neck", 0.0, 0.0, 0.0, 0.0, float(quarter[0]), 0.0, float(quarter[1])),
            osc("/VMC/Ext/Bone/Pos", "Hips", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
            bundle(osc("/VMC/Ext/Bone/Pos", "Head", 0.0, 1.5, 0.0, 0.0, float(quarter[0]), 0.0, float(quarter[1]))),
            osc("/VMC/Ext/Blend/Val", "jawOpen", 1),
            osc("/VMC/Ext/Blend/Apply"),
        )
    )
    assert state is not None
    assert state.weights == {"jawOpen": 1.0}
    assert state.rest_from_head is not None
    np.testing.assert_allclose(Rotation.from_matrix(state.rest_from_head[:3, :3]).as_rotvec(), [0, 0.4, 0], atol=1e-6)


def test_a_figure_that_turns_to_its_right_in_unity_turns_to_its_right_here():
    """In Unity (y up, left-handed, facing z) a positive turn about y takes z to x: to its right, our picture left."""
    head = osc("/VMC/Ext/Bone/Pos", "Head", 0.0, 0.0, 0.0, 0.0, 0.1, 0.0, 0.995)
    state = VmcParser().parse(head)
    assert state is not None
    assert state.rest_from_head is not None
    looking = state.rest_from_head[:3, :3] @ [0, 0, -1]
    assert looking[0] < -0.1


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "begins with /"),
        (b"hello   ", "begins with /"),
        (b"/abc", "whole OSC message"),
        (osc("/VMC/Ext/Blend/Val", "A", 0.5)[:-4], "whole OSC message|values"),
        (osc("/VMC/Ext/Blend/Val", "A", 0.5) + bytes(4), "end with its values"),
        (osc("/x", 1).replace(b",i", b",b"), "of the types i, h, f"),
        (osc("/x", 1).replace(b",i", b"ii"), "begin with a comma"),
        (bundle(osc("/x", 1))[:12], "the packet ends"),
        (bundle(osc("/x", 1))[:-4], "expected an OSC element"),
        (bundle(b""), "expected an OSC element"),
        (osc("/VMC/Ext/Blend/Val", 0.5, "A"), "Blend/Val: expected a name and a number"),
        (osc("/VMC/Ext/Blend/Val", "A", float("nan")), "Blend/Val: expected a name and a number"),
        (osc("/VMC/Ext/Bone/Pos", "Head", 0.0), "Bone/Pos: expected a name and seven numbers"),
        (osc("/VMC/Ext/Bone/Pos", "Head", *[0.0] * 7), "expected a unit quaternion"),
    ],
)
def test_an_osc_packet_that_is_not_sound_is_refused(data: bytes, text: str):
    with pytest.raises(ValueError, match=text):
        VmcParser().parse(data)


def test_bundles_are_bounded_in_depth_and_number():
    nested = osc("/x", 1)
    for _ in range(MAX_BUNDLE_DEPTH):
        nested = bundle(nested)
    assert len(OscReader().messages(nested)) == 1
    with pytest.raises(ValueError, match="nested at most"):
        OscReader().messages(bundle(nested))
    with pytest.raises(ValueError, match=f"at most {MAX_MESSAGES} OSC messages"):
        OscReader().messages(bundle(*[osc("/x")] * (MAX_MESSAGES + 1)))


@given(st.binary(max_size=200), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=5))
@settings(max_examples=300)
def test_whatever_comes_a_vmc_parser_says_a_state_none_or_a_value_error(noise: bytes, changes: list):
    sound = bundle(
        osc("/VMC/Ext/Blend/Val", "jawOpen", 0.5),
        osc("/VMC/Ext/Bone/Pos", "Head", 0.0, 0.0, 0.0, 0.0, 0.1, 0.0, 0.995),
        osc("/VMC/Ext/Blend/Apply"),
    )
    changed = bytearray(sound)
    for at, byte in changes:
        changed[min(at, len(changed) - 1)] = byte
    parser = VmcParser()
    for data in (noise, bytes(changed), noise + sound):
        try:
            state = parser.parse(data)
        except ValueError:
            continue
        assert state is None or all(0 <= w <= 1 for w in state.weights.values())


def test_without_python_osc_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pythonosc.parsing", None)
    monkeypatch.setitem(sys.modules, "pythonosc", None)
    with pytest.raises(InputError, match=r"pip install 'gstalker\[osc\]'"):
        listen_for_vmc(port=0)


# The port.


@pytest.fixture
def port() -> Iterator[UdpFace]:
    listening = listen_for_live_link(port=0)
    yield listening
    listening.close()


def eventually(true: Callable[[], bool]) -> bool:
    """Whether something becomes true within 10 s: a bound for a loaded machine, usually it takes milliseconds."""
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.005)
    return true()


def send(port: UdpFace, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in datagrams:
            sender.sendto(data, (port.host, port.port))


def test_the_newest_state_wins_and_is_given_once(port: UdpFace):
    assert port.status.endswith("nothing received yet")
    send(port, live_link(values(jawOpen=0.25)), live_link(values(jawOpen=0.75)))
    assert eventually(lambda: port.taken == 2)
    state = port.read()
    assert state is not None
    assert state.weights["jawOpen"] == 0.75
    assert port.read() is None
    assert port.status == f"Live Link Face at 127.0.0.1:{port.port}: receiving"


def test_unsound_and_overlong_datagrams_are_counted_and_said(port: UdpFace):
    send(port, b"hello", live_link(values()) + bytes(MAX_DATAGRAM_BYTES), live_link(values(jawOpen=0.5)))
    assert eventually(lambda: port.taken == 1)
    assert port.refused == 2
    assert "2 datagrams refused, last:" in port.status


def test_another_sender_than_the_named_one_is_dropped():
    port = listen_for_live_link(port=0, sender="127.0.0.2")
    try:
        send(port, live_link(values()))
        assert eventually(lambda: port.strangers == 1)
        assert port.read() is None
        assert "1 from other senders dropped" in port.status
    finally:
        port.close()


def test_a_tracker_that_falls_silent_is_said():
    clock = [100.0]
    port = UdpFace("face", "127.0.0.1", 0, parse_live_link, steady=lambda: clock[0])
    try:
        send(port, live_link(values()))
        assert eventually(lambda: port.taken == 1)
        clock[0] += 7.0
        assert port.status.endswith("silent for 7 s")
    finally:
        port.close()


@pytest.mark.parametrize(
    ("host", "sender", "text"),
    [
        ("0.0.0.0", None, "expected the sender's IP address with a host that other machines reach"),
        ("localhost", None, "host: expected an IP address like 127.0.0.1, got 'localhost'"),
        ("127.0.0.1", "phone", "sender: expected an IP address"),
    ],
)
def test_an_open_door_is_refused(host: str, sender: str | None, text: str):
    with pytest.raises(InputError, match=text):
        listen_for_live_link(host, 0, sender)


def test_a_port_in_use_is_told(port: UdpFace):
    with pytest.raises(InputError, match="expected a free UDP port"):
        listen_for_live_link(port=port.port)


def test_a_flood_is_read_no_faster_than_the_limit():
    """2000 datagrams at once: 400 a second are read, the rest waits in a small buffer and is lost."""
    count = [0]

    def parse(data: bytes) -> FaceState | None:
        count[0] += 1

    port = UdpFace("face", "127.0.0.1", 0, parse)
    try:
        began = time.monotonic()
        send(port, *[b"x"] * 2000)
        assert eventually(lambda: count[0] >= 400)
        time.sleep(0.2)
        assert count[0] <= 400 * (1 + int(time.monotonic() - began + 1))
    finally:
        port.close()


def test_a_face_from_the_wire_moves_the_avatar(port: UdpFace):
    made = made_bundle()
    face = FaceControls(made.manifest, made.idle, 0)
    feed = FaceFeed(port)
    send(port, live_link(values(browInnerUp=0.7)))
    assert eventually(lambda: port.taken == 1)
    for frame in range(100, 103):
        feed.pump(face, frame)
    names = [c.name for c in made.manifest.controls]
    assert face.at(110).expression[names.index("browInnerUp")] == pytest.approx(0.7)
    assert feed.status == port.status


class _Tracker:
    """Gives one head pose after the other."""

    def __init__(self, *turns_rad: float) -> None:
        self.status, self._turns_rad = "tracker", list(turns_rad)

    def read(self) -> FaceState:
        rest_from_head = np.eye(4)
        rest_from_head[:3, :3] = Rotation.from_rotvec([0.0, self._turns_rad.pop(0), 0.0]).as_matrix()
        return FaceState({"browInnerUp": 0.0}, rest_from_head)

    def close(self) -> None:
        """Nothing is open."""


def test_a_tracked_head_turned_beyond_the_trained_range_is_said_while_it_lasts():
    made = made_bundle()
    face, feed = FaceControls(made.manifest, made.idle, 0), FaceFeed(_Tracker(1.0, 0.0))
    feed.pump(face, 100)
    assert feed.status.startswith("tracker; head limited to what the avatar was trained on: rotation y")
    feed.pump(face, 101)
    assert feed.status == "tracker"
