"""The code that names UnityEngine, compiled against the stand-in of tests/unity_stub for every pipeline.

That finds typing errors and calls that nobody can mean, not where Unity's interface differs from the stand-in.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from csharp_toolchain import CompileError, Job, Toolchain
from helpers.unity_build import PACKAGE, STUB, UnityBuild

# Serialised fields are set by Unity, which the compiler cannot know; Unity's own compiler is told the same.
OPTIONS = ("-nowarn:CS0649",)
PIPELINES = {
    "Built-in": "UNITY",
    "URP 14": "GSTALKER_URP",
    "URP 17": "GSTALKER_URP;GSTALKER_URP_17",
    "HDRP": "GSTALKER_HDRP",
    "URP and HDRP": "GSTALKER_URP;GSTALKER_URP_17;GSTALKER_HDRP",
}


@pytest.fixture(scope="module")
def engine(unity_build: UnityBuild, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The assemblies that engine-facing code may refer to."""
    stub = tmp_path_factory.mktemp("engine") / "UnityEngine.dll"
    unity_build.toolchain.compile(stub, sorted((STUB / "UnityEngine").glob("*.cs")), (), *OPTIONS)
    return [unity_build.program("GStalker.Protocol"), unity_build.program("GStalker.Transport"), stub]


@pytest.fixture(scope="module")
def components(toolchain: Toolchain, engine: list[Path]) -> Path:
    """GStalker.Unity for the Built-in pipeline."""
    sources = sorted((PACKAGE / "Runtime" / "Unity").rglob("*.cs"))
    return toolchain.compile(engine[-1].with_name("GStalker.Unity.dll"), sources, engine, *OPTIONS)


def test_components_and_drawing_compile_for_every_pipeline(toolchain: Toolchain, engine: list[Path], tmp_path: Path):
    sources = sorted((PACKAGE / "Runtime" / "Unity").rglob("*.cs"))
    jobs = [
        Job(tmp_path / f"{number}.dll", sources, engine, (*OPTIONS, f"-define:{defines}"))
        for number, defines in enumerate(PIPELINES.values())
    ]
    toolchain.compile_all(jobs)
    sizes = {name: job.output.stat().st_size for name, job in zip(PIPELINES, jobs, strict=True)}
    assert all(size > sizes["Built-in"] for name, size in sizes.items() if name != "Built-in"), sizes


def test_the_editors_part_compiles(toolchain: Toolchain, engine: list[Path], components: Path, tmp_path: Path):
    sources = sorted((PACKAGE / "Editor").glob("*.cs"))
    toolchain.compile(tmp_path / "GStalker.Editor.dll", sources, [*engine, components], *OPTIONS)


def test_on_device_mode_compiles_with_the_inference_engine_and_is_empty_without(
    toolchain: Toolchain, engine: list[Path], components: Path, tmp_path: Path
):
    sources = sorted((PACKAGE / "Runtime" / "OnDevice").glob("*.cs"))
    with_it = toolchain.compile(
        tmp_path / "With.dll", sources, [*engine, components], *OPTIONS, "-define:GSTALKER_INFERENCE_ENGINE"
    )
    without = toolchain.compile(tmp_path / "Without.dll", sources, [engine[0]], *OPTIONS)
    assert with_it.stat().st_size > 2 * without.stat().st_size


def test_the_sample_compiles_as_a_game(toolchain: Toolchain, engine: list[Path], components: Path, tmp_path: Path):
    sources = sorted((PACKAGE / "Samples~").rglob("*.cs"))
    assert sources
    toolchain.compile(tmp_path / "Sample.dll", sources, [*engine, components], *OPTIONS)


def test_engine_free_code_that_names_the_engine_does_not_compile(toolchain: Toolchain, tmp_path: Path):
    """What keeps the two engine-free assemblies so: they are compiled against netstandard alone."""
    source = tmp_path / "Slip.cs"
    source.write_text("public static class Slip { public static void Run() => UnityEngine.Debug.Log(1); }\n")
    with pytest.raises(CompileError, match="UnityEngine"):
        toolchain.compile(tmp_path / "Slip.dll", [source])
