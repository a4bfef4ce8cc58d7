"""The numbers of the 16-byte movers as HLSL, for the Unity client's shaders: unity_client/Shaders/GsWire.hlsl."""

from __future__ import annotations

from gstalker.kernels import quantise
from gstalker.kernels.frame import PART_HEAD, PART_TORSO

_HEAD = """\
// Written by `python -m gstalker.bridge.generate` from kernels/quantise.py: do not edit.
// What each code means is in docs/protocol.md, "The 16 bytes of a mover".
#ifndef GS_WIRE_INCLUDED
#define GS_WIRE_INCLUDED
"""


def hlsl_definitions(_before: str = "") -> str:
    """unity_client/Shaders/GsWire.hlsl, whole; what was there before does not matter."""
    numbers = (
        ("GS_BYTES_PER_MOVER", f"{quantise.BYTES_PER_MOVER}u", "of a frame's movers"),
        ("GS_POSITION_CODES", f"{quantise.POSITION_CODES}.0", "steps across the box on an axis, and across opacity"),
        ("GS_ROTATION_ZERO_CODE", f"{quantise.ROTATION_ZERO_CODE}.0", "the code of a rotation component that is zero"),
        ("GS_LOG_SCALE_CODES", f"{quantise.LOG_SCALE_CODES}.0", "steps across the range of log-scales"),
        ("GS_PART_HEAD", f"{PART_HEAD}u", "part_ids of the welcome"),
        ("GS_PART_TORSO", f"{PART_TORSO}u", ""),
    )
    lines = [f"#define {name} {value}" + (f"  // {told}" if told else "") for name, value, told in numbers]
    return "\n".join([_HEAD, *lines, "", "#endif", ""])
