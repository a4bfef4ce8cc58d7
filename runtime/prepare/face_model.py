"""Where the face landmark model is found, and how it is fetched on consent."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import urllib.request
from pathlib import Path

from gstalker.runtime.errors import InputError

FILE_NAME = "face_landmarker.task"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
URL = "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task"
TIMEOUT_S = 60


def cache_folder() -> Path:
    """The user's cache of gstalker, by the habit of the system."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "gstalker"


def find_face_model(given: Path | None, may_download: bool, url: str = URL) -> Path:
    """The model given, or in $GSTALKER_MODELS, or in the user's cache; else downloaded if that is allowed.

    Raises:
        InputError: not there and not to be downloaded, or a download that failed or is another file.
    """
    if given is not None:
        if not given.is_file():
            raise InputError(f"--face-model: expected the file {FILE_NAME}, found none at {given}.")
        return given
    folder = os.environ.get("GSTALKER_MODELS")
    places = [Path(folder) / FILE_NAME] if folder else []
    places.append(cache_folder() / FILE_NAME)
    for place in places:
        if place.is_file():
            return place
    if may_download:
        return _download(url, cache_folder() / FILE_NAME)
    raise InputError(
        f"face model: expected {FILE_NAME} at --face-model, in $GSTALKER_MODELS or in {cache_folder()}, found none. "
        f"Add --download-face-model to fetch it once (3.8 MB, Apache-2.0, from {url})."
    )


def _download(url: str, target: Path) -> Path:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            data = response.read()
    except OSError as error:
        raise InputError(
            f"face model: expected to download it from {url}, could not ({error}). "
            "Fetch it by hand and give it with --face-model."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise InputError(f"face model: expected a file with sha256 {SHA256} from {url}, got {found}. Nothing was kept.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, target)
    return target
