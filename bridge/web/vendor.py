"""JavaScript of others: which packages, which versions, which bytes; fetched with npm and checked.

    python -m gstalker.bridge.web.vendor    write web_client/vendor/ anew

PlayCanvas comes with gstalker as npm has it, so nobody needs npm to view an avatar. onnxruntime-web is too large for
that: only `gstalker view BUNDLE --export` takes it, from npm or from a folder.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from gstalker.runtime.errors import InputError

NPM_TIMEOUT_S = 600


@dataclass(frozen=True)
class NpmPackage:
    """A pinned package.

    Attributes:
        name, version, licence: as npm has them.
        sha256: of each file that is taken, by its path in the package.
    """

    name: str
    version: str
    licence: str
    sha256: Mapping[str, str]


PLAYCANVAS = NpmPackage(
    "playcanvas",
    "2.23.3",
    "MIT",
    MappingProxyType(
        {
            "build/playcanvas.min.mjs": "3b014294ecd91bcefc11b53e5196ae41aecb1b4475c18d1d91d1b10eee201ff6",
            "LICENSE": "42fa51ddd556be151a29f381fb97ee975825dcc454e805ea3ea9c079cca04d34",
        }
    ),
)
ONNXRUNTIME_WEB = NpmPackage(
    "onnxruntime-web",
    "1.23.2",
    "MIT",
    MappingProxyType(
        {
            "dist/ort.wasm.bundle.min.mjs": "cace3b98bee45c1c40ed04e07b984fb66012acacb702e6aecd9008239bf35e99",
            "dist/ort-wasm-simd-threaded.wasm": "45eaee27761ad883742a8d4b8fce1538d60ce43b51adf1726fafccc59b8c1a15",
        }
    ),
)
SHIPPED_AS = MappingProxyType({"build/playcanvas.min.mjs": "playcanvas.min.mjs", "LICENSE": "playcanvas.LICENSE.txt"})


def fetch(package: NpmPackage, folder: Path | None = None) -> dict[str, bytes]:
    """The files of a package by their paths in it.

    Args:
        package: which.
        folder: an unpacked package to take them from, instead of asking npm.

    Raises:
        InputError: npm is missing or fails, or a file is not the pinned one.
    """
    if folder is not None:
        return _checked(package, folder)
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            f"{package.name} {package.version}: expected npm on the PATH to fetch it, found none. Install Node.js, or "
            f"name a folder with the unpacked package."
        )
    with tempfile.TemporaryDirectory() as temporary:
        where = Path(temporary)
        wanted = f"{package.name}@{package.version}"
        done = subprocess.run(
            [npm, "pack", wanted, "--silent"], cwd=where, capture_output=True, text=True, timeout=NPM_TIMEOUT_S
        )
        archives = list(where.glob("*.tgz"))
        if done.returncode != 0 or len(archives) != 1:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(f"{wanted}: expected npm to fetch it, it failed ({last}). Is there a network?")
        unpacked = where / "unpacked"
        with tarfile.open(archives[0]) as archive:
            for name in package.sha256:
                file = archive.extractfile(f"package/{name}")
                target = unpacked / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(b"" if file is None else file.read())
        return _checked(package, unpacked)


def _checked(package: NpmPackage, folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, sha256 in package.sha256.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: expected {package.name} {package.version} unpacked there, the file is missing.")
        files[name] = path.read_bytes()
        got = hashlib.sha256(files[name]).hexdigest()
        if got != sha256:
            raise InputError(
                f"{path}: expected {package.name} {package.version} with sha256 {sha256[:12]}..., got {got[:12]}..."
            )
    return files


def main(folder: Path) -> int:
    """Write what ships."""
    for name, data in fetch(PLAYCANVAS).items():
        (folder / SHIPPED_AS[name]).write_bytes(data)
        print(f"{folder / SHIPPED_AS[name]}: {len(data)} bytes, {PLAYCANVAS.name} {PLAYCANVAS.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[2] / "web_client" / "vendor"))
