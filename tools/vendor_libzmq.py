"""Takes libzmq for the Unity client out of pyzmq's wheels on PyPI, into unity_client/Plugins.

    python tools/vendor_libzmq.py            download, check, write the libraries and their licences
    python tools/vendor_libzmq.py --check    compare what lies there with the hashes below, no network

Every file is known by its sha256. The libraries are used as they are, except for one byte: Unity takes a Linux
library for one only when its name ends in .so, and libzmq asks for its libsodium under a name that goes on with a
version. That name is cut short in libzmq.so by ending its text after `.so`.

Windows comes from pyzmq 25.1.2, the last wheel with libzmq as a DLL of its own. Its Visual C++ runtime is not taken:
a game must not bring a second copy of one that Unity or the system has already loaded.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[1] / "unity_client" / "Plugins"
_SODIUM = b"libsodium-19479d6d.so"


@dataclass(frozen=True)
class Taken:
    """One file of a wheel, where it goes, and its hash there."""

    member: str
    target: str
    sha256: str


@dataclass(frozen=True)
class Wheel:
    """One wheel of pyzmq."""

    version: str
    platform: str
    sha256: str
    files: tuple[Taken, ...]


WHEELS = (
    Wheel(
        "25.1.2",
        "win_amd64",
        "25c2dbb97d38b5ac9fd15586e048ec5eb1e38f3d47fe7d92167b0c77bb3584e9",
        (
            Taken(
                "pyzmq.libs/libzmq-v141-mt-4_3_4-0a6f51ca.dll",
                "Windows/x86_64/libzmq.dll",
                "b2d32d44a52ce88a71c53ef9386fe00476f7a4dbca8a4c48699f17b38214599b",
            ),
            Taken(
                "pyzmq.libs/libsodium-ac42d648.dll",
                "Windows/x86_64/libsodium-ac42d648.dll",
                "ac42d648d80b67cb4d286b21a784c889ece77842ed0eb06563127b3491819178",
            ),
            Taken(
                "pyzmq-25.1.2.dist-info/LICENSE.LESSER",
                "Windows/LICENSE.libzmq-4.3.4.txt",
                "2b87c203df16ec254b9b882b80d824cb70e8460bb2ced772cfe6fd1c70c315b3",
            ),
        ),
    ),
    Wheel(
        "27.1.0",
        "macosx_10_15_universal2",
        "226b091818d461a3bef763805e75685e478ac17e9008f49fce2d3e52b3d58b86",
        (
            Taken(
                "zmq/.dylibs/libzmq.5.dylib",
                "macOS/libzmq.dylib",
                "f28837f3692cfd6e20c9801d608558328d60bc269c2c5bc24d07832425690e2a",
            ),
            Taken(
                "zmq/.dylibs/libsodium.26.dylib",
                "macOS/libsodium.26.dylib",
                "ffcb1a160404bc8020391b54ffe9f15b4a6444959a9e878712225bc41e02810d",
            ),
        ),
    ),
    Wheel(
        "27.1.0",
        "manylinux_2_28_x86_64",
        "5bbf8d3630bf96550b3be8e1fc0fea5cbdc8d5466c1192887bd94869da17a63e",
        (
            Taken(
                "pyzmq.libs/libzmq-7b073b3d.so.5.2.5",
                "Linux/x86_64/libzmq.so",
                "a6f2ec78734dac91b43162d9825c5fe582899b08993c5ae2bd9b7253806a9971",
            ),
            Taken(
                "pyzmq.libs/libsodium-19479d6d.so.26.2.0",
                "Linux/x86_64/libsodium-19479d6d.so",
                "0ddb0009726fd4ea61cf66f2c29e52829ae95cc6600e392a0974b311e41b1be3",
            ),
            Taken(
                "pyzmq-27.1.0.dist-info/licenses/licenses/LICENSE.zeromq.txt",
                "LICENSE.libzmq.txt",
                "1f256ecad192880510e84ad60474eab7589218784b9a50bc7ceee34c2b91f1d5",
            ),
            Taken(
                "pyzmq-27.1.0.dist-info/licenses/licenses/LICENSE.libsodium.txt",
                "LICENSE.libsodium.txt",
                "43964d976a6db3fb986af689d05f8ca0e9971878bccae709750dac8fdc4a99cf",
            ),
        ),
    ),
)


def main(arguments: list[str]) -> int:
    """Write or check the libraries."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only, without network")
    if parser.parse_args(arguments).check:
        wrong = wrong_files()
        print("\n".join(wrong) or "all libraries are as listed")
        return 1 if wrong else 0
    with tempfile.TemporaryDirectory() as folder:
        for wheel in WHEELS:
            _take(wheel, _download(wheel, Path(folder)))
    return 0


def wrong_files() -> list[str]:
    """One line for each listed file that is missing or another."""
    wrong = []
    for taken in (t for wheel in WHEELS for t in wheel.files):
        path = PLUGINS / taken.target
        got = _sha256(path.read_bytes()) if path.is_file() else "no file"
        if got != taken.sha256:
            wrong.append(f"{path}: expected sha256 {taken.sha256}, got {got}. Run python tools/vendor_libzmq.py.")
    return wrong


def _download(wheel: Wheel, folder: Path) -> Path:
    target = folder / wheel.platform
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"),
            *("--python-version", "3.11", "--platform", wheel.platform, "--dest", str(target)),
            f"pyzmq=={wheel.version}",
        ],
        check=True,
    )
    (path,) = target.glob("*.whl")
    got = _sha256(path.read_bytes())
    if got != wheel.sha256:
        raise SystemExit(f"{path.name}: expected sha256 {wheel.sha256}, got {got}: nothing was taken from it.")
    return path


def _take(wheel: Wheel, path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for taken in wheel.files:
            data = archive.read(taken.member)
            if taken.target == "Linux/x86_64/libzmq.so":
                data = with_short_dependency(data)
            got = _sha256(data)
            if got != taken.sha256:
                raise SystemExit(f"{taken.member}: expected sha256 {taken.sha256}, got {got}: not written.")
            target = PLUGINS / taken.target
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            print(f"{taken.target}: {len(data):,} bytes")


def with_short_dependency(library: bytes) -> bytes:
    """libzmq.so asking for libsodium by a name that ends in .so."""
    place = library.find(_SODIUM + b".26.2.0\0")
    if place < 0 or library.count(_SODIUM) != 1:
        raise SystemExit(f"libzmq.so: expected to find {_SODIUM.decode()} once, with its version.")
    end = place + len(_SODIUM)
    return library[:end] + b"\0" + library[end + 1 :]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
