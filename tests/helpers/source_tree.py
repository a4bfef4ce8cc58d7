"""The project's own source files as syntax trees: for the tests of the architecture."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PACKAGES = ("kernels", "runtime", "export", "bridge", "web_client", "cli", "bench")


@dataclass(frozen=True)
class Module:
    """One Python file of the packages; `name` is dotted and without the leading `gstalker.`."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @property
    def shown(self) -> str:
        return self.path.relative_to(REPO).as_posix()


@cache
def modules() -> dict[str, Module]:
    """Every module of the packages by name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((REPO / package).rglob("*.py")):
            parts = path.relative_to(REPO).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
    return found


@dataclass(frozen=True)
class Import:
    """`target` is the dotted name imported; lazily where it stands inside a function."""

    target: str
    line: int
    lazy: bool


def imports(module: Module) -> list[Import]:
    """All imports of a module, also those inside functions, but not those under TYPE_CHECKING."""
    return list(_imports(module.tree, module, lazy=False))


def _imports(node: ast.AST, module: Module, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, lazy)
        elif isinstance(child, ast.ImportFrom):
            base = _absolute(child, module)
            for alias in child.names:
                inner = f"{base}.{alias.name}"
                is_module = inner.removeprefix("gstalker.") in modules()
                yield Import(inner if is_module else base, child.lineno, lazy)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.orelse:
                yield from _imports(statement, module, lazy)
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _imports(child, module, lazy or inside)


def _absolute(node: ast.ImportFrom, module: Module) -> str:
    if not node.level:
        return node.module or ""
    parts = ["gstalker", *module.name.split(".")]
    if module.path.name != "__init__.py":
        parts = parts[:-1]
    parts = parts[: len(parts) - (node.level - 1)]
    return ".".join([*parts, node.module] if node.module else parts)
