"""Keys for leaving the machine: a pair for each end, kept in files that only their owner can read.

An end that is reached from another machine speaks CURVE, ZeroMQ's encryption: the server proves that it is the one
the client was told of, and lets in the clients whose public keys it was given, nobody else. Every end has a pair:

    NAME.public.json    to give away: who it is
    NAME.secret.json    both keys; never leaves the machine, never appears in a log or a message

Keys are 32 bytes, written in Z85 (ZeroMQ RFC 32) as 40 characters. Files are read when a server or client starts
and not again: after adding or removing an allowed key, start the server again; clients come back by themselves.
"""

from __future__ import annotations

import json
import os
import re
import stat
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq
from zmq.utils import z85

from gstalker.runtime.errors import InputError

PUBLIC_SUFFIX = ".public.json"
SECRET_SUFFIX = ".secret.json"
KEY_CHARS = 40
MAX_FILE_BYTES = 4096
MAX_ALLOWED = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_FORMAT = "gstalker key 1"


@dataclass(frozen=True)
class PublicKey:
    """Who an end is: safe to show. `z85` is what `zmq` takes."""

    name: str
    z85: str


@dataclass(frozen=True)
class KeyPair:
    """An end's own keys. Its repr leaves the secret out, so that no log or traceback holds it."""

    public: PublicKey
    secret_z85: str = field(repr=False)


@dataclass(frozen=True)
class ServerKeys:
    """What a server needs to be reached from other machines: its own pair, and the names of allowed clients by key."""

    own: KeyPair
    allowed: Mapping[str, str]  # Z85 public key -> name


@dataclass(frozen=True)
class ClientKeys:
    """What a client needs to reach such a server: its own pair, and the public key of the server it means."""

    own: KeyPair
    server: PublicKey


def key_folder() -> Path:
    """Where `gstalker keys` keeps keys of this user, unless told otherwise."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "gstalker" / "keys"


def new_key_pair(name: str) -> KeyPair:
    """A fresh random pair.

    Raises:
        InputError: the name cannot be a file's, or this ZeroMQ was built without encryption.
    """
    _check_name(name)
    check_curve()
    public, secret = zmq.curve_keypair()
    return KeyPair(PublicKey(name, public.decode("ascii")), secret.decode("ascii"))


def write_key_pair(pair: KeyPair, folder: Path) -> tuple[Path, Path]:
    """Write a pair's two files into a folder, the secret one for its owner's eyes only; returns their paths.

    On Windows the permissions are those of the folder: under a user's profile, its owner, administrators and the
    system.

    Raises:
        InputError: a key of that name is there already (it is never replaced), or the folder cannot be written.
    """
    public_path, secret_path = (
        folder / f"{pair.public.name}{PUBLIC_SUFFIX}",
        folder / f"{pair.public.name}{SECRET_SUFFIX}",
    )
    public = {"format": _FORMAT, "name": pair.public.name, "public_key": pair.public.z85}
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (public_path, secret_path):
            if path.exists():
                raise InputError(
                    f"{path}: exists already, and a key is never replaced: whoever trusts it would be locked out. "
                    "Give another name, or remove both of its files first."
                )
        _write_new(secret_path, public | {"secret_key": pair.secret_z85}, mode=0o600)
        _write_new(public_path, public, mode=0o644)
    except OSError as error:
        raise InputError(f"{folder}: expected a folder to keep keys in, could not write there ({error}).") from error
    return public_path, secret_path


def read_public_key(name_or_path: str | Path, folder: Path | None = None) -> PublicKey:
    """The public key of a file NAME.public.json, or of a name in the folder (`key_folder()` by default).

    Raises:
        InputError: no such file, or no key file.
    """
    path = _path_of(name_or_path, PUBLIC_SUFFIX, folder)
    return _public_of(_fields_of(path, {"format", "name", "public_key"}), path)


def read_key_pair(name_or_path: str | Path, folder: Path | None = None) -> KeyPair:
    """The pair of a file NAME.secret.json, or of a name in the folder (`key_folder()` by default).

    Raises:
        InputError: no such file, no key file, keys that do not belong together, or, where the system has such
            permissions, a file that others may read.
    """
    path = _path_of(name_or_path, SECRET_SUFFIX, folder)
    if os.name == "posix" and path.is_file():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise InputError(
                f"{path}: expected a secret key that only its owner may read, others may read or change this one "
                f"(mode {mode:o}). If nobody did, run `chmod 600` on it; else make a new key."
            )
    fields = _fields_of(path, {"format", "name", "public_key", "secret_key"})
    public = _public_of(fields, path)
    secret = fields["secret_key"]
    check_curve()
    if not _is_key(secret) or zmq.curve_public(secret.encode("ascii")).decode("ascii") != public.z85:
        raise InputError(f"{path}: expected a secret key that belongs to its public key. Make a new one.")
    return KeyPair(public, secret)


def read_client_keys(keys: str | None, server_key: str | None) -> ClientKeys | None:
    """A client's keys from its options --keys and --server-key, each a name or a file; None where neither is given.

    Raises:
        InputError: one without the other, or what they name is no key.
    """
    if keys is None and server_key is None:
        return None
    if keys is None or server_key is None:
        raise InputError("--keys and --server-key: expected both or neither: who this is, and which server is meant.")
    return ClientKeys(read_key_pair(keys), read_public_key(server_key))


def read_allowed(places: Iterable[str | Path], folder: Path | None = None) -> dict[str, str]:
    """The clients a server lets in: name by public key, from files, names in the key folder, or whole folders.

    Raises:
        InputError: one of them is no public key, one key goes by two names, or there is none at all.
    """
    allowed: dict[str, str] = {}
    shown = [str(place) for place in places]
    for place in shown:
        is_folder = Path(place).is_dir()
        found = sorted(Path(place).glob(f"*{PUBLIC_SUFFIX}")) if is_folder else [Path(place)]
        for path in found if is_folder else [place]:
            key = read_public_key(path, folder)
            if allowed.setdefault(key.z85, key.name) != key.name:
                raise InputError(f"{path}: expected one name for a key, got {key.name} and {allowed[key.z85]}.")
    if not 1 <= len(allowed) <= MAX_ALLOWED:
        raise InputError(
            f"allowed clients: expected 1 to {MAX_ALLOWED} public keys, got {len(allowed)} from {shown}. "
            f"Put each client's NAME{PUBLIC_SUFFIX} there (`gstalker keys new NAME` makes one on its machine)."
        )
    return allowed


def check_curve() -> None:
    """Say so where ZeroMQ cannot encrypt.

    Raises:
        InputError: the library was built without CURVE.
    """
    if not zmq.has("curve"):
        raise InputError(
            f"ZeroMQ {zmq.zmq_version()}: expected a build with CURVE encryption, this one has none. "
            "Install pyzmq from its own wheels: pip install --force-reinstall pyzmq."
        )


def _path_of(name_or_path: str | Path, suffix: str, folder: Path | None) -> Path:
    text = str(name_or_path)
    return (folder or key_folder()) / f"{text}{suffix}" if _NAME.fullmatch(text) else Path(text)


def _fields_of(path: Path, expected: set[str]) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        fields = json.loads(data.decode("utf-8")) if len(data) <= MAX_FILE_BYTES else None
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: expected a key file, found nothing. `gstalker keys new NAME` makes a pair; "
            "`gstalker keys list` shows those of this user."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        # What json has to say may quote the file, which may hold a secret.
        raise InputError(f"{path}: expected a key file, could not read it ({type(error).__name__}).") from error
    if not isinstance(fields, dict) or fields.get("format") != _FORMAT or set(fields) != expected:
        holds = "both keys" if "secret_key" in expected else "a public key alone"
        raise InputError(f"{path}: expected a key file of gstalker with {holds}, got something else.")
    return fields


def _public_of(fields: dict[str, Any], path: Path) -> PublicKey:
    name, key = fields["name"], fields["public_key"]
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not _is_key(key):
        raise InputError(f"{path}: expected a name and a public key of {KEY_CHARS} Z85 characters, got something else.")
    return PublicKey(name, key)


def _is_key(value: Any) -> bool:
    if not isinstance(value, str) or not _Z85.fullmatch(value):
        return False
    try:
        return len(z85.decode(value.encode("ascii"))) == 32
    except (ValueError, struct.error):  # five characters that stand for more than 2^32 - 1
        return False


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name[:80]!r}: expected a name of 1 to 64 letters, digits, - and _, beginning with a letter or digit."
        )


def _write_new(path: Path, fields: dict[str, str], mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(fields, indent=1) + "\n")
