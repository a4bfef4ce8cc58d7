"""Every shader of the Unity package, in every permutation, passes a second compiler: glslangValidator's HLSL."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.source_tree import REPO
from helpers.unity_shaders.shaderlab import ShaderPass, kernels_of, passes_of
from helpers.unity_shaders.software_vulkan import glslang_validator

SHADERS = REPO / "unity_client" / "Shaders"
COMPUTE = sorted(SHADERS.glob("**/*.compute"))
SHADERLAB = sorted(SHADERS.glob("**/*.shader"))
KERNELS = [
    (path, kernel)
    for path in COMPUTE
    for kernel in re.findall(r"^#pragma kernel (\w+)", path.read_text(encoding="utf-8"), re.M)
]
PASSES = [(path, found) for path in SHADERLAB for found in passes_of(path.read_text(encoding="utf-8"))]


def permutations(shader_pass: ShaderPass) -> list[tuple[str, ...]]:
    """Every set of keywords that can be on at once."""
    return [
        chosen
        for count in range(len(shader_pass.keywords) + 1)
        for chosen in itertools.combinations(shader_pass.keywords, count)
    ]


PROGRAMS = [
    (path, found, keywords, stage)
    for path, found in PASSES
    for keywords in permutations(found)
    for stage in ("vertex", "fragment")
]


@pytest.fixture(scope="session")
def validator() -> str:
    found = shutil.which("glslangValidator") or glslang_validator()
    if found is None:
        pytest.skip("no glslangValidator: tools/software_vulkan.sh fetches one, Debian's package is glslang-tools")
    return found


def complaints(validator: str, source: Path, stage: str, entry: str, keywords: tuple[str, ...], out: Path) -> str:
    """What the validator says about one entry point; nothing if all is well."""
    command = [validator, "-D", "-V", "--target-env", "vulkan1.1", "-S", stage, "-e", entry, f"-I{SHADERS}"]
    done = subprocess.run(
        [*command, *(f"-D{k}" for k in keywords), "-o", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and line.strip() != str(source)]
    return "\n".join(said) if said or done.returncode == 0 else f"exit code {done.returncode}"


@pytest.mark.parametrize(("path", "kernel"), KERNELS, ids=[f"{p.stem}-{k}" for p, k in KERNELS])
def test_every_kernel_compiles(validator: str, path: Path, kernel: str, tmp_path: Path):
    assert complaints(validator, path, "comp", kernel, (), tmp_path / "out.spv") == ""


@pytest.mark.parametrize(
    ("path", "shader_pass", "keywords", "stage"),
    PROGRAMS,
    ids=[f"{path.stem}-{p.name}-{'+'.join(k) or 'plain'}-{stage}" for path, p, k, stage in PROGRAMS],
)
def test_every_pass_compiles_with_every_keyword(
    validator: str, path: Path, shader_pass: ShaderPass, keywords: tuple[str, ...], stage: str, tmp_path: Path
):
    source = tmp_path / f"{shader_pass.name}.hlsl"
    source.write_text(shader_pass.body, encoding="utf-8")
    entry = getattr(shader_pass, stage)
    assert complaints(validator, source, stage[:4], entry, keywords, tmp_path / "out.spv") == ""


def test_a_misspelt_name_does_not_pass(validator: str, tmp_path: Path):
    shader_pass = PASSES[0][1]
    source = tmp_path / "broken.hlsl"
    source.write_text(shader_pass.body.replace("GsSplatVertex(", "GsSplatVertx("), encoding="utf-8")
    assert "GsSplatVertx" in complaints(validator, source, "vert", shader_pass.vertex, (), tmp_path / "out.spv")


def test_the_gate_sees_every_kernel_pass_and_keyword():
    """Counted by hand: what a parser overlooks would pass unseen."""
    assert len(KERNELS) == 11
    assert [found.name for _, found in PASSES] == [
        "Splats",
        "SplatDepth",
        "SceneDepth",
        "CompositeGamma",
        "CompositeLinear",
        "CompositeLinearNoCopy",
    ]
    assert len(PROGRAMS) == 6 * 2 * 2


@pytest.mark.parametrize("path", sorted(SHADERS.glob("**/*.hlsl")) + COMPUTE + SHADERLAB, ids=lambda p: p.name)
def test_no_shader_uses_wave_intrinsics_or_a_pipelines_includes(path: Path):
    """Wave intrinsics are missing on some phones and depend on a width elsewhere; includes tie to one pipeline."""
    text = re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))
    assert not re.findall(r"\b(Wave\w+|Quad\w+Lane\w*|WaveGetLaneCount)\b", text)
    included = re.findall(r'#include\w* "([^"]+)"', text)
    assert all((SHADERS / name).is_file() for name in included), included


def test_the_parser_refuses_what_it_does_not_understand():
    with pytest.raises(ValueError, match=r"#pragma kernel Missing: no function of that name with \[numthreads"):
        kernels_of("#pragma kernel Missing\n[numthreads(8, 8, 1)]\nvoid Mising(uint3 id : SV_GroupID) {}")
    text = SHADERLAB[0].read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"expected one .*ZWrite.* in a pass, found 0"):
        passes_of(text.replace("ZWrite On", ""))
