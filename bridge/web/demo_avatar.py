"""The trained avatar of the demo character that comes with the package, and a sentence for it to say.

    gstalker demo --out out/demo
    python -m gstalker.bridge.web.demo_avatar out/demo

The second command puts what the first one made into web_client/demo/, with its hashes.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib import resources
from pathlib import Path

from gstalker.runtime.bundle import AvatarBundle, write_bundle
from gstalker.runtime.errors import InputError

AVATAR, SPEECH, HASHES = "character.gsavatar", "speech.wav", "files.json"
MAX_AVATAR_BYTES = 6_000_000


def demo_avatar() -> tuple[Path, Path]:
    """The bundle and the WAV, checked against their hashes.

    Raises:
        InputError: a file is missing or was changed.
    """
    folder = Path(str(resources.files("gstalker.web_client"))) / "demo"
    try:
        hashes = json.loads((folder / HASHES).read_bytes())
        damaged = [name for name in (AVATAR, SPEECH) if _sha256((folder / name).read_bytes()) != hashes[name]]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder}: expected the demo avatar that comes with gstalker, could not read it ({error}). "
            f"Install gstalker again."
        ) from error
    if damaged:
        raise InputError(f"{folder / damaged[0]}: expected the file of the package, it was changed. Install it again.")
    return folder / AVATAR, folder / SPEECH


def pack(demo: Path, folder: Path) -> int:
    """Copy the avatar and the speech of a finished `gstalker demo` into a folder; the avatar's size in bytes.

    Raises:
        InputError: there is no such demo, or its avatar is too large to ship.
    """
    speech = demo / "session" / "audio.wav"
    if not speech.is_file():
        raise InputError(f"{demo}: expected what `gstalker demo --out {demo}` leaves, found no {speech.name} there.")
    bundle = AvatarBundle.open(demo / AVATAR)
    folder.mkdir(parents=True, exist_ok=True)
    write_bundle(folder / AVATAR, bundle, overwrite=True, zipped=True)
    size = (folder / AVATAR).stat().st_size
    if size > MAX_AVATAR_BYTES:
        raise InputError(
            f"{demo / AVATAR}: expected at most {MAX_AVATAR_BYTES} bytes zipped, got {size}. "
            f"Train the demo with fewer Gaussians."
        )
    (folder / SPEECH).write_bytes(speech.read_bytes())
    hashes = {name: _sha256((folder / name).read_bytes()) for name in (AVATAR, SPEECH)}
    (folder / HASHES).write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf-8")
    return size


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    here = Path(__file__).resolve().parents[2] / "web_client" / "demo"
    print(f"{here / AVATAR}: {pack(Path(sys.argv[1]), here)} bytes")
