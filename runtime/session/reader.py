"""Reads a session back, whole or cut short."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from gstalker.kernels.frame import Frame
from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.quantise import BYTES_PER_MOVER, unpack_movers
from gstalker.runtime.errors import InputError
from gstalker.runtime.session.format import (
    F32_COLUMNS,
    FORMAT_VERSION,
    PAYLOAD_BYTES_PER_MOVER,
    PAYLOADS,
    POSE_NUMBERS,
    AudioEntry,
    FrameEntry,
    SessionEnd,
    SessionInfo,
    pose_from_rows,
)
from gstalker.runtime.strict_json import parse_json, read_as


class SessionReader:
    """A session opened for reading; nothing large is loaded before it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Read everything but the payloads.

        Raises:
            InputError: no session there, of another format version, damaged, or without a single frame.
        """
        self.folder = Path(folder)
        self.info = _read_info(self.folder)
        self.canonical, self.part_ids, self.plate = self._read_canonical()
        try:
            self.camera = self.info.camera.camera()
            self.box = self.info.box.box()
        except ValueError as error:
            raise InputError(f"{self.folder / 'session.json'}: {error} Record it again.") from error
        end_path = self.folder / "end.json"
        self.end: SessionEnd | None = None  # None: the recorder was killed
        if end_path.is_file():
            self.end = read_as(SessionEnd, parse_json(end_path.read_bytes(), str(end_path), "a session"), str(end_path))
        self.audio = _read_lines(AudioEntry, self.folder / "audio.jsonl")
        entries = _read_lines(FrameEntry, self.folder / "frames.jsonl")
        for number, entry in enumerate(entries, start=1):
            if (
                entry.payload not in PAYLOADS
                or len(entry.avatar_from_head) != POSE_NUMBERS
                or len(entry.avatar_from_torso) != POSE_NUMBERS
            ):
                raise InputError(
                    f"{self.folder / 'frames.jsonl'}:{number}: expected a payload of {', '.join(PAYLOADS)} and poses "
                    f"of {POSE_NUMBERS} numbers, got {entry.payload!r}. Record it again."
                )
        self._entries = {p: self._whole_frames(p, entries) for p in PAYLOADS}
        if not self._entries["q16"]:
            raise InputError(f"{self.folder}: expected a session with frames, it holds none. Record it again.")

    def frames(self, payload: str = "q16") -> list[FrameEntry]:
        """The frames of one payload in order of index."""
        return self._entries[payload]

    def read_frame(self, entry: FrameEntry) -> Frame:
        """The movers of a frame in part space and the poses, decoded from the bytes as sent."""
        size = PAYLOAD_BYTES_PER_MOVER[entry.payload] * self.info.mover_count
        with (self.folder / f"frames_{entry.payload}.bin").open("rb") as file:
            file.seek(entry.offset)
            data = np.frombuffer(file.read(size), np.uint8)
        if entry.payload == "q16":
            means, quats_wxyz, scales, opacities = unpack_movers(data.reshape(-1, BYTES_PER_MOVER), self.box)
        else:
            means, quats_wxyz, scales, opacities = _split_f32(data.view("<f4"), self.info.mover_count)
        return Frame(
            index=entry.index,
            time_s=entry.time_s,
            means=means,
            quats_wxyz=quats_wxyz,
            scales=scales,
            opacities=opacities,
            avatar_from_head=pose_from_rows(entry.avatar_from_head),
            avatar_from_torso=pose_from_rows(entry.avatar_from_torso),
        )

    def samples(self) -> np.ndarray:
        """(S,) int16 sound as sent, sample 0 at the presentation time of the first piece; empty without sound.

        Raises:
            InputError: the sound cannot be read.
        """
        path = self.folder / "audio.wav"
        if not self.audio:
            return np.zeros(0, np.int16)
        try:
            with wave.open(str(path), "rb") as file:
                # Never more than the file can hold, whatever its header says.
                count = min(file.getnframes(), path.stat().st_size // 2)
                return np.frombuffer(file.readframes(count), "<i2")
        except (OSError, EOFError, wave.Error, ValueError, RuntimeError) as error:  # all that wave raises
            raise InputError(f"{path}: expected the sound of a session, could not read it ({error}).") from error

    def _whole_frames(self, payload: str, entries: list[FrameEntry]) -> list[FrameEntry]:
        """The entries whose bytes are all there, checked to be in order."""
        path = self.folder / f"frames_{payload}.bin"
        size = PAYLOAD_BYTES_PER_MOVER[payload] * self.info.mover_count
        available = path.stat().st_size if path.is_file() else 0
        mine = [e for e in entries if e.payload == payload and e.offset + size <= available]
        for place, entry in enumerate(mine):
            if entry.offset != place * size or (place and entry.index <= mine[place - 1].index):
                raise InputError(
                    f"{self.folder / 'frames.jsonl'}: expected {payload} frames in order of index and without holes "
                    f"in {path.name}, got frame {entry.index} at byte {entry.offset} in place {place}. "
                    "Record it again."
                )
        return mine

    def _read_canonical(self) -> tuple[Gaussians, np.ndarray, np.ndarray]:
        path = self.folder / "canonical.safetensors"
        try:
            arrays = load_file(path)
            part_ids, plate = arrays.pop("part_ids"), arrays.pop("plate")
            canonical = Gaussians(**arrays)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: expected a session's Gaussians, could not read them ({error}).") from error
        camera, count = self.info.camera, self.info.gaussian_count
        if (
            len(canonical) != count
            or part_ids.shape != (count,)
            or plate.shape != (camera.height_px, camera.width_px, 3)
            or not 0 <= self.info.mover_count <= count
        ):
            raise InputError(
                f"{path}: expected {count} Gaussians with {self.info.mover_count} movers and a plate of "
                f"{camera.width_px} x {camera.height_px}, got {len(canonical)}, part ids {part_ids.shape} and a "
                f"plate {plate.shape}. Record it again."
            )
        return canonical, part_ids, plate


def _split_f32(values: np.ndarray, mover_count: int) -> list[np.ndarray]:
    """means, quats_wxyz, scales, opacities, stored one after the other."""
    ends = np.cumsum([width * mover_count for width in F32_COLUMNS.values()])
    means, quats_wxyz, scales, opacities = np.split(values, ends[:-1])
    return [means.reshape(-1, 3), quats_wxyz.reshape(-1, 4), scales.reshape(-1, 3), opacities]


def _read_info(folder: Path) -> SessionInfo:
    path = folder / "session.json"
    if not path.is_file():
        raise InputError(f"{folder}: expected a session with session.json, found none. Run `gstalker record` first.")
    fields = parse_json(path.read_bytes(), str(path), "a session")
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: expected session format {FORMAT_VERSION}, got {version!r}. Record it again with this version."
        )
    return read_as(SessionInfo, fields, str(path))


Entry = TypeVar("Entry", FrameEntry, AudioEntry)


def _read_lines(kind: type[Entry], path: Path) -> list[Entry]:
    """The lines of a file; a last one without its line end was being written when the recorder was killed."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    where = [f"{path}:{number}" for number in range(1, len(lines) + 1)]
    return [read_as(kind, parse_json(line, at, "a session's line"), at) for line, at in zip(lines, where, strict=True)]
