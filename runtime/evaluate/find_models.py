"""Where evaluation's two model files come from. Neither is ever fetched: what is absent is not measured."""

from __future__ import annotations

import os
from pathlib import Path

from gstalker.runtime.errors import InputError

LPIPS_FILE = "lpips_alex.npz"


def find_lpips_weights(given: Path | None) -> Path | None:
    """The LPIPS weights asked for, or those in the usual folders; None where there are none.

    Looked for in $GSTALKER_MODELS, $GSTALKER_DATA/models and ../shared/data/models.

    Raises:
        InputError: a path was given and holds no file.
    """
    if given is not None:
        if not given.is_file():
            raise InputError(f"--lpips-weights {given}: expected the file {LPIPS_FILE}, found none. Check the path.")
        return given
    return next((f / LPIPS_FILE for f in model_folders() if (f / LPIPS_FILE).is_file()), None)


def model_folders() -> list[Path]:
    """Folders that may hold models, in the order they are looked through."""
    folders = []
    if os.environ.get("GSTALKER_MODELS"):
        folders.append(Path(os.environ["GSTALKER_MODELS"]))
    if os.environ.get("GSTALKER_DATA"):
        folders.append(Path(os.environ["GSTALKER_DATA"]) / "models")
    folders.append(Path("..") / "shared" / "data" / "models")
    return folders
