"""The bytes of a bundle's files, from a folder or a zip, each checked by size and hash before use."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from gstalker.runtime.bundle_manifest import MAX_MANIFEST_BYTES, BundleManifest, FileEntry, parse_manifest
from gstalker.runtime.errors import InputError

MANIFEST_NAME = "avatar.json"
MAX_BUNDLE_BYTES = 512 << 20
MAX_ZIP_ENTRIES = 4096
# Exactly these are listed in a manifest of format 1. Anything else beside them is never opened: engines and
# file managers leave files of their own in folders.
FILE_NAMES = (
    "canonical.ply",
    "deform.onnx",
    "torso.onnx",
    "audio.onnx",
    "baked.safetensors",
    "golden/input.safetensors",
    "golden/output.safetensors",
    "thumbnail.png",
    "plate.png",
)


def entry_of(data: bytes) -> FileEntry:
    """What the manifest says about a file with these bytes."""
    return FileEntry(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def read_files(path: Path) -> tuple[BundleManifest, bytes, dict[str, bytes]]:
    """Read and check every file of a bundle.

    Args:
        path: a bundle folder, or a zip of one.

    Returns:
        The manifest, the bytes it was read from, and the bytes of each of FILE_NAMES.

    Raises:
        InputError: no bundle, another version, over the size caps, a missing file, or a file whose size or
            hash is not the one in the manifest.
    """
    try:
        if path.is_dir():
            return _read_all(_Folder(path), path)
        if not path.is_file():
            raise InputError(f"{path}: expected an avatar bundle, found nothing. Run `gstalker export` to make one.")
        with zipfile.ZipFile(path) as archive:
            return _read_all(_Zip(archive, path), path)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        NotImplementedError,
        zlib.error,
        RuntimeError,
        EOFError,
        OSError,
    ) as error:
        raise InputError(
            f"{path}: expected an avatar bundle, a folder or a zip of one, could not read it ({error})."
        ) from error


def _read_all(source: _Folder | _Zip, path: Path) -> tuple[BundleManifest, bytes, dict[str, bytes]]:
    manifest_bytes = source.read(MANIFEST_NAME, MAX_MANIFEST_BYTES)
    if manifest_bytes is None:
        raise InputError(
            f"{path}: expected an avatar bundle with {MANIFEST_NAME}, found none. Run `gstalker export` to make one."
        )
    if len(manifest_bytes) > MAX_MANIFEST_BYTES:
        raise InputError(f"{path}/{MANIFEST_NAME}: expected at most {MAX_MANIFEST_BYTES} bytes, got more.")
    manifest = parse_manifest(manifest_bytes, f"{path}/{MANIFEST_NAME}")
    listed = manifest.files
    if set(listed) != set(FILE_NAMES):
        wrong = sorted(set(listed) ^ set(FILE_NAMES))
        raise InputError(f"{path}/{MANIFEST_NAME}: files: expected the files of format 1, differs in {wrong}.")
    sizes = [entry.size_bytes for entry in listed.values()]
    if min(sizes) < 0 or sum(sizes) > MAX_BUNDLE_BYTES:
        raise InputError(f"{path}: expected at most {MAX_BUNDLE_BYTES >> 20} MiB of files, got {sum(sizes) >> 20}.")
    files: dict[str, bytes] = {}
    for name in FILE_NAMES:
        data = source.read(name, listed[name].size_bytes)
        if data is None:
            raise InputError(f"{path}: expected the file {name}, it is missing. Export or copy the bundle again.")
        if len(data) != listed[name].size_bytes:
            got = "more" if len(data) > listed[name].size_bytes else f"{len(data)}"
            raise InputError(
                f"{path}/{name}: expected {listed[name].size_bytes} bytes, got {got}. Copy the bundle again."
            )
        if entry_of(data).sha256 != listed[name].sha256:
            raise InputError(
                f"{path}/{name}: expected the sha256 {listed[name].sha256[:12]}..., got "
                f"{entry_of(data).sha256[:12]}...: the file was changed or damaged. "
                "Export or copy the bundle again."
            )
        files[name] = data
    return manifest, manifest_bytes, files


class _Folder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str, limit: int) -> bytes | None:
        """At most limit + 1 bytes, so that a longer file shows without being read."""
        path = self.folder / name
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(limit + 1)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        entries = archive.infolist()
        if len(entries) > MAX_ZIP_ENTRIES:
            raise InputError(f"{path}: expected at most {MAX_ZIP_ENTRIES} files in the zip, got {len(entries)}.")
        for entry in entries:
            parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
            if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0]:
                raise InputError(f"{path}: expected file names inside the bundle, got {entry.filename[:80]!r}.")
        names = [e.filename for e in entries]
        if len(set(names)) != len(names):
            raise InputError(f"{path}: expected every file once in the zip, got one twice. Zip the folder again.")
        self.archive = archive
        self.entries = {e.filename: e for e in entries}
        # A zip of the folder's content, or of the folder itself.
        tops = [n[: -len(MANIFEST_NAME)] for n in names if PurePosixPath(n).name == MANIFEST_NAME]
        tops = [top for top in tops if top.count("/") <= 1]
        if len(tops) > 1:
            raise InputError(f"{path}: expected one avatar bundle in the zip, got {len(tops)}.")
        self.top = tops[0] if tops else ""

    def read(self, name: str, limit: int) -> bytes | None:
        """At most limit + 1 bytes, whatever the entry claims to hold."""
        entry = self.entries.get(self.top + name)
        if entry is None:
            return None
        with self.archive.open(entry) as file:
            return file.read(limit + 1)


def write_files(target: Path, files: Mapping[str, bytes], *, overwrite: bool, zipped: bool) -> None:
    """Write a bundle's files so that `target` is either what it was or complete.

    Args:
        target: the folder to make, or the zip file.
        files: bytes by name, the manifest among them.
        overwrite: whether a bundle already there may be replaced.
        zipped: one zip file instead of a folder.

    Raises:
        InputError: the target exists and may not be replaced, or its folder cannot be written.
    """
    refuse_existing(target, overwrite=overwrite)
    temporary = target.parent / f".{target.name}.{uuid.uuid4().hex[:12]}"
    aside = target.parent / f".{target.name}.{uuid.uuid4().hex[:12]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if zipped:
            temporary.write_bytes(_zip_bytes(files))
        else:
            for name, data in files.items():
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                (temporary / name).write_bytes(data)
        if target.exists():
            target.rename(aside)
        os.replace(temporary, target)
    except OSError as error:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise InputError(f"{target}: expected a place to write the bundle, could not ({error}).") from error
    finally:
        for leftover in (temporary, aside):
            _remove(leftover)


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Say at once, before long work, that a bundle cannot be written to `target`.

    Raises:
        InputError: something is there that may not be replaced.
    """
    if not target.exists():
        return
    if not overwrite:
        raise InputError(f"{target}: exists already. Give another --out, or --overwrite to replace it.")
    is_bundle = (target / MANIFEST_NAME).is_file() if target.is_dir() else zipfile.is_zipfile(target)
    if not is_bundle:
        raise InputError(f"{target}: exists and is no avatar bundle, so it is not replaced. Give another --out.")


def _zip_bytes(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():  # the default date is a constant: equal bundles give equal zips
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
