"""The VMC protocol (OSC over UDP), which VTuber programs send: blend shapes and the head's turn.

Taken are three addresses; all others are let pass:

    /VMC/Ext/Blend/Val    name, value     an ARKit name in any case, or VRM's Blink, Blink_L, Blink_R
    /VMC/Ext/Blend/Apply                  the values since the last one are complete
    /VMC/Ext/Bone/Pos     name, px py pz, qx qy qz qw     the bones Head and Neck, local, in Unity's axes

Source: the specification at protocol.vmc.info.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

from gstalker.bridge.inputs.live_face import FaceState, turned_about_the_neck
from gstalker.bridge.inputs.live_link import WEIGHT_NAMES
from gstalker.bridge.inputs.osc import OscReader, OscValue
from gstalker.bridge.inputs.udp_face import UdpFace

PORT = 39539
_ARKIT = {name.lower(): (name,) for name in WEIGHT_NAMES}
_VRM = {
    "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "blink_l": ("eyeBlinkLeft",),
    "blink_r": ("eyeBlinkRight",),
}
_TARGETS = {**_VRM, **_ARKIT}


class VmcParser:
    """Collects what comes message by message into states; one for each sender."""

    def __init__(self) -> None:
        """Begin with nothing.

        Raises:
            InputError: python-osc is not installed.
        """
        self._reader = OscReader()
        self._weights: dict[str, float] = {}
        self._bones: dict[str, Rotation] = {}

    def parse(self, data: bytes) -> FaceState | None:
        """A datagram, a message or a bundle of them; a state where it completes one.

        Raises:
            ValueError: not sound OSC, or a message of these addresses with other arguments.
        """
        complete = False
        for address, values in self._reader.messages(data):
            if address == "/VMC/Ext/Blend/Val":
                self._blend(values)
            elif address == "/VMC/Ext/Blend/Apply":
                complete = True
            elif address == "/VMC/Ext/Bone/Pos":
                complete |= self._bone(values)
        return self._state() if complete else None

    def _blend(self, values: tuple[OscValue, ...]) -> None:
        if len(values) != 2 or not isinstance(values[0], str) or not _numbers(values[1:]):
            raise ValueError("/VMC/Ext/Blend/Val: expected a name and a number")
        weight = min(max(float(values[1]), 0.0), 1.0)  # pyright: ignore[reportArgumentType]
        for name in _TARGETS.get(values[0].lower(), ()):
            self._weights[name] = weight

    def _bone(self, values: tuple[OscValue, ...]) -> bool:
        if len(values) != 8 or not isinstance(values[0], str) or not _numbers(values[1:]):
            raise ValueError("/VMC/Ext/Bone/Pos: expected a name and seven numbers")
        if values[0] not in ("Head", "Neck"):
            return False
        quat_xyzw = np.array(values[4:], np.float64)
        if not 0.5 <= float(np.linalg.norm(quat_xyzw)) <= 2.0:
            raise ValueError("/VMC/Ext/Bone/Pos: expected a unit quaternion")
        # Unity: x to the figure's right, y up, z ahead of it. Avatar space: x to its left, y down, z behind it. All
        # three are turned round, so a turn has the same matrix in both.
        self._bones[values[0]] = Rotation.from_quat(quat_xyzw)
        return values[0] == "Head"

    def _state(self) -> FaceState:
        head = self._bones.get("Head")
        turn = None
        if head is not None:
            turn = turned_about_the_neck((self._bones.get("Neck", Rotation.identity()) * head).as_matrix())
        return FaceState(dict(self._weights), turn)


def listen_for_vmc(host: str = "127.0.0.1", port: int = PORT, sender: str | None = None) -> UdpFace:
    """Listen for a VTuber program; its address is needed where `host` is not this machine alone.

    Raises:
        InputError: python-osc is not installed, or see `UdpFace`.
    """
    return UdpFace("VMC", host, port, VmcParser().parse, sender=sender)


def _numbers(values: tuple[OscValue, ...]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
