"""Selects the Vulkan driver that tools/software_vulkan.sh fetched, for this process."""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

from helpers.source_tree import REPO

FOLDER = REPO / ".cache" / "software-vulkan"
DRIVER_VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
MAX_LIBRARIES = 100


def select_software_vulkan() -> None:
    """Point the Vulkan loader at the fetched driver, if there is one and nobody has chosen another.

    Its libraries lie in no search path, and that of a running process cannot be changed: they are loaded here, what
    they need first, and found by name from then on.
    """
    driver = FOLDER / "driver.json"
    if any(name in os.environ for name in DRIVER_VARIABLES) or not driver.is_file():
        return
    for name in DRIVER_VARIABLES:
        os.environ[name] = str(driver)
    for wanted in ("libvulkan.so.1", "libvulkan_lvp.so"):
        found = next(FOLDER.glob(f"root/**/{wanted}"), None)
        if found is not None:
            _load(found)


def glslang_validator() -> str | None:
    """The fetched glslangValidator, or None."""
    found = FOLDER / "root" / "usr" / "bin" / "glslangValidator"
    return str(found) if found.is_file() else None


def _load(library: Path) -> None:
    """Load a library after those it misses; one that cannot be had is left to the Vulkan loader to complain about."""
    for _ in range(MAX_LIBRARIES):
        try:
            ctypes.CDLL(str(library))
            return
        except OSError as error:
            missing = re.match(r"(\S+): cannot open shared object file", str(error))
            needed = next(FOLDER.glob(f"root/**/{missing[1]}"), None) if missing else None
            if needed is None or needed == library:
                return
            _load(needed)
