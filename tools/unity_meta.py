"""Writes the .meta file that Unity wants beside every file and folder of unity_client/, and the asset of its shaders.

    python tools/unity_meta.py            write what is missing or stale, remove what has lost its file
    python tools/unity_meta.py --check    only say so, exit code 1 if any

An identifier is the hash of the path, so that it never changes and every clone agrees; scenes and prefabs refer to
files by it. Folders that end in ~ are invisible to Unity and get none.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "unity_client"
PACKAGE_NAME = "org.gstalker.unity"
SHADER_ASSET = PACKAGE / "Resources" / "GStalkerShaders.asset"
_TAIL = "  userData: \n  assetBundleName: \n  assetBundleVariant: \n"
_IMPORTERS = {
    ".asset": "NativeFormatImporter",
    ".asmdef": "AssemblyDefinitionImporter",
    ".compute": "ComputeShaderImporter",
    ".hlsl": "ShaderIncludeImporter",
    ".md": "TextScriptImporter",
    ".shader": "ShaderImporter",
    ".txt": "TextScriptImporter",
}
# Folder under Plugins/ -> Unity's name of the platform, of the editor's system, of the processor.
_PLATFORMS = {
    "Windows": ("Win64", "Windows", "x86_64"),
    "macOS": ("OSXUniversal", "OSX", "AnyCPU"),
    "Linux": ("Linux64", "Linux", "x86_64"),
}


def main(arguments: list[str]) -> int:
    """Bring all .meta files up to date, or compare them."""
    wanted = {_beside(path): meta_of(path) for path in visible_paths(PACKAGE)} | {SHADER_ASSET: shader_asset()}
    wanted[_beside(SHADER_ASSET)] = meta_of(SHADER_ASSET)
    present = {path for path in PACKAGE.rglob("*.meta") if not any(p.endswith("~") for p in path.parts)}
    stale = [p for p, text in wanted.items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    lost = sorted(present - set(wanted))
    for path in (*stale, *lost):
        print(f"{'stale' if path in wanted else 'without its file'}: {path.relative_to(PACKAGE)}")
    if "--check" in arguments:
        return 1 if stale or lost else 0
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8", newline="\n")
    for path in lost:
        path.unlink()
    return 0


def visible_paths(folder: Path) -> Iterator[Path]:
    """Every file and folder below that Unity imports, in order."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith("~") or path.suffix == ".meta":
            continue
        if path.name == "__pycache__":
            continue
        yield path
        if path.is_dir():
            yield from visible_paths(path)


def guid_of(path: Path) -> str:
    """32 hexadecimal digits that stay the same for as long as the path does."""
    return hashlib.md5(f"{PACKAGE_NAME}/{path.relative_to(PACKAGE).as_posix()}".encode()).hexdigest()


def meta_of(path: Path) -> str:
    """The text of a .meta file."""
    head = f"fileFormatVersion: 2\nguid: {guid_of(path)}\n"
    if path.is_dir():
        return f"{head}folderAsset: yes\nDefaultImporter:\n  externalObjects: {{}}\n{_TAIL}"
    if path.suffix in (".dll", ".so", ".dylib"):
        return head + _plugin_importer(path)
    if path.suffix == ".cs":
        return (
            f"{head}MonoImporter:\n  externalObjects: {{}}\n  serializedVersion: 2\n  defaultReferences: []\n"
            f"  executionOrder: 0\n  icon: {{instanceID: 0}}\n{_TAIL}"
        )
    importer = _IMPORTERS.get(path.suffix, "DefaultImporter")
    if path.name == "package.json":
        importer = "PackageManifestImporter"
    main_object = "  mainObjectFileID: 11400000\n" if path.suffix == ".asset" else ""
    return f"{head}{importer}:\n  externalObjects: {{}}\n{main_object}{_TAIL}"


def shader_asset() -> str:
    """The asset by which scripts find the shaders (Runtime/Unity/Drawing/SplatShaders.cs)."""
    script = guid_of(PACKAGE / "Runtime/Unity/Drawing/SplatShaders.cs")
    shaders = {
        "Avatar": (7200000, "GaussianAvatar.compute"),
        "Sort": (7200000, "GaussianSort.compute"),
        "Draw": (4800000, "GaussianAvatar.shader"),
    }
    fields = "".join(
        f"  {field}: {{fileID: {file_id}, guid: {guid_of(PACKAGE / 'Shaders' / name)}, type: 3}}\n"
        for field, (file_id, name) in shaders.items()
    )
    return (
        "%YAML 1.1\n%TAG !u! tag:unity3d.com,2011:\n--- !u!114 &11400000\nMonoBehaviour:\n  m_ObjectHideFlags: 0\n"
        "  m_CorrespondingSourceObject: {fileID: 0}\n  m_PrefabInstance: {fileID: 0}\n"
        "  m_PrefabAsset: {fileID: 0}\n  m_GameObject: {fileID: 0}\n  m_Enabled: 1\n  m_EditorHideFlags: 0\n"
        f"  m_Script: {{fileID: 11500000, guid: {script}, type: 3}}\n  m_Name: GStalkerShaders\n"
        f"  m_EditorClassIdentifier: \n{fields}"
    )


def _plugin_importer(path: Path) -> str:
    """A native library: for the editor and the players of its own system, nowhere else."""
    folder = path.relative_to(PACKAGE / "Plugins").parts[0]
    player, editor, processor = _PLATFORMS[folder]
    excluded = "".join(
        f"        Exclude {name}: {int(name not in ('Editor', player))}\n"
        for name in ("Android", "Editor", "Linux64", "OSXUniversal", "WebGL", "Win", "Win64", "iOS")
    )
    return (
        "PluginImporter:\n  externalObjects: {}\n  serializedVersion: 2\n  iconMap: {}\n  executionOrder: {}\n"
        "  defineConstraints: []\n  isPreloaded: 0\n  isOverridable: 0\n  isExplicitlyReferenced: 0\n"
        "  validateReferences: 1\n  platformData:\n"
        f"  - first:\n      : Any\n    second:\n      enabled: 0\n      settings:\n{excluded}"
        "  - first:\n      Editor: Editor\n    second:\n      enabled: 1\n      settings:\n"
        f"        CPU: {processor}\n        DefaultValueInitialized: true\n        OS: {editor}\n"
        f"  - first:\n      Standalone: {player}\n    second:\n      enabled: 1\n      settings:\n"
        f"        CPU: {processor}\n{_TAIL}"
    )


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".meta")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
