"""Runs Python in a fresh interpreter that cannot see the packages of the extras."""

from __future__ import annotations

import subprocess
import sys

EXTRAS = (
    "torch",
    "gsplat",
    "tinycudann",
    "mediapipe",
    "cv2",
    "tensorboard",
    "onnxruntime",
    "sounddevice",
    "pythonosc",
    "espeakng_loader",
    "plyfile",
    "hypothesis",
    "pytest",
)

# The finder of installed packages is replaced by one that does not find these: imports fail, and asking whether
# they are there is answered with no, both as on a machine without them.
HIDE = """
import sys
from importlib.machinery import PathFinder

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {hidden!r} else super().find_spec(name, path, target)

sys.meta_path[:] = [Hiding if finder is PathFinder else finder for finder in sys.meta_path]
"""


def command_without(hidden: tuple[str, ...], script: str) -> list[str]:
    """The command line of a Python that runs a script with the packages named in `hidden` out of sight."""
    return [sys.executable, "-c", HIDE.format(hidden=hidden) + script]


def run_without(hidden: tuple[str, ...], script: str, *, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(command_without(hidden, script), capture_output=True, text=True, timeout=timeout_s)
