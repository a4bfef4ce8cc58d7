"""Damaged recorded sessions and key files."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

from fuzz.mutation import damaged_tree, mutated
from helpers.made_session import write_made_session

from gstalker.bridge.keys import new_key_pair, read_allowed, read_key_pair, read_public_key, write_key_pair
from gstalker.runtime.errors import InputError
from gstalker.runtime.session import SessionReader


class Reading:
    """`SessionReader` on a damaged session, and all that it offers: every frame, and the sound."""

    name = "sessions"
    refusals: tuple[type[Exception], ...] = (InputError,)
    most_s = 5.0

    def __init__(self, folder: Path) -> None:
        sound = folder / "sound"
        write_made_session(sound)
        self._path = folder / "session"
        self._files = {p.name: p.read_bytes() for p in sound.iterdir() if p.is_file()}
        self._others = tuple(self._files.values())

    def make(self, rng: random.Random) -> dict[str, bytes]:
        files = dict(self._files)
        for _ in range(rng.choice((1, 1, 2, 3))):
            name = rng.choice(list(files))
            if rng.random() < 0.05:
                del files[name]
                continue
            if name.endswith((".json", ".jsonl")) and rng.random() < 0.6:
                files[name] = _damaged_lines(rng, files[name], whole=name.endswith(".json"))
            else:
                files[name] = mutated(rng, files[name], self._others)
        return files

    def run(self, case: dict[str, bytes]) -> str:
        if self._path.exists():
            shutil.rmtree(self._path)
        self._path.mkdir()
        for name, data in case.items():
            (self._path / name).write_bytes(data)
        reader = SessionReader(self._path)
        for payload in ("q16", "f32"):
            for entry in reader.frames(payload)[:3]:
                try:
                    reader.read_frame(entry)
                except ValueError:  # codes of no quaternion: the drawing part says so
                    return "read in part"
        reader.samples()
        return "taken"

    def most_bytes(self, case: dict[str, bytes]) -> int:
        return 2_000_000 + 30 * sum(map(len, case.values()))


class Keys:
    """Damaged key files."""

    name = "keys"
    refusals: tuple[type[Exception], ...] = (InputError,)
    most_s = 1.0

    def __init__(self, folder: Path) -> None:
        self._public, self._secret = write_key_pair(new_key_pair("fuzz"), folder / "keys")
        self._samples = (self._public.read_bytes(), self._secret.read_bytes())

    def make(self, rng: random.Random) -> bytes:
        data = rng.choice(self._samples)
        if rng.random() < 0.5:
            return json.dumps(damaged_tree(rng, json.loads(data))).encode()
        return mutated(rng, data, self._samples)

    def run(self, case: bytes) -> str:
        taken = 0
        for path, read in ((self._public, read_public_key), (self._secret, read_key_pair)):
            path.write_bytes(case)
            try:
                read(path)
                taken += 1
            except InputError:
                continue
        try:
            read_allowed([self._public.parent])
        except InputError:
            taken += 0
        return "taken" if taken else "refused"

    def most_bytes(self, case: bytes) -> int:
        return 2_000_000


def _damaged_lines(rng: random.Random, data: bytes, *, whole: bool) -> bytes:
    """JSON, or one line of JSON lines, with one place changed."""
    try:
        if whole:
            return json.dumps(damaged_tree(rng, json.loads(data))).encode()
        lines = data.splitlines()
        place = rng.randrange(len(lines)) if lines else 0
        if lines:
            lines[place] = json.dumps(damaged_tree(rng, json.loads(lines[place]))).encode()
        return b"\n".join(lines) + b"\n"
    except (ValueError, RecursionError):  # damaged before
        return data
