"""Damaged avatar bundles, as folders and as zips: bytes, manifests, archives that lie, bombs, paths and links."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import stat
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz.mutation import INTERESTING, damaged_tree, mutated
from made_bundle import made_avatar

from gstalker.export.write import bundle_of
from gstalker.runtime.bundle import AvatarBundle, write_bundle
from gstalker.runtime.bundle_manifest import Likeness
from gstalker.runtime.errors import InputError

BOMB_BYTES = 64 << 20
_NAMES = ("../avatar.json", "/etc/passwd", "..\\x", "C:\\x", "canonical.ply/", "golden/../../x", "a" * 300, "\0", "")


@dataclass
class BundleCase:
    """What to put on disk before opening: files of a folder, or one zip."""

    files: dict[str, bytes] | None = None
    zip_bytes: bytes | None = None
    links: dict[str, str] = field(default_factory=dict)  # file of the folder -> where it points instead
    folders: tuple[str, ...] = ()  # files that are folders instead

    @property
    def size(self) -> int:
        return len(self.zip_bytes or b"") + sum(map(len, (self.files or {}).values()))


class Opening:
    """`AvatarBundle.open` on a small bundle that was damaged; what it takes is a bundle with all its parts."""

    name = "bundles"
    refusals: tuple[type[Exception], ...] = (InputError,)
    most_s = 5.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        baked = made_avatar(head_movers=12, torso_movers=4, static=4, golden_rows=1)
        bundle = bundle_of(baked, Likeness(subject="nobody", consent="not needed", licence="Apache-2.0"))
        path = folder / "sound.gsavatar"
        write_bundle(path, bundle, overwrite=True)
        self._files = {str(p.relative_to(path).as_posix()): p.read_bytes() for p in path.rglob("*") if p.is_file()}
        self._others = tuple(self._files.values())
        self._outside = folder / "outside"
        self._outside.write_bytes(self._files["canonical.ply"])

    def make(self, rng: random.Random) -> BundleCase:
        files, kind = dict(self._files), rng.random()
        if kind < 0.12:  # bytes that no longer match their hash
            self._damage_files(rng, files)
        elif kind < 0.55:  # bytes that do: what reads them must not trust them
            self._damage_files(rng, files, among=[n for n in files if n != "avatar.json"])
            files["avatar.json"] = _with_hashes(files)
        elif kind < 0.75:
            manifest = json.loads(files["avatar.json"])
            for _ in range(rng.choice((1, 1, 2))):
                manifest = damaged_tree(rng, manifest)
            files["avatar.json"] = json.dumps(manifest).encode()
        elif kind < 0.8:
            return self._links(rng, files)
        zipped = kind >= 0.8 or rng.random() < 0.3
        return BundleCase(zip_bytes=self._zipped(rng, files, kind)) if zipped else BundleCase(files=files)

    def run(self, case: BundleCase) -> str:
        path = self._write(case)
        bundle = AvatarBundle.open(path)
        assert len(bundle.canonical) == len(bundle.part_ids)
        return "taken"

    def most_bytes(self, case: BundleCase) -> int:
        # Some copies of what is there, pictures and graphs unpacked; a bomb may unpack as far as its own declared size.
        return 80_000_000 + 6 * case.size

    def _write(self, case: BundleCase) -> Path:
        path = self._folder / "case.gsavatar"
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        if case.zip_bytes is not None:
            path.write_bytes(case.zip_bytes)
            return path
        for name, data in (case.files or {}).items():
            place = path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if name in case.links:
                place.symlink_to(case.links[name])
            elif name in case.folders:
                place.mkdir()
            else:
                place.write_bytes(data)
        return path

    def _damage_files(self, rng: random.Random, files: dict[str, bytes], among: list[str] | None = None) -> None:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            name = rng.choice(among or list(files))
            if rng.random() < 0.1 and not among:
                del files[name]
                return
            if name.endswith(".safetensors") and rng.random() < 0.5:
                files[name] = _lying_safetensors(rng, files[name])
            else:
                files[name] = mutated(rng, files[name], self._others)

    def _links(self, rng: random.Random, files: dict[str, bytes]) -> BundleCase:
        name = rng.choice(list(files))
        if os.name != "posix" or rng.random() < 0.3:
            return BundleCase(files=files, folders=(name,))
        target = rng.choice(
            (str(self._outside), "/dev/zero", "/etc/passwd", "/nonexistent", name, ".", "/proc/self/mem")
        )
        return BundleCase(files=files, links={name: target})

    def _zipped(self, rng: random.Random, files: dict[str, bytes], kind: float) -> bytes:
        method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        top = rng.choice(("", "", "made.gsavatar/"))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, data in files.items():
                archive.writestr(zipfile.ZipInfo(top + name), data, method)
            if kind >= 0.8:
                self._odd_entry(rng, archive)
        data = buffer.getvalue()
        if rng.random() < 0.4:
            data = _lying_zip(rng, data)
        return mutated(rng, data, self._others) if rng.random() < 0.4 else data

    @staticmethod
    def _odd_entry(rng: random.Random, archive: zipfile.ZipFile) -> None:
        kind = rng.randrange(5)
        if kind == 0:
            archive.writestr(zipfile.ZipInfo(rng.choice(_NAMES)), b"x")
        elif kind == 1:
            link = zipfile.ZipInfo(rng.choice(("canonical.ply2", "golden/link")))
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "/etc/passwd")
        elif kind == 2 and rng.random() < 0.2:
            archive.writestr(zipfile.ZipInfo("bomb"), bytes(BOMB_BYTES), zipfile.ZIP_DEFLATED)
        elif kind == 3 and rng.random() < 0.05:
            for number in range(5000):
                archive.writestr(zipfile.ZipInfo(f"n{number}"), b"")


def _with_hashes(files: dict[str, bytes]) -> bytes:
    manifest: dict[str, Any] = json.loads(files["avatar.json"])
    for name, entry in manifest["files"].items():
        entry["sha256"], entry["size_bytes"] = hashlib.sha256(files[name]).hexdigest(), len(files[name])
    return json.dumps(manifest).encode()


def _lying_safetensors(rng: random.Random, data: bytes) -> bytes:
    """Its header is JSON with types, shapes and places: damaged there, with a length that fits."""
    try:
        (size,) = struct.unpack_from("<Q", data)
        header = json.dumps(damaged_tree(rng, json.loads(data[8 : 8 + size]))).encode()
    except (ValueError, struct.error):  # damaged before
        return data
    length = rng.choice((len(header), len(header), len(header), rng.choice(INTERESTING)))
    return struct.pack("<Q", length) + header + data[8 + size :]


def _lying_zip(rng: random.Random, data: bytes) -> bytes:
    """Sizes, checksums, methods or flags changed in one of its headers."""
    signature, fields = rng.choice(
        (
            (b"PK\x01\x02", ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (42, 4))),
            (b"PK\x03\x04", ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2))),
            (b"PK\x05\x06", ((8, 2), (10, 2), (12, 4), (16, 4))),
        )
    )
    places = []
    place = data.find(signature)
    while place >= 0:
        places.append(place)
        place = data.find(signature, place + 4)
    if not places:
        return data
    offset, width = rng.choice(fields)
    start = rng.choice(places) + offset
    number = rng.choice(INTERESTING) & (256**width - 1)
    return data[:start] + number.to_bytes(width, "little") + data[start + width :]
