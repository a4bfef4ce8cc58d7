"""What every test may rely on: where the real speaker is, a folder for pictures, compiled kernels kept."""

from __future__ import annotations

import os
import re
import shutil
import zlib
from pathlib import Path

import pytest
from hypothesis import settings

REPO = Path(__file__).resolve().parents[1]

# Before the first import of numba: compiling the rasterizers takes longer than most tests. numba does not see that a
# kernel has changed which another file's kernel calls, so every state of the sources has a cache of its own.
_KERNELS = b"".join(path.read_bytes() for path in sorted((REPO / "kernels").glob("*.py")))
os.environ.setdefault("NUMBA_CACHE_DIR", str(REPO / ".cache" / "numba" / str(zlib.crc32(_KERNELS))))
os.environ.setdefault("MPLBACKEND", "Agg")

# A first call may compile for half a minute, so no deadline; in CI the same examples are drawn every time.
settings.register_profile("gstalker", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("gstalker")


@pytest.fixture(scope="session")
def speaker_data() -> Path:
    """The folder with the real speaker's clips, sounds and models; the test is skipped without it."""
    given = os.environ.get("GSTALKER_DATA")
    folder = Path(given) if given else REPO.parent / "shared" / "data"
    if not (folder / "grid_s1").is_dir():
        where = "$GSTALKER_DATA" if given else "../shared/data"
        pytest.skip(f"no real speaker: {where} has no folder grid_s1")
    return folder


@pytest.fixture
def output_dir(request: pytest.FixtureRequest) -> Path:
    """An empty folder out/tests/TEST that stays after the run, for pictures and reports a person may open."""
    folder = REPO / "out" / "tests" / re.sub(r"[^\w-]+", "_", request.node.name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
