"""The soak's minute, which passes while the other benchmarks are tried: it mostly waits for its frames."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_bundle import write_made_bundle

SOAK = "test_soak.py"
SECONDS = 60.0
PROGRAM = """
import json, sys
from pathlib import Path
from gstalker.bench import soak
print(json.dumps(soak.run(Path(sys.argv[1]), gaussians=480, seconds=float(sys.argv[2]))))
"""


@pytest.fixture(scope="session", autouse=True)
def soak_under_way(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], str]]:
    """Begin it with the first test of this folder, where its own test will follow; what it printed, once it is over."""
    if not any(item.path.name == SOAK for item in request.session.items):
        yield lambda: ""
        return
    bundle: Path = tmp_path_factory.mktemp("soak") / "made.gsavatar"
    write_made_bundle(bundle)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(bundle), str(SECONDS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def finished() -> str:
        printed, logged = process.communicate(timeout=5 * SECONDS)
        assert process.returncode == 0, logged
        return printed

    try:
        yield finished
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate()
