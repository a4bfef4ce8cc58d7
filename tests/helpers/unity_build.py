"""The Unity package's engine-free assemblies, its tests and the test programs, compiled and run without Unity."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csharp_toolchain import Job, Toolchain, make_runnable

REPO = Path(__file__).resolve().parents[2]
PACKAGE = REPO / "unity_client"
STUB = REPO / "tests" / "unity_stub"
PROGRAMS = REPO / "tests" / "unity" / "programs"


@dataclass(frozen=True)
class UnityBuild:
    """Compiled assemblies beside the libraries that they load."""

    toolchain: Toolchain
    folder: Path

    def program(self, name: str) -> Path:
        return self.folder / f"{name}.dll"

    def run(self, name: str, *arguments: str, timeout_s: float = 300) -> str:
        """What a program printed; the test fails where it does not end with exit code 0."""
        done = self.toolchain.run(self.program(name), arguments, timeout_s=timeout_s)
        assert done.returncode == 0, f"{name} {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def run_json(self, name: str, *arguments: str, timeout_s: float = 300) -> dict[str, Any]:
        """The JSON object in the last line that a program printed."""
        return json.loads(self.run(name, *arguments, timeout_s=timeout_s).strip().splitlines()[-1])


def build_package(toolchain: Toolchain, folder: Path) -> UnityBuild:
    """GStalker.Protocol and GStalker.Transport as asmdefs bound them, the package's tests, and the programs."""
    for library in (PACKAGE / "Plugins" / "Linux" / "x86_64").glob("*.so"):
        shutil.copy(library, folder)

    def job(name: str, sources: Iterable[Path], references: Sequence[str] = (), *options: str) -> Job:
        return Job(folder / f"{name}.dll", sorted(sources), [folder / f"{r}.dll" for r in references], options)

    both = ["GStalker.Protocol", "GStalker.Transport"]
    toolchain.compile_all(
        [
            job("GStalker.Protocol", (PACKAGE / "Runtime/Protocol").rglob("*.cs"), [], "-unsafe"),
            job("GStalker.Transport", (PACKAGE / "Runtime/Transport").rglob("*.cs"), both[:1], "-unsafe"),
            job("nunit.framework", [STUB / "NUnitStub.cs"]),
            job("GStalker.Tests", (PACKAGE / "Tests/EngineFree").glob("*.cs"), [*both, "nunit.framework"], "-unsafe"),
            job("Runner", [STUB / "Runner.cs"], ["nunit.framework"], "-target:exe"),
            *(job(source.stem, [source], both, "-target:exe") for source in PROGRAMS.glob("*.cs")),
        ]
    )
    for name in ("Runner", *(source.stem for source in PROGRAMS.glob("*.cs"))):
        make_runnable(folder / f"{name}.dll")
    return UnityBuild(toolchain, folder)
