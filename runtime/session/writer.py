"""Writes a session while it is received."""

from __future__ import annotations

import dataclasses
import json
import wave
from pathlib import Path
from typing import TextIO

import numpy as np
from safetensors.numpy import save_file

from gstalker.kernels.gaussians import Gaussians
from gstalker.runtime.errors import InputError
from gstalker.runtime.session.format import (
    F32_COLUMNS,
    PAYLOAD_BYTES_PER_MOVER,
    PAYLOADS,
    AudioEntry,
    FrameEntry,
    SessionEnd,
    SessionInfo,
)

LONGEST_HOLE_S = 600  # a hole in the sound is filled with zeros up to here, so that no message fills the disk


def holes(numbers: list[int]) -> tuple[int, ...]:
    """What is missing between the smallest and the largest of some numbers."""
    present = set(numbers)
    return tuple(n for n in range(min(present), max(present)) if n not in present) if present else ()


class SessionWriter:
    """Writes a session as it is received. Call `close` at the end; without it the session stays readable."""

    def __init__(
        self, folder: Path, info: SessionInfo, canonical: Gaussians, part_ids: np.ndarray, plate: np.ndarray
    ) -> None:
        """Create the folder.

        Args:
            folder: must not exist, or be empty.
            canonical: N Gaussians in part space, movers first; part_ids: (N,) uint8.
            plate: (H, W, 3) uint8 backdrop.

        Raises:
            InputError: the folder holds something already.
        """
        self.folder = Path(folder)
        require_empty(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.info = info
        arrays = {name: getattr(canonical, name) for name in F32_COLUMNS} | {"sh_coeffs": canonical.sh_coeffs}
        arrays = {name: np.ascontiguousarray(a, np.float32) for name, a in arrays.items()}
        arrays |= {"part_ids": np.ascontiguousarray(part_ids, np.uint8), "plate": np.ascontiguousarray(plate)}
        save_file(arrays, self.folder / "canonical.safetensors")
        self._data = {p: (self.folder / f"frames_{p}.bin").open("wb") for p in PAYLOADS}
        self._frames = (self.folder / "frames.jsonl").open("w", encoding="utf-8")
        self._sounds = (self.folder / "audio.jsonl").open("w", encoding="utf-8")
        self._sound_file = (self.folder / "audio.wav").open("wb")
        self._wave: wave.Wave_write | None = None
        self._audio_start_s = 0.0
        self._samples = 0
        self._indices: dict[str, list[int]] = {p: [] for p in PAYLOADS}
        self._sequences: list[int] = []
        _write_json(self.folder / "session.json", info)

    def frame_count(self, payload: str = "q16") -> int:
        return len(self._indices[payload])

    def add_frame(self, entry: FrameEntry, data: bytes | memoryview) -> None:
        """Append one frame; the entry's offset is filled in here.

        Args:
            data: for q16 the 16 bytes of every mover; for f32 means, quats_wxyz, scales and opacities one after
                the other, little-endian float32.

        Raises:
            ValueError: the data is of another size, or the frame does not come after the one before.
        """
        indices, expected = self._indices[entry.payload], PAYLOAD_BYTES_PER_MOVER[entry.payload] * self.info.mover_count
        if len(data) != expected:
            raise ValueError(f"frame {entry.index}: expected {expected} bytes of {entry.payload}, got {len(data)}.")
        if indices and entry.index <= indices[-1]:
            raise ValueError(f"frame {entry.index}: expected an index above {indices[-1]}, the frame before it.")
        entry = dataclasses.replace(entry, offset=expected * len(indices))
        file = self._data[entry.payload]
        file.write(data)
        file.flush()
        _append_line(self._frames, entry)
        indices.append(entry.index)

    def add_audio(self, entry: AudioEntry, pcm: np.ndarray) -> None:
        """Append one piece of sound at the place its time gives; entry.first_sample is filled in here.

        Args:
            pcm: (entry.sample_count,) int16 mono.

        Raises:
            ValueError: it overlaps what came before, or leaves a hole of more than ten minutes.
        """
        if self._wave is None:
            self._wave = wave.open(self._sound_file, "wb")  # noqa: SIM115  # closed in close()
            self._wave.setnchannels(1)
            self._wave.setsampwidth(2)
            self._wave.setframerate(self.info.audio_rate_hz)
            self._audio_start_s = entry.time_s
        first = round((entry.time_s - self._audio_start_s) * self.info.audio_rate_hz)
        if not 0 <= first - self._samples <= LONGEST_HOLE_S * self.info.audio_rate_hz:
            raise ValueError(
                f"sound {entry.sequence}: expected to start within {LONGEST_HOLE_S} s after sample {self._samples}, "
                f"where the sound before it ends, got sample {first}."
            )
        zeros = np.zeros(first - self._samples, "<i2")
        self._wave.writeframes(zeros.tobytes() + np.ascontiguousarray(pcm, "<i2").tobytes())
        self._sound_file.flush()
        self._samples = first + len(pcm)
        _append_line(self._sounds, dataclasses.replace(entry, first_sample=first, sample_count=len(pcm)))
        self._sequences.append(entry.sequence)

    def leave_out_audio(self, sequence: int) -> None:
        """A piece of sound came, but was taken back by the server: nothing of it is kept, and it is not missing."""
        self._sequences.append(sequence)

    def close(self, reason: str, *, complete: bool) -> SessionEnd:
        """Close the files and say how the recording ended."""
        if self._wave is not None:
            self._wave.close()
        for file in (*self._data.values(), self._frames, self._sounds, self._sound_file):
            file.close()
        if self._wave is None:
            (self.folder / "audio.wav").unlink()  # nothing was heard: no file, rather than one that nobody can open
        missing = holes(self._indices["q16"]), holes(self._sequences)
        end = SessionEnd(reason, complete, *missing)
        _write_json(self.folder / "end.json", end)
        return end


def require_empty(folder: Path) -> None:
    """Raises InputError where a recording would mix with other files."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder}: expected a new or empty folder, it holds files. Give another; "
            "--overwrite replaces only sessions."
        )


def _append_line(file: TextIO, entry: FrameEntry | AudioEntry) -> None:
    file.write(json.dumps(dataclasses.asdict(entry)) + "\n")
    file.flush()


def _write_json(path: Path, value: SessionInfo | SessionEnd) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(dataclasses.asdict(value), indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
