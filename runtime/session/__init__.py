"""A recorded run of a served avatar, on disk. Needs neither torch nor ZeroMQ.

    SESSION/
      session.json            `SessionInfo`
      canonical.safetensors   means, quats_wxyz, scales, opacities, sh_coeffs, part_ids, plate
      frames.jsonl            a `FrameEntry` a line: payload, index, times, poses, where in its file
      frames_q16.bin          16 bytes a mover and frame, as sent (kernels.quantise)
      frames_f32.bin          means, quats_wxyz, scales, opacities as float32, where that was recorded
      audio.jsonl, audio.wav  the sound as sent; sample 0 is the first that came, holes are silence
      end.json                `SessionEnd`, once the recording has ended
      pictures/               frame_000123.png and .json, as a client drew them (captures.py)

The large files only grow, a record's bytes before its line, so what a killed recorder leaves behind can be read
up to its last whole frame.
"""

from gstalker.runtime.session.format import (
    FORMAT_VERSION,
    PICTURES,
    AudioEntry,
    BoxFields,
    CameraFields,
    FrameEntry,
    SessionEnd,
    SessionInfo,
    pose_from_rows,
    rows_from_pose,
)
from gstalker.runtime.session.reader import SessionReader
from gstalker.runtime.session.writer import SessionWriter, holes, require_empty

__all__ = [
    "FORMAT_VERSION",
    "PICTURES",
    "AudioEntry",
    "BoxFields",
    "CameraFields",
    "FrameEntry",
    "SessionEnd",
    "SessionInfo",
    "SessionReader",
    "SessionWriter",
    "holes",
    "pose_from_rows",
    "require_empty",
    "rows_from_pose",
]
