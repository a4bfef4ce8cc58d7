"""The pages say what the code does: commands exist, examples run, links lead somewhere."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from functools import cache

import pytest
from helpers.source_tree import REPO, modules

from gstalker.cli.main import COMMANDS, main

PAGES = [REPO / "README.md", REPO / "CHANGELOG.md", *sorted((REPO / "docs").glob("**/*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (page.relative_to(REPO).as_posix(), body)
        for page in PAGES
        for found, body in FENCED.findall(page.read_text(encoding="utf-8"))
        if found == language
    ]


def shell_lines() -> list[tuple[str, str]]:
    """Every command line shown in a fenced block, continued lines joined."""
    return [
        (page, line.strip())
        for language in ("", "sh", "bash", "console")
        for page, body in blocks(language)
        for line in body.replace("\\\n", " ").splitlines()
    ]


@cache
def help_of(command: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([command, "--help"]) == 0
    return out.getvalue()


def test_every_command_line_shown_uses_a_command_and_options_that_exist():
    seen = 0
    for page, line in shell_lines():
        words = shlex.split(line, comments=True)
        if not words or words[0] != "gstalker" or words[1] == "COMMAND":
            continue
        seen += 1
        assert words[1] in COMMANDS, f"{page}: {line}"
        for option in (w.partition("=")[0] for w in words if w.startswith("--")):
            assert re.search(rf"{option}\b", help_of(words[1])), f"{page}: {line}: no option {option}"
    assert seen >= 8, "the README shows no command lines any more: is this test still reading them?"


def test_every_make_target_shown_exists():
    targets = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.M))
    shown = {(page, line.split()[1]) for page, line in shell_lines() if line.startswith("make ")}
    assert shown
    assert {t for _, t in shown} <= targets


def test_the_readme_names_every_command_in_its_table():
    readme = (REPO / "README.md").read_text(encoding="utf-8")
    missing = [name for name in COMMANDS if f"| `gstalker {name}` |" not in readme]
    assert not missing


@pytest.mark.parametrize(("page", "source"), blocks("python"))
def test_python_examples_run(page: str, source: str):
    exec(compile(source, page, "exec"), {"__name__": "example"})


def test_the_worked_point_of_the_conventions_is_among_the_examples():
    assert any(page == "docs/conventions.md" and "unreal_from_avatar" in body for page, body in blocks("python"))


def test_links_between_pages_lead_somewhere():
    broken = [
        f"{page.relative_to(REPO)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_pages_named_in_the_code_exist():
    named = {
        (page, module.shown)
        for module in modules().values()
        for page in re.findall(r"\bdocs/[\w-]+\.md\b", module.path.read_text(encoding="utf-8"))
    }
    missing = {f"{shown}: {page}" for page, shown in named if not (REPO / page).exists()}
    assert not missing


def test_the_architecture_page_has_one_line_for_every_module():
    page = (REPO / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([\w/]+\.py)` \|", page, re.M))
    existing = {m.shown for m in modules().values() if m.path.name != "__init__.py"}
    assert existing - listed == set(), "not in docs/architecture.md"
    assert listed - existing == set(), "in docs/architecture.md, but gone"
