"""Rules of the whole source tree that no linter knows."""

from __future__ import annotations

import ast
import os
import re
import sys
import warnings
from fnmatch import fnmatch
from pathlib import Path

import pytest
from helpers.source_tree import PACKAGES, REPO, Module, imports, modules

if sys.version_info >= (3, 11):
    import tomllib

WARN_LINES = 350
MAX_LINES = 450

TEXT_SUFFIXES = {
    ".py",
    ".md",
    ".toml",
    ".html",
    ".css",
    ".js",
    ".cs",
    ".hlsl",
    ".json",
    ".lock",
    ".yml",
    ".sh",
    "",
}
# Split, so that this file does not hold them.
FORBIDDEN_TEXT = [
    ("/" + "work/", "a path of one machine"),
    ("/" + "root/", "a path of one machine"),
    ("py" + "pi.org", "the host of a package registry"),
    ("registry." + "npmjs", "the host of a package registry"),
    ("files.python" + "hosted", "the host of a package registry"),
    ("--index" + "-url", "the place of a package registry"),
    ("issue" + " #", "a ticket number"),
    ("contracts" + ".md", "a working paper"),
]


def project_files() -> list[Path]:
    """Text files of the checkout, without what is built, installed or made."""
    found = []
    for folder, folders, files in os.walk(REPO):
        folders[:] = [f for f in folders if f == ".ci" or not re.match(r"\.|(out|build|node_modules|__pycache__)$", f)]
        found += [Path(folder) / f for f in files if Path(f).suffix in TEXT_SUFFIXES]
    return sorted(path for path in found if not path.name.startswith(".") or path.name == ".gitignore")


def test_no_file_has_grown_into_a_drawer():
    lengths = {m.shown: len(m.path.read_text(encoding="utf-8").splitlines()) for m in modules().values()}
    for shown, lines in lengths.items():
        if lines > WARN_LINES:
            warnings.warn(f"{shown} has {lines} lines: one idea a file, about {WARN_LINES} lines", stacklevel=1)
    too_long = [f"{shown}: {lines}" for shown, lines in lengths.items() if lines > MAX_LINES]
    assert not too_long, f"files over {MAX_LINES} lines: {too_long}"


def test_nothing_names_one_machine_or_a_registry():
    found = []
    for path in project_files():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            for text, what in FORBIDDEN_TEXT:
                if text in line:
                    found.append(f"{path.relative_to(REPO)}:{number}: {text!r} is {what}")
    assert not found, "\n".join(found)


def test_every_module_says_what_it_is():
    mute = [
        m.shown
        for m in modules().values()
        if not ast.get_docstring(m.tree) and (m.path.name != "__init__.py" or m.tree.body)
    ]
    assert not mute, f"no docstring: {mute}"


UNSAFE_MODULES = ("pickle", "dill", "joblib", "shelve")


def unsafe_calls(module: Module) -> list[str]:
    """Calls that would run code from a file or hide that a restore was only partial."""
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"{node.lineno}: imports {n}" for n in names if n in ("pickle", "dill", "joblib", "shelve")]
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"{node.lineno}: bare except")
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
        if called in ("eval", "exec", "torch.load", "os.system"):
            found.append(f"{node.lineno}: calls {called}")
        if called.endswith("load_state_dict") and keywords.get("strict") == "False":
            found.append(f"{node.lineno}: restores with strict=False")
        if keywords.get("allow_pickle") == "True" or keywords.get("shell") == "True":
            found.append(f"{node.lineno}: {called} with allow_pickle or shell")
    return [f"{module.shown}:{f}" for f in found]


def test_no_code_is_taken_from_files_and_no_failure_is_hidden():
    found = [line for m in modules().values() for line in unsafe_calls(m)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "try:\n    pass\nexcept:\n    pass",
        "eval('1')",
        "model.load_state_dict(x, strict=False)",
        "np.load(p, allow_pickle=True)",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_the_safety_test_sees_what_it_should(source: str):
    path = next(iter(modules().values())).path
    assert len(unsafe_calls(Module("kernels.x", path, ast.parse(source)))) == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib comes with Python 3.11")
def test_the_wheel_holds_every_package_and_every_data_file():
    setup = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {
        "gstalker." + ".".join(path.parent.relative_to(REPO).parts)
        for package in PACKAGES
        for path in (REPO / package).rglob("__init__.py")
    }
    assert folders == set(setup["packages"])
    assert setup["package-dir"] == {f"gstalker.{p}": p for p in PACKAGES}

    without_init = {
        path.parent.relative_to(REPO).as_posix()
        for package in PACKAGES
        for path in (REPO / package).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert not without_init, f"folders of modules without __init__.py, left out of the wheel: {without_init}"

    patterns = setup["package-data"]["*"]
    left_out = [
        path.relative_to(REPO).as_posix()
        for package in PACKAGES
        for path in (REPO / package).rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc", ".nbi", ".nbc")
        and not any(fnmatch(path.name, pattern) for pattern in patterns)
    ]
    assert not left_out, f"data files that package-data does not match: {left_out}"


# Import names that are not the name of their distribution.
DISTRIBUTION_OF = {
    "PIL": "pillow",
    "cv2": "opencv-contrib-python",
    "google": "onnx",  # its protobuf
    "llvmlite": "numba",  # its own half
    "pythonosc": "python-osc",
    "zmq": "pyzmq",
}
# Optional, on no registry, and taken only where the machine has it.
UNDECLARED = {"tinycudann"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib comes with Python 3.11")
def test_every_package_imported_is_declared_and_every_one_declared_is_imported():
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[<>=!~; \[]", r)[0].lower() for r in requirements}

    base, extras = names(project["dependencies"]), project["optional-dependencies"]
    own = {
        found.target.partition(".")[0]
        for module in modules().values()
        for found in imports(module)
        if found.target.partition(".")[0] not in (*sys.stdlib_module_names, "gstalker", *UNDECLARED)
    }
    imported = {DISTRIBUTION_OF.get(name, name.replace("_", "-")) for name in own}
    declared = base | set().union(*(names(r) for extra, r in extras.items() if extra != "dev"))
    assert imported - declared == set(), "imported, but not in pyproject.toml"
    assert base - imported == set(), "every install brings it, and nothing imports it"


def test_the_lock_file_pins_every_requirement():
    """Each line is one exact version, and every requirement of the base and the extras has one."""
    lines = [
        line
        for line in (REPO / "requirements.lock").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    not_pinned = [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][^ ]*(; .+)?", line)]
    assert not not_pinned
    if sys.version_info < (3, 11):
        return
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in ("cpu", "train", "demo", "dev"):
        wanted += project["optional-dependencies"][extra]
    pinned = {line.partition("==")[0] for line in lines}
    missing = {re.split(r"[<>=!~; \[]", w)[0].lower() for w in wanted} - pinned
    assert not missing, f"not in requirements.lock: {sorted(missing)}"
