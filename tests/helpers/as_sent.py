"""Messages as a server sends them, made from a bundle with no server: a welcome, and frames of a speech."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gstalker.bridge import schema
from gstalker.bridge.bundle_welcome import welcome_of_bundle
from gstalker.bridge.client.served_avatar import ServedAvatar
from gstalker.bridge.schema import FrameQ16, Message, Value, Welcome, wire_specs
from gstalker.kernels.quantise import BYTES_PER_MOVER
from gstalker.runtime.audio import load_wav
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.infer import AvatarRuntime
from gstalker.runtime.session import rows_from_pose

_NOTHING = {"uint": 0, "float": 0.0, "bool": False, "text": "", "texts": ()}


def message_of(kind: type[Message], **fields: Any) -> Any:
    """A message with these fields; all others as empty or small as they may be."""
    values = dict(fields)
    specs = wire_specs(kind)
    for name, spec in specs.items():
        if isinstance(spec, Value) and name not in values:
            values[name] = (0.0,) * spec.count if spec.kind == "floats" else _NOTHING[spec.kind]
            if spec.kind in ("uint", "float") and spec.low is not None:
                values[name] = max(values[name], type(values[name])(spec.low))
    for name, spec in specs.items():
        if not isinstance(spec, Value) and name not in values:
            values[name] = np.zeros([values[a] if isinstance(a, str) else a for a in spec.shape], spec.dtype)
    return kind(**values)


def welcome_of(bundle: AvatarBundle) -> Welcome:
    """What a server would say of the avatar."""
    return replace(welcome_of_bundle(bundle), session_id=1, lead_s=0.2)


def frames_of(bundle: AvatarBundle, speech: Path, indices: list[int]) -> list[FrameQ16]:
    """The frames of these numbers while the avatar says that."""
    runtime = AvatarRuntime(bundle)
    codes = runtime.audio_codes(load_wav(speech))
    frames = []
    for index in indices:
        idle = runtime.idle_controls(index)
        movers = np.empty((bundle.manifest.counts.movers, BYTES_PER_MOVER), np.uint8)
        poses = np.empty((2, 4, 4))
        runtime.packed_frame(codes[index], idle.expression, idle.avatar_from_head, movers, poses)
        head, torso = (rows_from_pose(pose) for pose in poses)
        time_s = index / bundle.manifest.frame_rate_hz
        frames.append(FrameQ16(1, index, index, time_s, time_s - 0.2, head, torso, len(movers), movers))
    return frames


def served(bundle: AvatarBundle) -> ServedAvatar:
    """The avatar as a Python client knows it."""
    return ServedAvatar.from_welcome(welcome_of(bundle))


__all__ = ["frames_of", "message_of", "schema", "served", "welcome_of"]
