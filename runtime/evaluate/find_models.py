"""Where evaluation's two model files come from. Neither is ever fetched: what is absent is not measured."""

from __future__ import annotations

import os
from pathlib import Path

from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare import face_model

LPIPS_FILE = "lpips_alex.npz"


def find_lpips_weights(given: Path | None) -> Path | None:
    """The LPIPS weights asked for, or those in the usual folders; None where there are none.

    Raises:
        InputError: a path was given and holds no file.
    """
    if given is not None and not given.is_file():
        raise InputError(f"--lpips-weights: expected the file {LPIPS_FILE}, found none at {given}.")
    return given or _first(LPIPS_FILE)


def find_landmark_model(given: Path | None) -> Path | None:
    """The face landmark model asked for, or the one in the usual folders; None where there is none.

    Raises:
        InputError: a path was given and holds no file.
    """
    return face_model.find_face_model(given, may_download=False) if given else _first(face_model.FILE_NAME)


def model_folders() -> list[Path]:
    """Folders that may hold models, in the order they are looked through: $GSTALKER_MODELS, the user's cache."""
    folders = [Path(os.environ["GSTALKER_MODELS"])] if os.environ.get("GSTALKER_MODELS") else []
    folders.append(face_model.cache_folder())
    return folders


def _first(name: str) -> Path | None:
    return next((f / name for f in model_folders() if (f / name).is_file()), None)
